"""The coverage-guided engine: `python -m fuzz.by_atheris TARGET [libFuzzer options] CORPUS`, ended by libFuzzer."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["etp", "agent", "settlement", "fuzz", "tomllib", "json"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz one target until its time is over or something is found."""
    target, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

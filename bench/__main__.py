"""`python -m bench [--quick] [names...]`: run rows, print the table, write build/bench.json.

A missed target is said, not an error: a figure is only as good as the machine was quiet.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import BUILD, describe
from bench.report import table, write_json
from bench.rows import ALL
from bench.settings import Settings

if TYPE_CHECKING:
    from bench.report import Figure


def main(arguments: list[str]) -> None:
    """Run the rows."""
    parser = argparse.ArgumentParser(prog="bench", description="How fast the product is, against its targets.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ALL)}; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="only show that the rows run; the figures mean nothing")
    parser.add_argument("--json", type=Path, default=BUILD / "bench.json", help="where the figures go")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.rows) - set(ALL))
    if unknown:
        parser.error(f"unknown row {unknown[0]}; there are {', '.join(ALL)}")
    print(describe(), flush=True)
    figures: list[Figure] = []
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as directory:
        settings = Settings(directory=Path(directory), quick=chosen.quick)
        for name in chosen.rows or ALL:
            began_s = time.monotonic()
            measured: list[Figure] = importlib.import_module(f"bench.rows.{name}").run(settings)
            figures += measured
            print(f"\n{name} ({time.monotonic() - began_s:.0f} s)\n{table(measured)}", flush=True)
    write_json(chosen.json, figures)
    missed = [figure.key for figure in figures if figure.ok is False]
    print(f"\n{chosen.json}: {len(figures)} figures" + (f"; missed: {', '.join(missed)}" if missed else ""))


if __name__ == "__main__":
    main(sys.argv[1:])

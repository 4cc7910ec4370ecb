"""Writes what follows from the schema: Python's codec, the IDL, and the constants that Rust is checked against.

`python -m settlement.program.generate` rewrites the files, `--check` says which differ (exit status 1).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from settlement.program import generate_idl, generate_python, generate_rust

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path("settlement/program")
PROGRAM: Final = Path("programs/settlement")


def files() -> dict[Path, str]:
    """Return every generated file, by its path from the root of the repository."""
    python = {
        "accounts": generate_python.accounts(),
        "events": generate_python.events(),
        "instructions": generate_python.instructions(),
        "failures": generate_python.failures(),
    }
    made = {HERE / f"{name}.py": _formatted(text) for name, text in python.items()}
    made[PROGRAM / "idl" / "settlement.json"] = json.dumps(generate_idl.idl(), indent=2) + "\n"
    made[PROGRAM / "src" / "schema.rs"] = generate_rust.schema()
    return made


def _formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--config", str(ROOT / "pyproject.toml"), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603


def main(arguments: list[str]) -> int:
    """Write or check the files; return the exit status."""
    stale = [path for path, text in files().items() if not _is(ROOT / path, text)]
    for path in stale:
        print(path)  # noqa: T201 - a command
        if "--check" not in arguments:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(files()[path])
    return int("--check" in arguments and bool(stale))


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

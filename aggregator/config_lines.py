"""On which line of a TOML text a key stands: `tomllib` forgets, and a fault without its line costs a search."""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_KEY: Final = re.compile(r"""^\s*("[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)\s*=""")


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line (from 1) of a key given by its table names, or of the nearest table that exists; 0 = nowhere."""
    found = 0
    depth = 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header:
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            path = table
        elif key:
            path = (*table, *(part.strip("\"'") for part in key[1].split(".")))
        else:
            continue
        common = len(path) if path == keys[: len(path)] else 0
        if common > depth:
            found, depth = number, common
    return found

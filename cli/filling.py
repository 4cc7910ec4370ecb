"""Puts a ledger's addresses into the `[settlement]` table of site and aggregator files; everything else stays."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from cli.demo_stage.places import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TABLE: Final = re.compile(r"^\[settlement\][^\n]*\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)


class FillError(Exception):
    """A file that has no table to fill."""


def fill(path: Path, told: Mapping[str, str]) -> None:
    """Write `rpc`, `program`, `genesis` and `mint` of a ledger's ready line into a file. Raises FillError, OSError."""
    values = {"rpc": [told["rpc"]], "program_id": told["program"], "genesis": told["genesis"], "mint": told["mint"]}
    try:
        text = filled(path.read_text(encoding="utf-8"), values)
    except FillError as error:
        raise FillError(f"{path}: {error}") from error
    write_whole(path, text)


def filled(text: str, values: Mapping[str, object]) -> str:
    """Return a TOML text whose `[settlement]` table has these values, each on the line where it had one before."""
    found = _TABLE.search(text)
    if found is None:
        raise FillError("has no [settlement] table")
    table = found[0]
    for key, value in values.items():
        line = re.compile(rf"^{key}[ \t]*=[^\n]*$", re.MULTILINE)
        if line.search(table) is None:
            raise FillError(f"{key} is not on a line of its own in [settlement]")
        said = f"{key} = {json.dumps(value)}".replace("\\", r"\\")
        table = line.sub(said, table)
    return text[: found.start()] + table + text[found.end() :]

"""Where the program's ELF is: in an installed package beside this module, in a checkout where it is built."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PLACES: Final = (
    Path(__file__).with_name("settlement.so"),
    Path(__file__).parents[2] / "programs" / "settlement" / "settlement.so",
)


def program_elf() -> bytes:
    """Return the bytes of the program. Raises FileNotFoundError when this installation has none."""
    for place in _PLACES:
        if place.is_file():
            return place.read_bytes()
    raise FileNotFoundError(f"{_PLACES[-1]}: the program is not there; `make program` builds it")

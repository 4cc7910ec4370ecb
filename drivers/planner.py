"""Points to read requests. Pure.

A point and its scale factor are read together where one request can hold both (a scale factor may change). Requests
never exceed `read_max` registers, never read through more than `gap_max` registers that nobody asked for, and never
cross from one model into the next: a device that refuses one model refuses nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.places import Block, PlacedPoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.declaration import Space


def plan(points: Iterable[PlacedPoint], *, read_max: int, gap_max: int) -> tuple[Block, ...]:
    """Return the fewest requests, in address order, that read `points` under the limits."""
    spans = sorted({span for placed in points for span in _spans(placed, read_max)})
    blocks: list[tuple[int, Block]] = []
    for space, area, start, end in spans:
        last_area, last = blocks[-1] if blocks else (-1, None)
        joins = last is not None and last.space == space and last_area == area
        if last is not None and joins and _fits(last, start, end, read_max, gap_max):
            blocks[-1] = (area, Block(space, last.address, max(last.address + last.words, end) - last.address))
        else:
            blocks.append((area, Block(space, start, end - start)))
    return tuple(dict.fromkeys(block for _, block in blocks))


def covers(block: Block, placed: PlacedPoint) -> bool:
    """Whether a block holds all registers of a point."""
    return (
        block.space == placed.space
        and block.address <= placed.address
        and placed.address + placed.point.words <= block.address + block.words
    )


def _spans(placed: PlacedPoint, read_max: int) -> list[tuple[Space, int, int, int]]:
    space, area = placed.space, placed.area
    start, end = placed.address, placed.address + placed.point.words
    if placed.sf_address is None:
        return [(space, area, start, end)]
    low, high = min(start, placed.sf_address), max(end, placed.sf_address + 1)
    if high - low <= read_max:
        return [(space, area, low, high)]
    return [(space, area, start, end), (space, area, placed.sf_address, placed.sf_address + 1)]


def _fits(last: Block, start: int, end: int, read_max: int, gap_max: int) -> bool:
    last_end = last.address + last.words
    return start - last_end <= gap_max and max(last_end, end) - last.address <= read_max

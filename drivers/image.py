"""The registers of a set of points as last read, and the values in them.

An image plans its own read requests. A value's age is that of the reply that carried it, whoever asks and whenever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drivers.places import Block, PlacedPoint, Scaled, raw_number, read_text, read_value
from drivers.planner import covers, plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.bus.line import Reply
    from drivers.declaration import Space


class Aged(NamedTuple):
    """A point's value, what one raw step of it is worth, and when it was on the wire (monotonic ms)."""

    scaled: Scaled
    at_ms: int


class Image:
    """Points, the requests that read them, and the latest replies."""

    def __init__(self, points: Iterable[PlacedPoint], *, read_max: int, gap_max: int) -> None:
        self._points = {placed.point.name: placed for placed in points}
        self.blocks = plan(self._points.values(), read_max=read_max, gap_max=gap_max)
        self._home = {
            name: next(block for block in self.blocks if covers(block, placed)) for name, placed in self._points.items()
        }
        self._replies: dict[Block, Reply] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._points

    def store(self, block: Block, reply: Reply) -> None:
        """Keep the reply to one of `blocks`."""
        self._replies[block] = reply

    def forget(self, block: Block) -> None:
        """Drop what a block said: the device refuses to repeat it."""
        self._replies.pop(block, None)

    def raw(self, name: str) -> int | None:
        """Return a point's raw number; None for a sentinel or where it was not read."""
        registers = self._registers(name)
        return None if registers is None else raw_number(self._points[name], registers)

    def value(self, name: str) -> Aged | None:
        """Return a point's value; None where it is not read or not usable."""
        registers = self._registers(name)
        if registers is None:
            return None
        placed = self._points[name]
        scaled = read_value(placed, registers, self._word(placed.space, placed.sf_address))
        return None if scaled is None else Aged(scaled, self._replies[self._home[name]].at_ms)

    def text(self, name: str) -> str:
        """Return a string point's text, "" where it was not read."""
        registers = self._registers(name)
        return "" if registers is None else read_text(registers)

    def scale_word(self, name: str) -> int | None:
        """Return the register of a point's scale factor, None where it has none or it was not read."""
        placed = self._points[name]
        return self._word(placed.space, placed.sf_address)

    def _registers(self, name: str) -> tuple[int, ...] | None:
        placed = self._points[name]
        reply = self._replies.get(self._home[name])
        if reply is None:
            return None
        start = placed.address - self._home[name].address
        return reply.registers[start : start + placed.point.words]

    def _word(self, space: Space, address: int | None) -> int | None:
        if address is not None:
            for block, reply in self._replies.items():
                if block.space == space and block.address <= address < block.address + block.words:
                    return reply.registers[address - block.address]
        return None

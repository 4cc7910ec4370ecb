"""Where a device keeps its points: a declaration laid over the addresses that discovery found. Pure.

`Layout` knows which sections exist and where; `place` turns a point into addresses, or None where this device does not
have it (section missing, model too short, a `needs` or `unless` that does not hold). `read_value` makes a value of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drivers.codec import Kind, decode, decode_text, power_of_ten, unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from drivers.declaration import Point, Space

_SF_UNUSABLE = 0x8000


class Place(NamedTuple):
    """Where a section is: `base` and `length` in registers; scale factors count from `sf_base`."""

    space: Space
    base: int
    length: int
    sf_base: int
    sf_length: int


class Layout(NamedTuple):
    """The sections this device has. Two layouts are equal when the device looks the same."""

    places: Mapping[str, Place]

    def has(self, section: str) -> bool:
        """Whether the device has a section."""
        return section in self.places


class Block(NamedTuple):
    """One read request."""

    space: Space
    address: int
    words: int


class PlacedPoint(NamedTuple):
    """A point and its wire addresses; `sf_address` is None where it has no scale factor.

    `area` is where its model or address range begins: one request never reads across two of them.
    """

    point: Point
    space: Space
    area: int
    address: int
    sf_address: int | None


class Scaled(NamedTuple):
    """A value in the point's unit, and how big one raw step is."""

    value: int
    step: Fraction


def place(point: Point, layout: Layout) -> PlacedPoint | None:
    """Return where a point is on this device, None where it is not."""
    spot = layout.places.get(point.section)
    if spot is None or point.offset + point.words > spot.length:
        return None
    if any(not layout.has(name) for name in point.needs) or any(layout.has(name) for name in point.unless):
        return None
    if point.sf is None:
        return PlacedPoint(point, spot.space, spot.sf_base, spot.base + point.offset, None)
    if point.sf >= spot.sf_length:
        return None
    return PlacedPoint(point, spot.space, spot.sf_base, spot.base + point.offset, spot.sf_base + point.sf)


def raw_number(placed: PlacedPoint, registers: Sequence[int]) -> int | None:
    """Return the raw number in a point's registers, None for a sentinel."""
    raw = decode(placed.point.kind, placed.point.order, registers)
    return None if unsigned(placed.point.kind, raw) in placed.point.sentinels else raw


def factor_of(point: Point, sf_register: int | None) -> Fraction | None:
    """Return the value of one raw step without the sign, None where the scale factor is not usable."""
    if point.sf is None:
        return point.scale
    if sf_register is None or sf_register == _SF_UNUSABLE:
        return None
    ten = power_of_ten(decode(Kind.SCALE, point.order, (sf_register,)))
    return None if ten is None else ten * point.scale


def read_value(placed: PlacedPoint, registers: Sequence[int], sf_register: int | None) -> Scaled | None:
    """Return a point's value; None for a sentinel, an unusable scale factor, or a value outside the range."""
    raw = raw_number(placed, registers)
    factor = factor_of(placed.point, sf_register)
    if raw is None or factor is None:
        return None
    value = round(raw * factor) * placed.point.sign
    low, high = placed.point.low, placed.point.high
    if (low is not None and value < low) or (high is not None and value > high):
        return None
    return Scaled(value, factor)


def read_text(registers: Sequence[int]) -> str:
    """Return the text of a string point."""
    return decode_text(registers)

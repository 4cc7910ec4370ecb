"""How a SunSpec model becomes registers: point types, sizes, not-implemented values, and a reader for model tables.

A model is written as text, one `offset name type [rw]` a point, separated by `|` or new lines; offsets count from the
model's id register as in the reference tables. A point without a value shows the standard's "not implemented".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

# type -> (registers, not-implemented value as an unsigned number of that size)
TYPES: Final = {
    "int16": (1, 0x8000),
    "uint16": (1, 0xFFFF),
    "enum16": (1, 0xFFFF),
    "bitfield16": (1, 0xFFFF),
    "sunssf": (1, 0x8000),
    "pad": (1, 0x8000),
    "acc32": (2, 0),
    "int32": (2, 0x80000000),
    "uint32": (2, 0xFFFFFFFF),
    "enum32": (2, 0xFFFFFFFF),
    "bitfield32": (2, 0xFFFFFFFF),
    "uint64": (4, 0xFFFFFFFFFFFFFFFF),
}
_SIGNED: Final = frozenset({"int16", "int32", "sunssf"})


class Point(NamedTuple):
    """One value of a model: where it is, how it is coded, whether a client may write it."""

    offset: int
    name: str
    type: str
    size: int
    writable: bool


@dataclass(frozen=True, slots=True)
class Model:
    """One SunSpec model: its id, length L (registers after the two header registers) and points."""

    id: int
    length: int
    points: tuple[Point, ...]


def size_of(type_name: str) -> int:
    """Return the registers of a type; `string:16` has 16."""
    if type_name.startswith("string:"):
        return int(type_name.removeprefix("string:"))
    return TYPES[type_name][0]


def model(model_id: int, length: int, table: str) -> Model:
    """Read a model's table. Raises ValueError where points overlap, leave a gap or do not fill the length."""
    points = []
    for item in table.replace("\n", "|").split("|"):
        if words := item.split():
            offset, name, type_name, *access = words
            points.append(Point(int(offset), name, type_name, size_of(type_name), access == ["rw"]))
    expected = 2
    for point in points:
        if point.offset != expected:
            raise ValueError(f"model {model_id}: {point.name} stands at {point.offset}, the table reaches {expected}")
        expected += point.size
    if expected != length + 2:
        raise ValueError(f"model {model_id}: the table ends at {expected}, L = {length}")
    return Model(model_id, length, tuple(points))


def encode(point: Point, value: int | str | None) -> list[int]:
    """Return the registers of a value, high word first. Raises ValueError where it does not fit the type."""
    if point.type.startswith("string:"):
        raw = str(value or "").encode("ascii")[: 2 * point.size].ljust(2 * point.size, b"\0")
        return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
    bits = 16 * point.size
    number = TYPES[point.type][1] if value is None else int(value)
    low = -(1 << (bits - 1)) if point.type in _SIGNED else 0
    if not low <= number < (1 << bits):
        raise ValueError(f"{point.name} = {number} does not fit {point.type}")
    number &= (1 << bits) - 1
    return [(number >> shift) & 0xFFFF for shift in range(bits - 16, -16, -16)]


def decode(point: Point, registers: list[int]) -> int:
    """Return the number in a point's registers, high word first."""
    number = 0
    for register in registers:
        number = number << 16 | register
    bits = 16 * point.size
    if point.type in _SIGNED and number >> (bits - 1):
        number -= 1 << bits
    return number

"""The register image: the chain of SunSpec models at base address 40000, filled from what the battery shows.

`read` fills only the models that a request touches; `resolve` turns the registers of a write into named points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.sim.layout import Model, Point, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

BASE: Final = 40_000
_MARKER: Final = (0x5375, 0x6E53)  # "SunS"
_END: Final = (0xFFFF, 0)


class IllegalAddressError(Exception):
    """An address outside the map, or a write to a point that cannot be written (Modbus exception 2)."""


class TornPointError(Exception):
    """A write that covers only a part of a point (Modbus exception 3)."""


class _Placed(NamedTuple):
    start: int  # address of the model's id register
    model: Model


class RegisterImage:
    """Registers of one profile. `values_of(model_id)` supplies the numbers when they are asked for."""

    def __init__(self, models: tuple[Model, ...], values_of: Callable[[int], dict[str, int | str | None]]) -> None:
        self._values_of = values_of
        self._registers: list[int] = list(_MARKER)
        self._placed: list[_Placed] = []
        self._writable: dict[int, tuple[int, Point]] = {}  # address -> first address of its point, and the point
        for model in models:
            self._place(model)
        self._registers += _END

    def read(self, address: int, count: int) -> list[int]:
        """Return registers. Raises IllegalAddressError for any address outside the map."""
        first = self._check(address, count)
        for start, model in self._placed:
            if start < address + count and address < start + model.length + 2:
                self._fill(start, model)
        return self._registers[first : first + count]

    def resolve(self, address: int, registers: list[int]) -> dict[str, int]:
        """Return point name -> number of a write. Raises IllegalAddressError or TornPointError."""
        self._check(address, len(registers))
        found: dict[str, int] = {}
        at = address
        while at < address + len(registers):
            if at not in self._writable:
                raise IllegalAddressError(f"register {at} cannot be written")
            start, point = self._writable[at]
            end = start + point.size
            if start < address or end > address + len(registers):
                raise TornPointError(f"{point.name} has {point.size} registers and must be written whole")
            found[point.name] = decode(point, registers[start - address : end - address])
            at = end
        return found

    def address_of(self, model_id: int, name: str) -> tuple[int, int]:
        """Return first address and size of a point. Raises KeyError for what this profile does not have."""
        for start, model in self._placed:
            if model.id == model_id:
                for point in model.points:
                    if point.name == name:
                        return start + point.offset, point.size
        raise KeyError(f"{model_id}.{name}")

    def _place(self, model: Model) -> None:
        start = BASE + len(self._registers)
        self._placed.append(_Placed(start, model))
        self._registers += [model.id, model.length]
        for point in model.points:
            self._registers += encode(point, None)
            if point.writable:
                for at in range(start + point.offset, start + point.offset + point.size):
                    self._writable[at] = (start + point.offset, point)

    def _fill(self, start: int, model: Model) -> None:
        values = self._values_of(model.id)
        first = start - BASE
        for point in model.points:
            if point.name in values:
                at = first + point.offset
                self._registers[at : at + point.size] = encode(point, values[point.name])

    def _check(self, address: int, count: int) -> int:
        first = address - BASE
        if first < 0 or first + count > len(self._registers):
            raise IllegalAddressError(f"registers {address}..{address + count - 1} are not in the map")
        return first

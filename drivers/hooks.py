"""What a family file cannot declare: named functions that it refers to.

`FINDERS` look for a section inside another one (repeating groups, facts in bit fields) and return its offset from the
outer section's base, or None where it is not there. `DERIVED` compute a value from several points' values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_PORTS_FIRST: Final = 20  # SunSpec 714: port i starts at 20 + 25 i, NPrt stands at 4
_PORT_SIZE: Final = 25
_PORT_COUNT_AT: Final = 4
_PORTS_MAX: Final = 32
_PORT_TYPE_PV: Final = 0
_PORT_TYPE_STORAGE: Final = 1
_PV_CONNECTED_AT: Final = 2  # SunSpec 122: PVConn, bit 0 = connected


class SectionReader(Protocol):
    """Reads registers of the outer section; `length` is what the device says it has, the two header words included."""

    length: int

    async def read(self, offset: int, count: int) -> tuple[int, ...]:
        """Return `count` registers from `offset`."""
        ...


async def _port_of_type(section: SectionReader, wanted: int) -> int | None:
    (count,) = await section.read(_PORT_COUNT_AT, 1)
    for port in range(min(count, _PORTS_MAX)):
        offset = _PORTS_FIRST + _PORT_SIZE * port
        if offset + _PORT_SIZE > section.length:
            return None
        (kind,) = await section.read(offset, 1)
        if kind == wanted:
            return offset
    return None


async def storage_port(section: SectionReader) -> int | None:
    """Return where model 714's first storage port starts."""
    return await _port_of_type(section, _PORT_TYPE_STORAGE)


async def pv_port(section: SectionReader) -> int | None:
    """Return where model 714's first PV port starts."""
    return await _port_of_type(section, _PORT_TYPE_PV)


async def pv_connected(section: SectionReader) -> int | None:
    """Return 0 where model 122 says that a PV inverter is connected."""
    (flags,) = await section.read(_PV_CONNECTED_AT, 1)
    return 0 if flags != 0xFFFF and flags & 1 else None


def dc_discharge_limit(values: tuple[int, ...], efficiency_permille: int) -> int:
    """Return the AC power in W that a DC current limit (mA) at a voltage (mV) allows out of the battery."""
    current_ma, voltage_mv = values
    return current_ma * voltage_mv * efficiency_permille // 1_000_000_000


def dc_charge_limit(values: tuple[int, ...], efficiency_permille: int) -> int:
    """Return the AC power in W that a DC current limit (mA) at a voltage (mV) allows into the battery."""
    current_ma, voltage_mv = values
    return current_ma * voltage_mv // (1_000 * efficiency_permille)


FINDERS: Final[Mapping[str, Callable[[SectionReader], Awaitable[int | None]]]] = {
    "storage_port": storage_port,
    "pv_port": pv_port,
    "pv_connected": pv_connected,
}
DERIVED: Final[Mapping[str, Callable[[tuple[int, ...], int], int]]] = {
    "dc_discharge_limit": dc_discharge_limit,
    "dc_charge_limit": dc_charge_limit,
}

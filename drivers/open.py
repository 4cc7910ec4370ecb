"""How a room outside opens a battery: `open_battery(address, ...)`, with lines shared by address."""

from __future__ import annotations

from typing import Final

from drivers.battery import DeclaredBattery
from drivers.bus.line import Line
from drivers.bus.tcp import TcpTransport
from drivers.errors import DeclarationError
from drivers.loader import load_family
from drivers.options import Options

MODBUS_PORT: Final = 502
_UNITS: Final = range(256)  # Modbus TCP also uses 0 and 248..255


class Lines:
    """The lines of a process by address, so that batteries behind one gateway share one owner."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], Line] = {}

    def tcp(self, host: str, port: int, timeout_ms: int) -> Line:
        """Return the line to an address; the first caller's `timeout_ms` counts."""
        line = self._lines.get((host, port))
        if line is None:
            line = Line(TcpTransport(host, port, timeout_ms=timeout_ms), f"{host}:{port}")
            self._lines[host, port] = line
        return line


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of "host:port", "host" (port 502) or "[v6]:port"; DeclarationError otherwise."""
    host, separator, digits = address.rpartition(":")
    if not separator or address.endswith("]"):
        host, digits = address, str(MODBUS_PORT)
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    if not name or (":" in name and not bracketed) or not digits.isdecimal() or not 1 <= int(digits) <= 65_535:
        raise DeclarationError(f"address {address!r}, allowed: host, host:port or [IPv6]:port, port 1..65535")
    return name, int(digits)


def open_battery(
    address: str,
    *,
    name: str,
    unit: int = 1,
    family: str = "sunspec",
    options: Options | None = None,
    lines: Lines | None = None,
) -> DeclaredBattery:
    """Return the battery at a Modbus TCP address; nothing is sent before `run`, `prepare` or `release`.

    Raises DeclarationError for an unknown family, a wrong address or unit, or an option the family does not allow.
    """
    options = options or Options()
    host, port = parse_address(address)
    if unit not in _UNITS:
        raise DeclarationError(f"unit {unit}, allowed: 0..255", device=name)
    declared = load_family(family)
    wanted = options.dead_man_s
    bounds = [command.dead_man for command in declared.file.command if command.dead_man is not None]
    if wanted is not None and not any(bound.min_s <= wanted <= bound.max_s for bound in bounds):
        allowed = ", ".join(f"{bound.min_s}..{bound.max_s}" for bound in bounds) or "none"
        raise DeclarationError(f"dead_man_s = {wanted}, allowed by {family}: {allowed}", device=name)
    line = (lines or Lines()).tcp(host, port, options.timeout_ms)
    return DeclaredBattery(name=name, line=line, unit=unit, family=declared, options=options)

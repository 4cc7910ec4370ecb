"""UDP that loses, doubles and reorders: what discovery must live with. Every draw comes from one seed.

The sockets that discovery opens are real and bound, so that ports and groups are those of the system, but no datagram
goes through the kernel: the virtual loop asks here for their transports.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    import socket

    from simulation.loop import VirtualLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What becomes of a datagram: the chances of loss and of a second copy, and the longest way of each copy."""

    lost: float = 0.3
    doubled: float = 0.2
    delay_ms: int = 2_000


class Air:
    """All datagram transports of one world."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, weather: Weather | None = None) -> None:
        self._loop = loop
        self._rng = rng
        self.weather = weather or Weather()
        self._ears: list[AirTransport] = []
        self.sent = self.lost = self.doubled = self.overtaken = 0
        self._last_arrival_s: dict[tuple[AirTransport, AirTransport], float] = {}

    def open(self, sock: socket.socket, protocol: asyncio.DatagramProtocol) -> AirTransport:
        """Return the transport of a bound socket."""
        transport = AirTransport(self, sock, protocol)
        self._ears.append(transport)
        self._loop.call_soon(protocol.connection_made, transport)
        return transport

    def gone(self, transport: AirTransport) -> None:
        """A transport was closed: nothing reaches it any more."""
        self._ears.remove(transport)

    def send(self, sender: AirTransport, data: bytes, host: str, port: int) -> None:
        """Let copies of a datagram fly to everybody who listens there: to a group's every ear, else to one."""
        self.sent += 1
        for ear in [ear for ear in self._ears if ear.hears(host, port)]:
            if self._rng.random() < self.weather.lost:
                self.lost += 1
                continue
            self._fly(sender, ear, data)
            if self._rng.random() < self.weather.doubled:
                self.doubled += 1
                self._fly(sender, ear, data)

    def _fly(self, sender: AirTransport, ear: AirTransport, data: bytes) -> None:
        delay_s = self._rng.randint(1, self.weather.delay_ms) / 1_000
        arrives_s = self._loop.time() + delay_s
        way = (sender, ear)
        self.overtaken += arrives_s < self._last_arrival_s.get(way, 0.0)
        self._last_arrival_s[way] = max(arrives_s, self._last_arrival_s.get(way, 0.0))
        self._loop.call_outside(delay_s, ear.arrive, data, sender.address)


class AirTransport(asyncio.DatagramTransport):
    """One socket's way into the air."""

    def __init__(self, air: Air, sock: socket.socket, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__({"socket": sock})
        self._air = air
        self._sock = sock
        self._protocol = protocol
        self._is_closed = False
        host, port = sock.getsockname()[:2]
        self._bound = (str(host), int(port))
        self.address = ("127.0.0.1" if ipaddress.ip_address(host).is_unspecified else str(host), int(port))

    def hears(self, host: str, port: int) -> bool:
        """Whether a datagram to an address comes here; a socket bound to every address hears no group by that."""
        return (host, port) in (self._bound, self.address)

    def arrive(self, data: bytes, source: tuple[str, int]) -> None:
        """Hand a datagram to whoever listens, unless that has closed meanwhile."""
        if not self._is_closed:
            self._protocol.datagram_received(data, source)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send to an address."""
        self._air.send(self, bytes(data), str(addr[0]), int(addr[1]))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def close(self) -> None:
        """Give the port back."""
        if not self._is_closed:
            self._is_closed = True
            self._air.gone(self)
            self._sock.close()

    abort = close

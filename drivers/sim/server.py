"""The simulated battery on a Modbus TCP socket.

`serve` binds; every connection answers from one shared device. Faults of the wire are obeyed here: silence, delay,
answers that break off, closed connections.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from drivers.sim.modbus import BadFrameError, Request, RequestReader, answer

if TYPE_CHECKING:
    from drivers.sim.device import SimulatedBattery

CONNECTIONS_MAX: Final = 16  # a gateway's battery knows a handful of masters at most
_TICK_S: Final = 1.0
_WAITING_MAX: Final = 64  # answers held back by the `slow` switch on one connection


class PortTakenError(Exception):
    """The address cannot be bound; the text says which and why."""


def why(error: OSError) -> str:
    """Return the operating system's own words for an error (asyncio puts its own around them)."""
    text = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return text.lower()


class ModbusServer:
    """Serves one device until `close`."""

    def __init__(self, device: SimulatedBattery) -> None:
        self.device = device
        self.connections: set[ModbusConnection] = set()
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._requests = 0

    async def start(self, host: str, port: int) -> int:
        """Bind and return the port. Raises PortTakenError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: ModbusConnection(self), host, port)
        except OSError as error:
            raise PortTakenError(f"cannot listen on {host}:{port}: {why(error)}") from error
        self.device.start_at(self.now_ms())
        self._tick()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def now_ms(self) -> int:
        """Return the running loop's clock in ms."""
        return int(asyncio.get_running_loop().time() * 1_000)

    def drop_connections(self) -> None:
        """Close every connection, as a device that restarts does."""
        for connection in tuple(self.connections):
            connection.drop()

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        if self._server is not None:
            await self._server.wait_closed()

    def _tick(self) -> None:
        """Keep the physics from falling far behind while nobody looks."""
        self.device.advance(self.now_ms())
        self._ticker = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def skips(self) -> bool:
        """Whether the present request stays unanswered by the `silent` or `unanswered` switch."""
        faults = self.device.faults
        self._requests += 1
        share = faults.number("unanswered")
        # Evenly spread: request n is skipped where n x share passes a multiple of 100.
        return faults.on("silent") or self._requests * share // 100 > (self._requests - 1) * share // 100


class ModbusConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.TimerHandle] = {}
        self._last_handle = 0
        self._not_before = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection unless there are too many, or none is wanted."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows asyncio's base class
        self._transport = transport
        server = self._server
        server.connections.add(self)
        if len(server.connections) > CONNECTIONS_MAX or server.device.faults.on("disconnect"):
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection and what still waited to be sent on it."""
        self._server.connections.discard(self)
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        try:
            requests = self._reader.feed(data)
        except BadFrameError:
            self.drop()
            return
        for request in requests:
            self._handle(request)

    def drop(self) -> None:
        """Close at once, without sending what waits."""
        if self._transport is not None:
            self._transport.abort()

    def _handle(self, request: Request) -> None:
        server, faults = self._server, self._server.device.faults
        if server.skips():
            return
        frame = answer(server.device, request, server.now_ms())
        if faults.on("half"):
            frame = frame[: len(frame) // 2]
        delay_ms = faults.number("slow")
        if delay_ms == 0 and not self._waiting:
            self._send(frame)
        elif len(self._waiting) >= _WAITING_MAX:
            self.drop()
        else:
            self._send_later(frame, delay_ms / 1_000)

    def _send_later(self, frame: bytes, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._not_before = max(self._not_before, loop.time() + delay_s)
        self._last_handle += 1
        key = self._last_handle
        self._waiting[key] = loop.call_at(self._not_before, self._send_waiting, key, frame)

    def _send_waiting(self, key: int, frame: bytes) -> None:
        del self._waiting[key]
        self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)

"""UDP sockets that carry frames: every datagram is counted, bounded and checked before anybody deals with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from etp.discovery import Endpoint
from etp.errors import EtpError
from etp.frame import decode_frame
from etp.io.sockets import plain_host

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from etp.discovery import Budget
    from etp.extensions import Extensions
    from etp.messages import Body

log = structlog.get_logger("etp")


class DatagramCounts:
    """What became of the datagrams, in numbers that only grow."""

    __slots__ = ("expired", "limited", "malformed", "other", "received", "send_failed", "sent", "untrusted")

    def __init__(self) -> None:
        self.received = 0
        self.malformed = 0
        self.expired = 0
        self.other = 0
        """Frames that are not for this side: the group hears everybody."""
        self.limited = 0
        """Dropped because there were too many."""
        self.untrusted = 0
        """Unsigned where a signature is needed, not trusted, or forged."""
        self.sent = 0
        self.send_failed = 0


class _Door(asyncio.DatagramProtocol):
    """Passes on what one socket hears, and what goes wrong with it."""

    def __init__(self, post: DatagramPost) -> None:
        self._post = post

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Pass on a datagram and its source."""
        host = plain_host(str(addr[0]))
        if len(addr) > 3 and addr[3] and "%" not in host:
            host = f"{host}%{addr[3]}"  # a link-local address means something on its link only
        self._post.datagram(data, Endpoint(host, int(addr[1])))

    def error_received(self, exc: Exception) -> None:
        """Count a datagram that could not be sent."""
        self._post.send_failed(exc)


class DatagramPost:
    """Sockets, counts and the checks that every datagram passes."""

    def __init__(self, wall_ms: Callable[[], int], budget: Budget) -> None:
        self._wall_ms = wall_ms
        self._budget = budget
        self._doors: list[asyncio.DatagramTransport] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_failing = False
        self.counts = DatagramCounts()

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1_000)

    async def _open(self, sock: socket.socket) -> asyncio.DatagramTransport:
        transport, _ = await self._loop.create_datagram_endpoint(lambda: _Door(self), sock=sock)
        self._doors.append(transport)
        return transport

    def datagram(self, data: bytes, source: Endpoint) -> None:
        """Check a datagram: size of the crowd, form, hops left."""
        counts = self.counts
        counts.received += 1
        if not self._budget.take(source.host, self._now_ms()):
            counts.limited += 1
            return
        try:
            body, extensions = decode_frame(data)
        except EtpError:
            counts.malformed += 1
            return
        if body.ttl == 0:
            counts.expired += 1
        elif not self._take(body, extensions, data, source):
            counts.other += 1

    def _take(self, body: Body, extensions: Extensions, data: bytes, source: Endpoint) -> bool:
        """Deal with a frame; False when it is not for this side."""
        raise NotImplementedError

    def send_failed(self, exc: Exception) -> None:
        """Count a datagram that could not be sent; the first of a row tells the operator."""
        self.counts.send_failed += 1
        (log.debug if self._is_failing else log.warning)("multicast_send_failed", reason=str(exc))
        self._is_failing = True

    def _send(self, door: asyncio.DatagramTransport, frame: bytes, host: str, port: int) -> None:
        failed = self.counts.send_failed
        door.sendto(frame, (host, port))
        if self.counts.send_failed == failed:
            self.counts.sent += 1
            if self._is_failing:
                self._is_failing = False
                log.info("multicast_send_recovered")

    def _later(self, due_ms: int, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0, due_ms - self._now_ms()) / 1_000, callback)

    def close(self) -> None:
        """Leave the group and stop listening."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for door in self._doors:
            door.close()
        self._doors.clear()

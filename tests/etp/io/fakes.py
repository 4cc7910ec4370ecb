"""A loop whose time the test moves, a transport whose kernel the test plays, and handlers that take notes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.link import Link
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.messages import Body

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.connection import Received

DEVICE = 77
WALL_MS = 1_800_000_000_000


def wall_ms() -> int:
    return WALL_MS


def bid(message_id: int, price_e4: int = 200_000) -> Body:
    return Body.bid(message_id, 9, price_e4=price_e4, energy_wh=1_000)


def reject(received: Received, code: int = 1) -> Body:
    return Body.bid_reject(received.body.message_id, DEVICE, code=code, beat_e4=250_000)


def maker(
    role: Role = Role.BATTERY, *, limits: Limits | None = None, policy: AuthPolicy | None = None
) -> ConnectionMaker:
    return ConnectionMaker(
        role=role, device_id=DEVICE, policy=policy or AuthPolicy(), limits=limits or Limits(), wall_ms=wall_ms
    )


class Notes:
    """A handler that writes everything down; `answer` says what to do with a frame."""

    def __init__(self, answer: Callable[[Link, Received], None] | None = None) -> None:
        self.answer = answer
        self.links: list[Link] = []
        self.frames: list[Received] = []
        self.reads: list[int] = []
        self.closed: list[str] = []
        self.sent: list[tuple[Body, int]] = []
        self.late: list[Body] = []
        self._news = asyncio.Event()

    def link_opened(self, link: Link) -> None:
        self.links.append(link)
        self._news.set()

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        self.reads.append(len(frames))
        self.frames += frames
        for frame in frames:
            if self.answer is not None:
                self.answer(link, frame)
        self._news.set()

    def link_closed(self, link: Link, reason: str) -> None:
        self.closed.append(reason)
        self._news.set()

    def accept_sent(self, link: Link, body: Body, at_ms: int) -> None:
        self.sent.append((body, at_ms))

    def accept_late(self, link: Link, body: Body) -> None:
        self.late.append(body)

    async def until(self, condition: Callable[[], object], timeout_s: float = 40.0) -> None:
        """Wait until something that was noted makes a condition true."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Refuser(Notes):
    """A battery's handler that refuses every bid."""

    def __init__(self) -> None:
        super().__init__(lambda link, frame: link.send(reject(frame), cause_ms=frame.cause_ms))


class Owner:
    """A shell that admits every link, or none."""

    def __init__(self, *, admits: bool = True) -> None:
        self.admits = admits
        self.gone_for: list[str] = []

    def admit(self, link: Link, /) -> bool:
        return self.admits

    def opened(self, link: Link, /) -> None:
        pass

    def gone(self, link: Link, reason: str, /) -> None:
        self.gone_for.append(reason)


class FakeTransport(asyncio.Transport):
    """Takes everything until `stuck`; then keeps it and pauses the protocol, as a transport with a mark of 0 does."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.stuck = False
        self.high: int | None = None
        self.ended: str | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        if self.stuck:
            self.protocol.pause_writing()

    def unstick(self) -> None:
        self.stuck = False
        self.protocol.resume_writing()

    def close(self) -> None:
        self.ended = self.ended or "closed"
        if not self.stuck:
            self.protocol.connection_lost(None)

    def abort(self) -> None:
        self.ended = "aborted"
        self.protocol.connection_lost(None)


class Stage:
    """One link on a fake transport and a fake loop."""

    def __init__(
        self,
        handler: Notes,
        *,
        limits: Limits | None = None,
        role: Role = Role.BATTERY,
        made_by: ConnectionMaker | None = None,
    ) -> None:
        self.loop = FakeLoop()
        self.handler = handler
        self.clock = PollClock(self.loop.face, ticking=False)
        self.owner = Owner()
        made_by = made_by or maker(role, limits=limits)
        self.link = Link(handler=handler, maker=made_by, clock=self.clock, owner=self.owner)
        self.transport = FakeTransport(self.link)
        self.link.connection_made(self.transport)

    def pass_ms(self, ms: int) -> None:
        """Let time pass in steps of 10 ms."""
        for _ in range(ms // 10):
            self.loop.now_s = round(self.loop.now_s + 0.01, 6)
            self.loop.run_soon()
            self.loop.run_timers()


class FakeLoop:
    """Time and callbacks that the test moves by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.soon: list[Callable[[], object]] = []
        self.timers: list[asyncio.TimerHandle] = []

    @property
    def face(self) -> asyncio.AbstractEventLoop:
        return cast("asyncio.AbstractEventLoop", self)

    def time(self) -> float:
        return self.now_s

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *args: object, context: object = None) -> asyncio.Handle:
        self.soon.append(lambda: callback(*args))
        return asyncio.Handle(callback, args, self.face)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, context: object = None
    ) -> asyncio.TimerHandle:
        self.timers.append(asyncio.TimerHandle(self.now_s + delay, callback, args, self.face))
        return self.timers[-1]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle in self.timers:
            self.timers.remove(handle)

    def run_timers(self) -> None:
        due = [timer for timer in self.timers if timer.when() <= self.now_s]
        for timer in due:
            self.timers.remove(timer)
            timer._run()

    def run_soon(self) -> None:
        callbacks, self.soon = self.soon, []
        for callback in callbacks:
            callback()

"""One owner task per line: everything that touches the wire goes through its queue, commands before polls.

A job is a coroutine function that gets the line for itself while it runs, so a sequence of writes is never mixed with
somebody else's poll. After a timeout, a wrong answer or a cancelled job the connection is closed and the next job opens
a new one: a late answer can never meet the wrong question (edge.md, finding 1). Only a valid answer resets the
reconnect delay; a connection that is accepted and then silent does not (finding 8).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from drivers.errors import BadReply, DeviceError, LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from drivers.declaration import Space

T = TypeVar("T")

QUEUE_MAX: Final = 256  # 32 batteries with a handful of requests each; more means that nobody is waiting for them
RECONNECT_MIN_MS: Final = 100
RECONNECT_MAX_MS: Final = 3_200  # a battery that came back is seen within the age limit plus one delay


class Priority(IntEnum):
    """Who goes first on a line."""

    COMMAND = 0
    POLL = 1


class Reply(NamedTuple):
    """Registers and when their last byte arrived (monotonic ms)."""

    registers: tuple[int, ...]
    at_ms: int


class Transport(Protocol):
    """What a line needs of a wire. Every method raises LinkLost or BadReply, never anything of a library."""

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        ...

    async def open(self) -> None:
        """Open the connection."""
        ...

    def abort(self) -> None:
        """Close at once and forget everything under way."""
        ...

    async def read(self, unit: int, space: Space, address: int, count: int) -> Reply:
        """Read registers."""
        ...

    async def write(self, unit: int, address: int, values: Sequence[int], *, single: bool) -> int:
        """Write registers; return when the request was handed to the wire (monotonic ms)."""
        ...


@dataclass(slots=True)
class LineStats:
    """What happened on a line since it was made."""

    reads: int = 0
    writes: int = 0
    timeouts: int = 0
    bad_replies: int = 0
    opened: int = 0
    refused: int = 0


@dataclass(slots=True, order=True)
class _Job:
    priority: Priority
    number: int
    work: Callable[[Port], Awaitable[Any]] = field(compare=False)
    done: asyncio.Future[Any] = field(compare=False)


class Port:
    """The line as a job sees it while it runs."""

    def __init__(self, line: Line, transport: Transport) -> None:
        self._line = line
        self._transport = transport

    @property
    def generation(self) -> int:
        """Which connection this is, counted from 1: after a change the device on the other end may be another."""
        return self._line.stats.opened

    async def read(self, unit: int, address: int, count: int, space: Space = "holding") -> Reply:
        """Read `count` registers from a wire address."""
        self._line.stats.reads += 1
        reply = await self._transport.read(unit, space, address, count)
        self._line.answered()
        return reply

    async def write(self, unit: int, address: int, values: Sequence[int], *, single: bool = False) -> int:
        """Write registers and return when the request left; `single` uses function 6 for one register."""
        self._line.stats.writes += 1
        at_ms = await self._transport.write(unit, address, values, single=single)
        self._line.answered()
        return at_ms


class Line:
    """A wire and its queue. It works while somebody is inside `used()`."""

    def __init__(self, transport: Transport, name: str) -> None:
        self.name = name
        self.stats = LineStats()
        self._transport = transport
        self._queue: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue(QUEUE_MAX)
        self._numbers = 0
        self._users = 0
        self._owner: asyncio.Task[None] | None = None
        self._delay_ms = 0
        self._retry_at_ms = 0
        self._refused = False

    @property
    def down(self) -> bool:
        """Whether the last attempt to open a connection failed."""
        return self._refused

    def answered(self) -> None:
        """Note a valid answer: the next reconnect is immediate."""
        self._delay_ms = 0
        self._retry_at_ms = 0

    @asynccontextmanager
    async def used(self) -> AsyncIterator[None]:
        """Keep the owner task running while the context is open."""
        self._users += 1
        if self._owner is None:
            self._owner = asyncio.get_running_loop().create_task(self._own(), name=f"line {self.name}")
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                await self._stop()

    async def run(self, work: Callable[[Port], Awaitable[T]], *, priority: Priority = Priority.POLL) -> T:
        """Run `work` alone on the line and return what it returns.

        Raises LinkLost (no connection, no answer, line closed or overloaded), BadReply, and what `work` raises.
        Cancelling the caller cancels the job; if it was on the wire, the connection is reopened.
        """
        if self._owner is None:
            raise LinkLost("the line is closed", device=self.name)
        self._numbers += 1
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Job(priority, self._numbers, work, done))
        except asyncio.QueueFull:
            raise LinkLost(f"{QUEUE_MAX} requests are already waiting", device=self.name) from None
        return await done

    async def _own(self) -> None:
        try:
            while True:
                job = await self._queue.get()
                if not job.done.done():
                    await self._serve(job)
        finally:
            self._transport.abort()
            while not self._queue.empty():
                self._fail(self._queue.get_nowait(), LinkLost("the line was closed", device=self.name))

    async def _serve(self, job: _Job) -> None:
        task = asyncio.get_running_loop().create_task(self._work(job), name=f"job on {self.name}")
        job.done.add_done_callback(lambda _: task.cancel())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._fail(job, LinkLost("the line was closed", device=self.name))
            raise
        if task.cancelled():
            self._transport.abort()
            self._fail(job, LinkLost("the request was cancelled", device=self.name))
        elif (error := task.exception()) is not None:
            self._note(error)
            self._fail(job, error)
        elif not job.done.done():
            job.done.set_result(task.result())

    @staticmethod
    def _fail(job: _Job, error: BaseException) -> None:
        if not job.done.done():
            job.done.set_exception(error)

    async def _work(self, job: _Job) -> object:
        if not self._transport.connected:
            await self._open(job.priority)
        return await job.work(Port(self, self._transport))

    async def _open(self, priority: Priority) -> None:
        now_ms = int(asyncio.get_running_loop().time() * 1_000)
        if now_ms < self._retry_at_ms and priority is not Priority.COMMAND:
            raise LinkLost(f"reconnecting in {self._retry_at_ms - now_ms} ms", device=self.name)
        self._delay_ms = min(max(self._delay_ms * 2, RECONNECT_MIN_MS), RECONNECT_MAX_MS)
        self._retry_at_ms = now_ms + self._delay_ms
        self._refused = True
        try:
            await self._transport.open()
        except LinkLost:
            self.stats.refused += 1
            raise
        self._refused = False
        self.stats.opened += 1

    def _note(self, error: BaseException) -> None:
        if isinstance(error, BadReply) and error.exception_code:
            self.answered()
            return
        if isinstance(error, LinkLost) and self._transport.connected:
            self.stats.timeouts += 1
        if isinstance(error, BadReply):
            self.stats.bad_replies += 1
        if isinstance(error, LinkLost | BadReply) or not isinstance(error, DeviceError):
            self._transport.abort()

    async def _stop(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.cancel()
            await asyncio.gather(owner, return_exceptions=True)

"""An asyncio event loop whose clock jumps to the next timer instead of waiting, and whose processes can die.

Everything that runs on it is as fast as its own work and takes the same course every time. There is no file descriptor
and no thread: sockets come from the network handed in, and what asks for a thread runs at once.

A `Process` is what a crash takes away. Callbacks and tasks belong to the process in whose context they were started;
once it is dead none of them runs again, as if the power had gone between two instructions.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, Never, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine


class StalledError(RuntimeError):
    """Every task waits and no timer is left: the program under simulation has hung."""


class Process:
    """One simulated process: alive until `kill`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self._tasks: list[asyncio.Task[Any]] = []

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Keep a task, so that a dead one stays frozen instead of being collected."""
        self._tasks.append(task)
        if len(self._tasks) > 64:
            self._tasks = [each for each in self._tasks if not each.done()]

    def kill(self) -> None:
        """Let nothing of this process run any more."""
        self.alive = False

    def bury(self) -> None:
        """Give back what the frozen tasks of a dead process hold; nothing they still say is heard."""
        for task in self._tasks:
            coroutine = task.get_coro()
            if task.done() or coroutine is None:
                continue
            try:
                coroutine.close()
            except Exception:  # noqa: BLE001, S112 - the dead may protest; there is nobody left whom it concerns
                continue
        self._tasks.clear()


_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("simulated process", default=None)


class Dialer(Protocol):
    """The network behind `create_connection` and `create_server`."""

    def listen(self, host: str, port: int, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.AbstractServer:
        """Take connections to an address."""
        ...

    async def dial(
        self, host: str, port: int, factory: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to an address, or raise OSError after a time."""
        ...


class Datagrams(Protocol):
    """The network behind `create_datagram_endpoint`."""

    def open(self, sock: socket.socket, protocol: asyncio.DatagramProtocol) -> asyncio.DatagramTransport:
        """Carry the datagrams of a bound socket."""
        ...


class _JumpingSelector:
    """Stands where asyncio polls file descriptors: moves the clock to the next timer."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Never]:
        self._loop.jump(timeout)
        return []

    def close(self) -> None:
        """Nothing is open."""


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop; `steps` counts its turns, `after_step` is called after each."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._selector = _JumpingSelector(self)
        self.network: Dialer | None = None
        self.air: Datagrams | None = None
        self.steps = 0
        self.after_step: Callable[[], None] = lambda: None

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now_s

    def jump(self, timeout: float | None) -> None:
        """Move the clock to the next timer when nothing is ready. Raises StalledError when there is none."""
        self.steps += 1
        self.after_step()
        if timeout is None:
            raise StalledError(f"nothing left to do at {self._now_s:.3f} s")
        if timeout > 0:
            scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
            self._now_s = max(self._now_s, scheduled[0].when())

    def start_in(self, process: Process, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task that belongs to a process, as everything it starts will."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, process)
        return context.run(self.create_task, coroutine)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Start a task, and let the running process adopt it."""
        task: asyncio.Task[Any] = super().create_task(coro, **options)
        process = _PROCESS.get()
        if process is not None:
            process.adopt(task)
        return task

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call in the next turn, if the process that asks is alive then."""
        context = contextvars.copy_context() if context is None else context
        process = context.get(_PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(_call_if_alive, process, callback, args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a time, if the process that asks is alive then."""
        context = contextvars.copy_context() if context is None else context
        process = context.get(_PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, _call_if_alive, process, callback, args, context=context)

    def call_outside(self, delay_s: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call later as nobody's doing, whichever process asks: it happens even if that dies."""
        self.call_at(self.time() + delay_s, callback, *args, context=contextvars.Context())

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Any, host: str, port: int, **_options: Any
    ) -> tuple[asyncio.Transport, Any]:
        """Connect through the network handed in."""
        return await self._network().dial(host, port, protocol_factory)

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Any, host: str, port: int, **_options: Any
    ) -> asyncio.AbstractServer:
        """Listen on the network handed in."""
        return self._network().listen(host, port, protocol_factory)

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Any, *, sock: socket.socket
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Send and hear through the air handed in."""
        if self.air is None:
            raise RuntimeError("no air was handed to the virtual loop")
        protocol = protocol_factory()
        return self.air.open(sock, protocol), protocol

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Run what asks for a thread at once: a thread would bring the machine's timing in."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - an executor's outermost edge: every error goes to the future
            future.set_exception(error)
        return future

    def _network(self) -> Dialer:
        if self.network is None:
            raise RuntimeError("no network was handed to the virtual loop")
        return self.network

    def _process_events(self, event_list: list[Never]) -> None:
        """Nothing arrives but through timers."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody is woken."""


def process_of(context: contextvars.Context | None = None) -> Process | None:
    """Return the process that runs now, or that a context belongs to."""
    return _PROCESS.get() if context is None else context.get(_PROCESS)


def run_in(process: Process | None, callback: Callable[..., Any], *args: Any) -> Any:
    """Call something as a process, if it is alive: what the network does when bytes arrive there."""
    if process is None:
        return callback(*args)
    if not process.alive:
        return None
    context = contextvars.copy_context()
    context.run(_PROCESS.set, process)
    return context.run(callback, *args)


def _call_if_alive(process: Process, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if process.alive:
        callback(*args)

"""An in-memory network whose links delay, stall and reset as TCP does: bytes arrive whole, in order, or not at all.

Each connection is a pair of `End`s. What one end writes arrives at the other after a drawn delay, never before what was
written earlier. An end lives in the process that opened it; when that dies the other end is reset.
At most `WINDOW_BYTES` are under way; what is beyond waits in the sender's buffer, which is when the
transport asks its protocol to pause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from simulation.loop import process_of, run_in

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulation.loop import Process, VirtualLoop

WINDOW_BYTES: Final = 65_536
_FIRST_EPHEMERAL_PORT: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWeather:
    """How links behave: delay bounds, and per write the chance of a stall (ms bounds) or a reset."""

    delay_ms: tuple[float, float] = (0.2, 3.0)
    stall_chance: float = 0.0
    stall_ms: tuple[float, float] = (200.0, 3_000.0)
    reset_chance: float = 0.0


class Network:
    """Listeners and links on one virtual loop; every draw comes from the one generator handed in."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, weather: LinkWeather) -> None:
        self._loop = loop
        self._rng = rng
        self.weather = weather
        self._listeners: dict[tuple[str, int], _Listener] = {}
        self._ends: list[End] = []
        self._ports = _FIRST_EPHEMERAL_PORT
        self.resets = 0
        self.stalls = 0
        self.overhear: Callable[[End, bytes], None] = lambda _end, _data: None
        """Hears what an end is given to send, before anything can happen to it."""

    def listen(self, host: str, port: int, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.AbstractServer:
        """Take connections to an address; port 0 is replaced by a free one. Raises OSError when it is taken."""
        port = port or self._next_port()
        if (host, port) in self._listeners:
            raise OSError(98, f"address {host}:{port} already in use")
        listener = _Listener(self, host, port, factory)
        self._listeners[host, port] = listener
        return listener

    async def dial(
        self, host: str, port: int, factory: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect; refused when nobody listens. Both ends are open when this returns."""
        await asyncio.sleep(self.draw_delay_s())
        listener = self._listeners.get((host, port))
        if listener is None:
            raise ConnectionRefusedError(111, f"nobody listens on {host}:{port}")
        here = (host, self._next_port())
        near, far = factory(), run_in(listener.process, listener.factory)
        near_end = End(self, near, own=here, peer=(host, port), process=process_of())
        far_end = End(self, far, own=(host, port), peer=here, process=listener.process)
        near_end.other, far_end.other = far_end, near_end
        self._ends = [end for end in self._ends if not end.is_closing()]
        self._ends += [near_end, far_end]
        run_in(listener.process, far.connection_made, far_end)
        near.connection_made(near_end)
        return near_end, near

    def process_died(self, process: Process) -> None:
        """Reset every connection of a dead process and free its ports, as its kernel does."""
        self._listeners = {place: each for place, each in self._listeners.items() if each.process is not process}
        for end in self._ends:
            if end.process is process and not end.is_closing():
                end.abort()

    def open_ends(self) -> list[End]:
        """Return the ends of open links, the oldest first."""
        return [end for end in self._ends if not end.is_closing()]

    def forget(self, listener: _Listener) -> None:
        """A listener closed."""
        self._listeners.pop((listener.host, listener.port), None)

    def call_at(self, when_s: float, callback: Callable[..., None], *args: Any) -> None:
        """Schedule on the loop, as nobody's doing: what is under way arrives whoever has died meanwhile."""
        self._loop.call_outside(when_s - self._loop.time(), callback, *args)

    def now_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def draw_delay_s(self) -> float:
        """Draw the time one write is under way."""
        weather = self.weather
        delay_ms = self._rng.uniform(*weather.delay_ms)
        if weather.stall_chance and self._rng.random() < weather.stall_chance:
            self.stalls += 1
            delay_ms += self._rng.uniform(*weather.stall_ms)
        return delay_ms / 1_000

    def draws_reset(self) -> bool:
        """Draw whether this write breaks its link."""
        if self.weather.reset_chance and self._rng.random() < self.weather.reset_chance:
            self.resets += 1
            return True
        return False

    def _next_port(self) -> int:
        self._ports += 1
        return self._ports


class _Listener(asyncio.AbstractServer):
    """What `create_server` returns."""

    def __init__(self, network: Network, host: str, port: int, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._network = network
        self.host = host
        self.port = port
        self.factory = factory
        self.process = process_of()
        self.sockets = [_Address(host, port)]

    def close(self) -> None:
        """Take no more connections; open ones stay."""
        self._network.forget(self)

    def is_serving(self) -> bool:
        """Whether connections are taken."""
        return True

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop."""
        return asyncio.get_running_loop()

    async def start_serving(self) -> None:
        """Serving began with the listener."""

    async def serve_forever(self) -> None:
        """Wait until cancelled."""
        await asyncio.get_running_loop().create_future()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""


class _Address:
    """The one thing a server's socket is asked for."""

    def __init__(self, host: str, port: int) -> None:
        self._name = (host, port)

    def getsockname(self) -> tuple[str, int]:
        return self._name


class End(asyncio.Transport):
    """One end of a link, in the process that was running when it was made."""

    def __init__(
        self,
        network: Network,
        protocol: asyncio.BaseProtocol,
        *,
        own: tuple[str, int],
        peer: tuple[str, int],
        process: Process | None,
    ) -> None:
        super().__init__({"peername": peer, "sockname": own})
        self.process = process
        self.port = own[1]
        self.other: End | None = None
        self._network = network
        self._protocol: Any = protocol
        self._waiting: deque[bytes] = deque()
        self._in_flight: deque[bytes] = deque()
        self._under_way = 0
        self._arrives_s = 0.0
        self._high_water = WINDOW_BYTES
        self._paused = False
        self._closing = False
        self._lost = False
        self.is_cut = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002
        """Set the size of the buffer beyond the window at which the protocol is asked to pause."""
        self._high_water = WINDOW_BYTES if high is None else high

    def get_write_buffer_size(self) -> int:
        """Return the bytes that are not even under way."""
        return sum(map(len, self._waiting))

    def is_closing(self) -> bool:
        """Whether the end closes or has closed."""
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, or keep them while the window is full."""
        if self._closing or not data:
            return
        self._network.overhear(self, bytes(data))
        if self._network.draws_reset():
            self.abort()
            return
        self._waiting.append(bytes(data))
        self._pump()
        if self.get_write_buffer_size() > self._high_water and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        """Refuse: nothing in the product stops reading, so a model of it would be untested."""
        raise RuntimeError("the simulated network does not model a reader that pauses")

    def close(self) -> None:
        """Send what waits, then end the connection."""
        if not self._closing:
            self._closing = True
            self._finish_when_sent()

    def cut(self) -> None:
        """Let the line between the two ends go dead: both still look open, and nothing arrives any more."""
        self.is_cut = True
        if self.other is not None and not self.other.is_cut:
            self.other.cut()

    def abort(self) -> None:
        """Break the link: both protocols lose it at once, bytes under way are gone."""
        self._closing = True
        now_s = self._network.now_s()
        self._network.call_at(now_s, self.lose, None)
        if self.other is not None and not self.is_cut:
            self._network.call_at(now_s, self.other.lose, ConnectionResetError(104, "connection reset by peer"))

    def lose(self, error: Exception | None) -> None:
        """The connection is over for this end."""
        self._closing = True
        self._waiting.clear()
        if not self._lost:
            self._lost = True
            run_in(self.process, self._protocol.connection_lost, error)

    def receive(self, data: bytes) -> None:
        """Bytes of the other end arrive."""
        if not self._closing and not self.is_cut:
            run_in(self.process, self._protocol.data_received, data)

    def _pump(self) -> None:
        while self._waiting and self._under_way < WINDOW_BYTES:
            data = self._waiting.popleft()
            self._under_way += len(data)
            self._in_flight.append(data)
            self._arrives_s = max(self._arrives_s, self._network.now_s() + self._network.draw_delay_s())
            self._network.call_at(self._arrives_s, self._arrive)

    def _arrive(self) -> None:
        data = self._in_flight.popleft()
        self._under_way -= len(data)
        if self.other is not None:
            self.other.receive(data)
        if self._lost:
            return
        self._pump()
        if self._paused and not self._waiting:
            self._paused = False
            run_in(self.process, self._protocol.resume_writing)
        if self._closing:
            self._finish_when_sent()

    def _finish_when_sent(self) -> None:
        if self._waiting or self._under_way:
            return
        now_s = self._network.now_s()
        self._network.call_at(now_s, self.lose, None)
        if self.other is not None and not self.is_cut:
            self._network.call_at(now_s + self._network.draw_delay_s(), self.other.lose, None)

"""The same aggregators and server on an event loop whose clock jumps: hours in seconds, and twice the same."""

from __future__ import annotations

import asyncio
import hashlib
import random
import selectors
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.config import AggregatorConfig, load_config
from aggregator.service import Aggregator, Surroundings
from aggregator.testing import StandInBattery
from etp import auction
from etp.auth import AuthPolicy
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.timing import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from aggregator.slot import Conversation, Slot

DELAY_S = 0.01


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: moves the clock instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for somebody else"
        self.now_s += max(0.0, timeout)
        return super().select(0)


class MemoryTransport(asyncio.Transport):
    """One end of a connection with a delay; bytes arrive whole and in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 9)})
        self._loop = loop
        self._protocol = protocol
        self._over = False
        self.peer: MemoryTransport | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        assert self.peer is not None
        self._loop.call_later(DELAY_S, self.peer.arrive, bytes(data))

    def arrive(self, data: bytes) -> None:
        if not self._over:
            self._protocol.data_received(data)

    def is_closing(self) -> bool:
        return self._over

    def close(self) -> None:
        assert self.peer is not None
        self._loop.call_later(DELAY_S, self.peer.end)
        self._loop.call_soon(self.end)

    abort = close

    def end(self) -> None:
        if not self._over:
            self._over = True
            self._protocol.connection_lost(None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without a real clock and without real sockets."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)
        self._doors: dict[int, Callable[[], Any]] = {}

    def time(self) -> float:
        return self._jumping.now_s

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        port = port or 5_000 + len(self._doors)
        self._doors[port] = protocol_factory
        door = SimpleNamespace(getsockname=lambda: (host, port))

        async def closed() -> None:
            self._doors.pop(port, None)

        return SimpleNamespace(sockets=[door], close=lambda: None, wait_closed=closed)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        await asyncio.sleep(DELAY_S)
        if port not in self._doors:
            raise ConnectionRefusedError(f"nobody at port {port}")
        ends = [MemoryTransport(self, factory()) for factory in (protocol_factory, self._doors[port])]
        ends[0].peer, ends[1].peer = ends[1], ends[0]
        for end in ends:
            end._protocol.connection_made(end)
        return ends[0], ends[0]._protocol


def run_virtually(main: Coroutine[Any, Any, None]) -> float:
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
        return loop.time()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def buyer_config(directory: Path, name: str, strategy: str, value_c: float, ports: list[int]) -> AggregatorConfig:
    path = directory / f"{name}.toml"
    batteries = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    path.write_text(
        f'name = "{name}"\nseed = 3\n[network]\npeers = "open"\nbatteries = [{batteries}]\n'
        "[buy]\nneed_kwh = 40\nperiod_h = 1\n"
        f'[value]\nforecast_c = [{value_c}]\nprivate_spread_c = 1\n[strategy]\nname = "{strategy}"\n'
    )
    return load_config(path)


async def market(directory: Path, lines: list[str], hours: float) -> None:
    loop = asyncio.get_running_loop()

    def wall_ms() -> int:
        return 1_700_000_000_000 + int(loop.time() * 1_000)

    sellers = [
        StandInBattery(
            wall_ms=wall_ms,
            delivery_ms=300_000,
            lot_wh=4_000,
            terms=auction.Terms(reserve_e4=50_000 + 10_000 * index),
            clock=PollClock(ticking=False),
        )
        for index in range(3)
    ]
    ports = [await seller.start() for seller in sellers]
    buyers = []
    for index, (name, strategy) in enumerate([("a", "truthful"), ("b", "zip"), ("c", "aggressive")]):
        maker = ConnectionMaker(
            role=Role.AGGREGATOR, device_id=index, policy=AuthPolicy(), limits=Limits(), wall_ms=wall_ms
        )
        clock = PollClock(ticking=False)

        async def dial(
            host: str, port: int, slot: Slot, maker: ConnectionMaker = maker, clock: PollClock = clock
        ) -> Conversation:
            return await connect(host, port, handler=slot, maker=maker, clock=clock)

        config = buyer_config(directory, name, strategy, 10.0 + index, ports)
        buyer = Aggregator(
            config,
            Surroundings(
                device_id=index, dial=dial, wall_ms=wall_ms, rng=random.Random(config.seed), write=lines.append
            ),
        )
        buyer.start()
        buyers.append(buyer)
    await asyncio.sleep(hours * 3_600)
    sold: dict[tuple[int, int], int] = {}
    for seller in sellers:
        assert all(award.confirmed for award in seller.sold.values())
        sold |= {(seller.port, award.bid_id): award.energy_wh for award in seller.sold.values()}
    for buyer in buyers:
        purse = buyer.buyer.purse
        assert purse.bought_wh + purse.committed_wh <= 40_000
        await buyer.stop()
    for seller in sellers:
        await seller.close()
    assert len(sold) > 20


@pytest.mark.slow
def test_hours_of_trading_take_seconds_and_repeat_exactly(tmp_path: Path) -> None:
    hours = 3.5
    traces: list[list[str]] = [[], []]
    for lines in traces:
        assert run_virtually(market(tmp_path, lines, hours)) >= hours * 3_600
    digests = {hashlib.sha256("\n".join(lines).encode()).hexdigest() for lines in traces}
    assert len(digests) == 1
    text = "\n".join(traces[0])
    for event in ("accepted", "confirmed", "refused", "ended"):
        assert f'"event":"{event}"' in text
    for event in ("unanswered", "not_confirmed", "crashed", "unreachable"):
        assert f'"event":"{event}"' not in text

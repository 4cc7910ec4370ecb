"""The pool over real sockets, against a stand-in with the real server and engine."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aggregator.breaker import Circuit
from aggregator.buyer import Buyer, Ids
from aggregator.forecast import Forecast
from aggregator.pool import Pool
from aggregator.purse import Purse
from aggregator.reputation import Reputation
from aggregator.session import Session
from aggregator.stages import Stage
from aggregator.strategies import make_strategy
from aggregator.testing import StandInBattery
from aggregator.value import ValueModel
from etp.auth import AuthPolicy
from etp.discovery import Endpoint
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.limits import Limits
from etp.messages import MessageType
from etp.timing import Role
from settlement import IdentityKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest

    from aggregator.slot import Conversation, Slot

WALL_MS = 1_700_000_000_000
HOST = "127.0.0.1"


def wall_ms() -> int:
    return WALL_MS


class Side:
    """One aggregator: a pool, its buyer, and all events so far."""

    def __init__(
        self,
        *,
        strategy: str = "truthful",
        value_e4: int = 200_000,
        need_wh: int | None = None,
        policy: AuthPolicy | None = None,
        max_batteries: int = 512,
        max_bid_wh: int | None = None,
    ) -> None:
        policy = policy or AuthPolicy()
        maker = ConnectionMaker(role=Role.AGGREGATOR, device_id=9, policy=policy, limits=Limits(), wall_ms=wall_ms)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.told = asyncio.Event()
        self.buyer = Buyer(
            strategy=make_strategy(strategy),
            value=ValueModel(forecast=Forecast.flat(value_e4)),
            purse=Purse(need_wh=need_wh, budget=None),
            reputation=Reputation(),
            draws=lambda _: 0.5,
            wall_ms=wall_ms,
            max_bid_wh=max_bid_wh,
        )
        ids = Ids(WALL_MS)

        async def dial(host: str, port: int, slot: Slot) -> Conversation:
            return await connect(host, port, handler=slot, maker=maker)

        self.pool = Pool(
            dial=dial,
            new_session=lambda battery: Session(
                battery=battery, device_id=9, buyer=self.buyer, ids=ids, signed=policy.peers == "signed"
            ),
            buyer=self.buyer,
            emit=self.emit,
            rng=random.Random(1),
            max_batteries=max_batteries,
        )

    def emit(self, event: str, fields: dict[str, Any]) -> None:
        self.events.append((event, fields))
        self.told.set()

    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [fields for event, fields in self.events if event == name]

    async def until(self, is_so: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not is_so():
                self.told.clear()
                await self.told.wait()


@asynccontextmanager
async def running(*sides: Side) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for side in sides:
            await side.pool.close()


@asynccontextmanager
async def battery(**options: Any) -> AsyncIterator[StandInBattery]:
    stand_in = StandInBattery(wall_ms=wall_ms, **options)
    await stand_in.start()
    try:
        yield stand_in
    finally:
        await stand_in.close()


async def test_a_buyer_alone_pays_the_reserve_confirms_and_hears_the_end() -> None:
    side = Side(need_wh=5_000)
    async with battery() as seller, running(side):
        assert side.pool.add(Endpoint(HOST, seller.port))
        assert not side.pool.add(Endpoint(HOST, seller.port))
        await side.until(lambda: "ended" in side.names())
        assert [name for name in side.names() if name != "refused"] == [
            "connected", "bid", "accepted", "confirmed", "delivering", "ended",
        ]  # fmt: skip
        assert side.of("ended")[0]["delivered_wh"] == 5_000
        assert side.of("accepted")[0]["price_e4"] == 50_000
        assert side.buyer.purse.bought_wh == 5_000
        (sold,) = seller.sold.values()
        assert sold.confirmed
        assert side.of("bid")[0]["battery"] == f"{HOST}:{seller.port}"


async def test_two_buyers_bid_each_other_up_to_the_lower_value() -> None:
    high, low = Side(value_e4=80_000, need_wh=5_000), Side(value_e4=60_000, need_wh=5_000)
    async with battery(lots=1) as seller, running(high, low):
        for side in (high, low):
            side.pool.add(Endpoint(HOST, seller.port))
        await high.until(lambda: "ended" in high.names())
        (sold,) = seller.sold.values()
        assert 59_000 <= sold.price_e4 <= 62_000
        assert low.buyer.purse.committed_wh == low.buyer.purse.bought_wh == 0


async def test_a_confirm_that_was_not_heard_is_repeated() -> None:
    side = Side(need_wh=5_000)
    async with battery(mute_confirms=1) as seller, running(side):
        side.pool.add(Endpoint(HOST, seller.port))
        await side.until(lambda: "confirmed" in side.names())
        assert seller.heard[MessageType.BID_CONFIRM] == 2


async def test_a_lost_connection_is_dialled_again() -> None:
    side = Side(need_wh=100_000)
    async with battery(lots=0) as seller, running(side):
        side.pool.add(Endpoint(HOST, seller.port))
        await side.until(lambda: "connected" in side.names())
        await seller.until_heard(MessageType.QUERY)
        seller.drop()
        await side.until(lambda: side.names().count("connected") == 2)
        assert side.of("lost")


async def test_a_battery_that_is_not_there_opens_the_breaker_and_is_found_when_it_comes() -> None:
    side = Side(need_wh=5_000)
    async with battery(lots=0) as other:
        port = other.port
    async with running(side):
        endpoint = Endpoint(HOST, port)
        side.pool.add(endpoint)
        slot = side.pool.get(endpoint)
        assert slot is not None
        await side.until(lambda: slot.breaker.circuit is Circuit.OPEN)
        assert side.of("unreachable")[-1]["circuit"] == "open"
        seller = StandInBattery(wall_ms=wall_ms)
        await seller.start(port)
        try:
            await side.until(lambda: "ended" in side.names())
            assert slot.breaker.circuit is Circuit.CLOSED
        finally:
            await seller.close()


async def test_signed_sides_prove_their_keys_and_a_trade_survives_the_connection() -> None:
    ours, theirs = IdentityKey(bytes(31) + b"\x01"), IdentityKey(bytes(31) + b"\x02")
    side = Side(need_wh=5_000, policy=AuthPolicy(peers="signed", signer=ours, trusted=frozenset({theirs.public_key})))
    policy = AuthPolicy(peers="signed", signer=theirs)
    async with battery(policy=policy, delivery_ms=700) as seller, running(side):
        side.pool.add(Endpoint(HOST, seller.port))
        await side.until(lambda: "confirmed" in side.names())
        assert all(peer == f"key:{ours.public_key.hex()}" for peer, _ in seller.sold)
        seller.drop()
        await side.until(lambda: "ended" in side.names())
        assert side.names().count("connected") == 2
        assert "adrift" not in side.names()
        assert side.buyer.purse.bought_wh == 5_000


async def test_an_unsigned_trade_is_adrift_when_its_connection_breaks() -> None:
    side = Side(need_wh=5_000)
    async with battery(delivery_ms=60_000) as seller, running(side):
        side.pool.add(Endpoint(HOST, seller.port))
        await side.until(lambda: "confirmed" in side.names())
        seller.drop()
        await side.until(lambda: "adrift" in side.names())
        assert side.buyer.purse.committed_wh == 5_000


async def test_need_that_becomes_free_goes_to_the_battery_that_waits_for_it() -> None:
    side = Side(need_wh=5_000)
    async with battery(delivers_permille=0) as dud, battery(lots=0) as other, running(side):
        side.pool.add(Endpoint(HOST, dud.port))
        await side.until(lambda: "accepted" in side.names())
        side.pool.add(Endpoint(HOST, other.port))
        await side.until(lambda: side.names().count("ended") >= 2)
        assert side.buyer.purse.bought_wh == 0


async def test_many_batteries_trade_at_once_and_every_confirm_is_in_limit() -> None:
    side = Side(max_bid_wh=1_000)
    sellers = [StandInBattery(wall_ms=wall_ms, lots=1, lot_wh=1_000) for _ in range(100)]
    try:
        for seller in sellers:
            await seller.start()
        async with running(side):
            for seller in sellers:
                side.pool.add(Endpoint(HOST, seller.port))
            await side.until(lambda: side.names().count("ended") == 100, 30)
            assert side.pool.connected == len(side.pool) == 100
            for slot in side.pool:
                assert slot.link is not None
                book = slot.link.connection.latency.by_type[MessageType.BID_CONFIRM]  # type: ignore[attr-defined]
                assert (book.count, book.late) == (1, 0)
    finally:
        for seller in sellers:
            await seller.close()


async def test_the_pool_is_bounded_and_forgets_only_idle_batteries() -> None:
    side = Side(max_batteries=1, need_wh=5_000)
    async with battery() as seller, running(side):
        endpoint = Endpoint(HOST, seller.port)
        assert side.pool.add(endpoint)
        assert not side.pool.add(Endpoint(HOST, 1))
        assert side.pool.get(Endpoint(HOST, 1)) is None
        await side.until(lambda: "confirmed" in side.names())
        assert not side.pool.remove(endpoint)
        assert not side.pool.remove(Endpoint(HOST, 1))
        await seller.close()
        await side.until(lambda: "lost" in side.names())
        assert not side.pool.remove(endpoint)


async def test_a_battery_without_trades_or_connection_is_forgotten() -> None:
    side = Side()
    async with battery(lots=0) as other:
        endpoint = Endpoint(HOST, other.port)
    async with running(side):
        side.pool.add(endpoint)
        await side.until(lambda: "unreachable" in side.names())
        assert side.pool.remove(endpoint)
        assert len(side.pool) == 0


async def test_a_device_failure_is_told_and_trading_goes_on_elsewhere() -> None:
    side = Side(need_wh=50_000)
    async with battery() as seller, running(side):
        side.pool.add(Endpoint(HOST, seller.port))
        await side.until(lambda: "bid" in side.names())
        seller.fail()
        await side.until(lambda: "failed" in side.names())


async def test_a_fault_of_ours_is_told_and_does_not_end_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.pool.CRASH_S", 0.01)
    side = Side()
    calls = 0

    async def dial(host: str, port: int, slot: Slot) -> Conversation:
        nonlocal calls
        calls += 1
        raise ValueError("a mistake")

    side.pool._dial = dial
    async with running(side):
        side.pool.add(Endpoint(HOST, 1))
        await side.until(lambda: side.names().count("crashed") == 2)
    assert calls >= 2


async def test_a_stopped_pool_leaves_no_connection_and_no_task() -> None:
    side = Side(need_wh=50_000)
    async with battery(lots=0) as seller:
        endpoint = Endpoint(HOST, seller.port)
        side.pool.add(endpoint)
        slot = side.pool.get(endpoint)
        assert slot is not None
        await side.until(lambda: "connected" in side.names())
        await side.pool.close()
        assert slot.session.stage is Stage.DOWN
        assert len(side.pool) == 0
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("battery ")] == []

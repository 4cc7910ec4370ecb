"""What a lot teaches about what buyers would pay: from which bids, and from which not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lot_lesson import LotLesson
from agent.pricing import LotSeen, Parts
from agent.records import Kind
from etp.auction import Bid, Refuse
from etp.messages import MessageType, ReasonCode
from tests.agent.gateway_world import World, run, world

if TYPE_CHECKING:
    from pathlib import Path

CAP_E4 = 1_000
LOT_WH = 1_200
BIDS = st.lists(
    st.builds(Bid, st.sampled_from("abcd"), st.just(1), st.integers(0, 1_100), st.sampled_from([100, 500, 600, 1_200])),
    max_size=12,
)


def lesson(reserve_e4: int = 300, basis: str = "forecast") -> LotLesson:
    return LotLesson(Parts(reserve_e4, 0, 200, 150, 50, 100, basis), CAP_E4, LOT_WH)  # type: ignore[arg-type]


@given(BIDS, st.integers(0, 500), st.integers(0, 12))
def test_it_is_the_two_highest_bidders_best_bids_for_half_of_the_lot_or_more(
    bids: list[Bid], reserve_e4: int, cut: int
) -> None:
    found = lesson(reserve_e4)
    found.heed(bids[:cut])
    found.heed(bids[cut:])
    best: dict[str, int] = {}
    for bid in bids:
        if reserve_e4 <= bid.price_e4 <= CAP_E4 and bid.energy_wh >= LOT_WH // 2:
            best[bid.peer] = max(bid.price_e4, best.get(bid.peer, 0))
    first, second, *_ = [*sorted(best.values(), reverse=True), None, None]
    assert found.is_bid_for == bool(best)
    assert found.seen(3) == LotSeen(200, reserve_e4, 3, first, second)


def test_a_lot_whose_cost_nobody_knew_teaches_nothing() -> None:
    assert not lesson(basis="fallback").teaches
    assert lesson(basis="kept").teaches


RESERVE = """
[battery.reserve]
kind = "dynamic"
floor_c_per_kwh = 8.00
wear_c_per_kwh = 5.00
[battery.reserve.sell]
kind = "flat"
c_per_kwh = 25.00
"""


def learnt(here: World) -> list[tuple[int | None, int | None]]:
    return [(record.body["best_e4"], record.body["second_e4"]) for record in here.records(Kind.LOT_SEEN)]


@pytest.mark.parametrize(
    ("ghost", "code"),
    [
        ((30.0, 5.0), ReasonCode.NOT_ENOUGH_ENERGY),
        ((30.0, 2.0), ReasonCode.COVER_TOO_SMALL),
        ((24.0, 2.0), ReasonCode.PRICE_TOO_LOW),
    ],
)
def test_a_bid_that_could_promise_nothing_teaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ghost: tuple[float, float], code: ReasonCode
) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=RESERVE) as here:
            monkeypatch.setattr(
                here.seller,
                "covers",
                lambda received, _price, _wh: code != ReasonCode.COVER_TOO_SMALL or received.body.bid_price != ghost[0],
            )
            one, other = await here.connect(), await here.connect()
            one.register()
            other.register()
            assert (await other.bid(*ghost)).body.termination_code == code
            bid_id = one.bids(26.0, 2.0)
            await asyncio.sleep(0.05)
            assert (await other.bid(*ghost)).body.termination_code == code
            accept = await one.until(MessageType.BID_ACCEPT, message_id=bid_id)
            one.confirm(accept.body)
            await here.until(lambda: bool(learnt(here)))
            assert learnt(here) == [(260_000, None)]

    run(scenario())


def test_a_bid_under_a_used_id_teaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=RESERVE) as here:
            monkeypatch.setattr(here.seller, "is_trade", lambda key: key[1] == 77)
            one, other = await here.connect(), await here.connect()
            one.register()
            assert (await other.bid(30.0, 1.0, bid_id=77)).body.termination_code == ReasonCode.DUPLICATE_ID
            await one.trade(26.0, 1.0)
            await one.trade(26.5, 1.0)
            await here.until(lambda: bool(learnt(here)))
            assert learnt(here) == [(265_000, None)]

    run(scenario())


@pytest.mark.parametrize("code", list(ReasonCode))
def test_of_refused_bids_only_beaten_ones_teach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: ReasonCode
) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=RESERVE) as here:
            heard: list[Bid] = []
            monkeypatch.setattr(here.seller, "heed", heard.extend)
            entered, refused = Bid("a", 1, 300_000, 2_000), Bid("b", 1, 310_000, 2_000)
            here.seller.desk.bids_judged([entered, refused], [Refuse("b", 1, code, 300_000)])
            assert heard == ([entered, refused] if code in {ReasonCode.OUTBID, ReasonCode.BUSY} else [entered])

    run(scenario())


def test_a_beaten_bid_teaches_and_one_for_a_crumb_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=RESERVE) as here:
            one, other, crumb = [await here.connect() for _ in range(3)]
            one.register()
            other.register()
            bid_id = one.bids(28.0, 1.9)
            await asyncio.sleep(0.05)
            assert (await other.bid(27.0, 2.0)).body.termination_code == ReasonCode.OUTBID
            small_id = crumb.bids(30.0, 0.1)
            accept = await one.until(MessageType.BID_ACCEPT, message_id=bid_id)
            one.confirm(accept.body)
            small = await crumb.until(MessageType.BID_ACCEPT, message_id=small_id)
            crumb.confirm(small.body)
            await here.until(lambda: bool(learnt(here)))
            assert learnt(here) == [(280_000, 270_000)]

    run(scenario())


def test_a_lot_sold_in_crumbs_teaches_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=RESERVE) as here:
            one = await here.connect()
            one.register()
            for _ in range(4):
                await one.trade(30.0, 0.5)
            await here.until(lambda: len(here.records(Kind.LOT_CLOSED)) == 1)
            assert learnt(here) == []

    run(scenario())

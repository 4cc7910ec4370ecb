"""One battery made from the site file: what it may not sell, and what it takes on from an earlier start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.books_types import BookedShield, BookedStanding, Books
from agent.storefront import CLOCK, COMMISSIONING
from etp.messages import MessageType, ReasonCode
from tests.agent.gateway_world import WALL_START_MS, key, now_ms, run, world

if TYPE_CHECKING:
    from pathlib import Path


def test_outside_a_lab_nothing_is_sold(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, selling=False, site="") as here:
            await asyncio.sleep(5)
            assert "commissioned" in here.seller.stopped[COMMISSIONING]
            buyer = await here.connect()
            assert (await buyer.bid(90.0, 0.1)).body.termination_code == ReasonCode.WITHDRAWN
            here.gateway.owner_desk().resume(None)  # nothing that an owner can wave through
            assert COMMISSIONING in here.seller.stopped

    run(scenario())


def test_unsigned_buyers_do_not_care_for_the_clock(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            here.front.trust_clock(trusted=False)
            assert CLOCK not in here.seller.stopped
            assert (await buyer.bid(40.0, 0.1)).body.message_type == 4
            here.front.trust_clock(trusted=True)

    run(scenario())


@pytest.mark.parametrize(("minimum", "reserve_e4"), [("0.0", 120_000), ("15.0", 150_000)])
def test_the_owner_s_reserve_comes_back_but_not_below_the_site_s_minimum(
    tmp_path: Path, minimum: str, reserve_e4: int
) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=f"reserve_min_c = {minimum}") as here:
            here.front.restore(Books(battery="battery-1", reserve_e4=120_000))
            assert here.seller.terms().reserve_e4 == reserve_e4

    run(scenario())


def test_standings_come_back_with_their_times(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await asyncio.sleep(10)
            wall_ms = WALL_START_MS + now_ms()
            booked = {
                "key:blocked": BookedStanding(
                    score=4_000, trades=2, next_penalty_ms=40_000, blocked_until_wall_ms=wall_ms + 5_000, at_wall_ms=0
                ),
                "key:free": BookedStanding(
                    score=6_000, trades=9, next_penalty_ms=10_000, blocked_until_wall_ms=1, at_wall_ms=wall_ms + 9_000
                ),
            }
            here.front.restore(Books(battery="battery-1", standings=booked))
            book, at_ms = here.seller.reputation, now_ms()
            assert book.refuses("key:blocked", at_ms)
            assert not book.refuses("key:blocked", at_ms + 5_001)
            assert not book.refuses("key:free", at_ms)
            assert book.standing("key:blocked").next_penalty_ms == 40_000
            assert book.standing("key:blocked").score_at(at_ms) == 5_000  # it has had years to recover
            assert book.standing("key:free").score_at(at_ms) == 6_000  # a clock set back makes nobody older

    run(scenario())


def test_a_clock_that_was_set_back_makes_no_penalty_longer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            year_ms = 365 * 86_400_000
            booked = BookedStanding(
                score=4_000,
                trades=2,
                next_penalty_ms=40_000,
                blocked_until_wall_ms=WALL_START_MS + year_ms,
                at_wall_ms=WALL_START_MS + year_ms,
            )
            here.front.restore(Books(battery="battery-1", standings={"key:blocked": booked}))
            assert here.seller.reputation.refuses("key:blocked", now_ms() + 39_000)
            assert not here.seller.reputation.refuses("key:blocked", now_ms() + 41_000)

    run(scenario())


def test_a_signed_buyer_is_not_blamed_for_being_sent_away_when_the_clock_is_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            winner, bidder = await here.connect(key(1)), await here.connect(key(2))
            accept = await winner.bid(40.0, 0.5)
            bid_id = bidder.bids(40.0, 0.5)
            await asyncio.sleep(0.05)
            here.front.trust_clock(trusted=False)
            await winner.until_closed()
            await bidder.until_closed()
            (ended,) = winner.said(MessageType.TERMINATE, message_id=accept.body.message_id)
            assert ended.body.termination_code == ReasonCode.WITHDRAWN
            (refused,) = bidder.said(MessageType.BID_REJECT, message_id=bid_id)
            assert refused.body.termination_code == ReasonCode.WITHDRAWN
            await asyncio.sleep(2)
            assert here.records("reputation") == []
            assert here.seller.desk.lots.open_lot()[0] > 0
            here.front.trust_clock(trusted=True)

    run(scenario())


@pytest.mark.parametrize(("ahead_ms", "stands"), [(1_500, True), (365 * 86_400_000, True), (-1, False)])
def test_a_shield_that_has_not_ended_shields_the_next_lot(tmp_path: Path, ahead_ms: int, stands: bool) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            shield = BookedShield(450_000, WALL_START_MS + now_ms() + ahead_ms)
            here.seller.block("test", "so that the next lot is a new one")
            here.front.restore(Books(battery="battery-1", shield=shield))
            here.seller.unblock("test")
            buyer = await here.connect()
            assert (await buyer.ask()).sale_price_e4 == (450_000 if stands else 300_000)
            await asyncio.sleep(2)
            assert (await buyer.ask()).sale_price_e4 == 300_000

    run(scenario())


def test_owner_s_stop_and_contradictions_come_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.front.restore(Books(battery="battery-1", stopped=True, contradictions=("record 7: odd", "record 9")))
            assert set(here.seller.stopped) == {"owner", "journal contradiction"}
            assert "record 7: odd" in here.seller.stopped["journal contradiction"]
            here.gateway.owner_desk().resume("battery-1")
            assert here.seller.stopped == {}

    run(scenario())


def test_the_site_s_limits_reach_the_offer(tmp_path: Path) -> None:
    async def scenario() -> None:
        limits = "max_power_w = 2000\nmin_power_w = 100\ncapacity_wh = 10000\nfloor_percent = 50\nshare_percent = 50"
        async with world(tmp_path, battery=f"{limits}\nlot_kwh = 1.0\nprice_cap_c = 100.0") as here:
            offer = here.seller.offer
            # half of what is usable at full charge stays: (80 - 50) % of 10 kWh less 25 %, at 95 %
            assert (offer.usable_wh, offer.sellable_wh) == (2_850, 475)
            assert (offer.lot_wh, offer.free_power_w, offer.min_power_w) == (400, 2_000, 100)
            buyer = await here.connect()
            assert (await buyer.bid(100.01, 0.1)).body.termination_code == ReasonCode.MALFORMED
            assert (await buyer.bid(100.0, 0.1)).body.message_type == 4

    run(scenario())


@pytest.mark.parametrize("rule", ["sealed_first", "sealed_second", "ascending_clock"])
def test_other_rules_trade_too(tmp_path: Path, rule: str) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=f'rule = "{rule}"') as here:
            first, second = await here.connect(), await here.connect()
            first_id, second_id = first.bids(60.0, 2.0), second.bids(50.0, 2.0)
            won = await first.until(4, 6, message_id=first_id)
            lost = await second.until(4, 6, message_id=second_id)
            assert (won.body.message_type, lost.body.message_type) == (4, 6)
            price = {"sealed_first": 600_000, "sealed_second": 500_000}.get(rule)
            assert won.body.sale_price_e4 == price or (price is None and 490_000 <= won.body.sale_price_e4 <= 510_000)

    run(scenario())

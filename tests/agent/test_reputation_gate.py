"""Reputation gates and never weighs the price: whoever may bid is judged by the bid alone (ETP section 6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.pricing import SLOT_MS
from etp.messages import MessageType, ReasonCode
from tests.agent.gateway_world import key, run, world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.gateway_world import Buyer, World


async def lapse(buyer: Buyer) -> None:
    """Win an award and leave it unconfirmed until it is void."""
    accept = await buyer.bid(40.0, 1.0)
    assert accept.body.message_type == MessageType.BID_ACCEPT
    await buyer.until(MessageType.BID_REJECT, message_id=accept.body.message_id)


def score(here: World, number: int) -> int:
    return here.seller.reputation.standing(f"key:{key(number).public_key.hex()}").score


def test_a_late_buyer_sinks_and_below_the_floor_it_is_refused_until_it_has_recovered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery="reputation_floor = 4400") as here:
            late, other = await here.connect(key(1)), await here.connect(key(2))
            await lapse(late)
            assert score(here, 1) == 5_000 - 625
            refused = await late.bid(90.0, 1.0)
            assert refused.body.termination_code == ReasonCode.NOT_TRUSTED
            await asyncio.sleep(11)  # the penalty of 10 s is over, the floor is not
            refused = await late.bid(90.0, 1.0)
            assert refused.body.termination_code == ReasonCode.NOT_TRUSTED
            assert (await other.bid(40.0, 1.0)).body.message_type == MessageType.BID_ACCEPT
            await asyncio.sleep(900)  # 25 points come back
            accepted = await (await here.connect(key(1))).bid(40.0, 1.0)
            assert accepted.body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_a_confirm_that_comes_too_late_is_no_trade_and_sinks_the_buyer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            late = await here.connect(key(1))
            accept = await late.bid(40.0, 1.0)
            await asyncio.sleep(1.2)
            late.confirm(accept.body)
            refused = await late.until(MessageType.BID_REJECT, message_id=accept.body.message_id)
            assert refused.body.termination_code == ReasonCode.NOT_CONFIRMED
            assert score(here, 1) < 5_000
            assert here.records("confirmed") == []

    run(scenario())


@pytest.mark.parametrize("first", [1, 2])
def test_of_two_equal_bids_the_first_stands_whatever_is_thought_of_its_buyer(first: int, tmp_path: Path) -> None:
    """Key 1 has let awards lapse, key 2 has confirmed trades: neither is asked more, nor preferred."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyers = {number: await here.connect(key(number)) for number in (1, 2)}
            await lapse(buyers[1])
            await buyers[2].trade(50.0, 0.1)
            await asyncio.sleep(60)
            assert score(here, 1) < 5_000 < score(here, 2)
            quotes = [(await buyers[number].ask(1_000)).sale_price_e4 for number in (1, 2)]
            assert quotes[0] == quotes[1] == 300_000
            lot_wh = here.seller.desk.lots.open_lot()[0]
            second = 3 - first
            bid_id = buyers[first].bids(40.0, lot_wh / 1_000)
            await asyncio.sleep(0.02)
            beaten = await buyers[second].bid(40.0, lot_wh / 1_000)
            assert beaten.body.termination_code == ReasonCode.OUTBID
            assert beaten.body.sale_price_e4 == 401_000
            won = await buyers[first].until(MessageType.BID_ACCEPT, message_id=bid_id)
            assert won.body.sale_price_e4 == 400_000

    run(scenario())


def test_a_dynamic_reserve_is_the_same_for_everybody(tmp_path: Path) -> None:
    reserve = (
        '[battery.reserve]\nkind = "dynamic"\nfloor_c_per_kwh = 8\nwear_c_per_kwh = 5\n'
        '[battery.reserve.sell]\nkind = "flat"\nc_per_kwh = 25'
    )

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve) as here:
            late, other = await here.connect(key(1)), await here.connect(key(2))
            await lapse(late)
            await other.trade(50.0, 0.1)
            await asyncio.sleep(SLOT_MS / 1_000)
            assert (await late.ask(1_000)).sale_price_e4 == (await other.ask(1_000)).sale_price_e4 == 250_000

    run(scenario())

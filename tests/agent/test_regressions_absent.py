"""Buyers that are away when something of theirs ends: what they left behind holds, and they hear of it on return."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.records import Kind
from etp.messages import MessageType, ReasonCode
from tests.agent.market_lab import ANSWERS, Lab, c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.market_lab import Buyer

TRADE_S = 120


async def back(lab: Lab) -> Buyer:
    """Return a new process of the buyer that has registered."""
    again = await lab.buyer()
    again.register()
    return again


async def told_the_end(buyer: Buyer) -> tuple[int, int]:
    """Return code and delivered Wh."""
    body = await buyer.until(MessageType.TERMINATE, about=1, within_s=2)
    return body.termination_code, body.energy_wh


def test_the_shield_of_an_abandoned_standing_bid_survives_a_crash(tmp_path: Path) -> None:
    lab = Lab(tmp_path, standing_ms=400)

    async def story() -> None:
        await lab.up()
        alice, bob = await lab.buyer("alice"), await lab.buyer("bob")
        alice.bid(1, 30, 500)
        await asyncio.sleep(0.05)
        bob.bid(1, 20, 500)
        await bob.until(MessageType.BID_REJECT, about=1)
        alice.lose_link()
        await asyncio.sleep(0.05)
        left_ms = lab.now_ms
        assert (await bob.asks(2)).sale_price_e4 == c(20)
        lab.host.crash()
        lab.host.boot()
        await asyncio.sleep(0.5)
        bob = await lab.buyer("bob")
        bob.bid(3, 15, 500)
        refused = await bob.until(*ANSWERS, about=3)
        assert (refused.message_type, refused.termination_code) == (MessageType.BID_REJECT, ReasonCode.OUTBID)
        assert (await bob.asks(4)).sale_price_e4 == c(20)
        await asyncio.sleep((left_ms + 2_100 - lab.now_ms) / 1_000)
        assert (await bob.asks(5)).sale_price_e4 == c(10)

    lab.run(story())


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(("why", "code"), [("lapse", ReasonCode.NOT_CONFIRMED), ("fault", ReasonCode.FAULT)])
def test_an_award_that_ends_while_its_signed_buyer_is_away_is_told_on_return(
    tmp_path: Path, why: str, code: int, crash: bool
) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        read = asyncio.Event()
        lab.front().battery.on_change(lambda _state: read.set())
        await read.wait()  # the next reading comes before the award could lapse
        accept = await buyer.wins(1, 12, 300)
        buyer.lose_link()
        if why == "fault":
            lab.device().troubles.fault = "contactor"
        await asyncio.sleep(2)
        lab.device().troubles.fault = ""
        (void,) = [record.body for record in lab.host.records() if record.kind == Kind.VOID]
        assert (void["code"], void["untold"]) == (code, True)
        if crash:
            await lab.crash_and_boot()
        again = await back(lab)
        assert await told_the_end(again) == (code, 0)
        again.confirm(accept)
        await asyncio.sleep(1)
        assert not again.of(MessageType.BESS_STATUS, about=1)
        assert not lab.books().trades

    lab.run(story())


def test_an_award_that_ends_while_its_buyer_listens_is_not_told_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.wins(1, 12, 300)
        refused = await buyer.until(MessageType.BID_REJECT, about=1, within_s=2)
        assert refused.termination_code == ReasonCode.NOT_CONFIRMED
        await asyncio.sleep(0.5)
        (void,) = [record.body for record in lab.host.records() if record.kind == Kind.VOID]
        assert not void["untold"]
        again = await back(lab)
        await asyncio.sleep(1)
        assert again.of(MessageType.TERMINATE) == []

    lab.run(story())


def test_an_award_ends_on_the_connection_that_its_buyer_has_come_back_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.wins(1, 12, 300)
        buyer.lose_link()
        again = await lab.buyer()
        refused = await again.until(MessageType.BID_REJECT, about=1, within_s=2)
        assert refused.termination_code == ReasonCode.NOT_CONFIRMED

    lab.run(story())


def test_a_bid_sent_again_after_its_award_fell_through_is_not_accepted_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.wins(1, 12, 300)
        buyer.lose_link()
        await asyncio.sleep(2)
        again = await lab.buyer()
        again.bid(1, 12, 300)
        assert await told_the_end(again) == (ReasonCode.NOT_CONFIRMED, 0)
        assert not again.of(*ANSWERS, about=1)

    lab.run(story())


@pytest.mark.parametrize("ended", ["trade", "award"])
def test_a_bid_id_used_again_after_an_end_that_nobody_answered_makes_a_trade(tmp_path: Path, ended: str) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        if ended == "trade":
            await buyer.buys(1, 12, 100)
        else:
            await buyer.wins(1, 12, 100)
        buyer.lose_link()
        await asyncio.sleep(TRADE_S)
        again = await lab.buyer()
        await told_the_end(again)  # as every time it registers
        await asyncio.sleep(0.01)
        since_ms = lab.now_ms
        again.confirm(await again.wins(1, 15, 300))
        await again.until(MessageType.BESS_STATUS, about=1, since_ms=since_ms)
        assert [trade.deal.energy_wh for trade in lab.books().trades.values()] == [300]
        assert again.of(MessageType.TERMINATE, since_ms=since_ms) == []

    lab.run(story())


def test_ends_are_told_once_on_each_connection(tmp_path: Path) -> None:
    """A buyer that registers over and over makes the battery sign nothing over and over."""
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.buys(1, 12, 100)
        buyer.lose_link()
        await asyncio.sleep(TRADE_S)
        for _ in range(2):
            again = await lab.buyer()
            for number in range(5):
                await asyncio.sleep(0.1)
                again.register(2_000 + number)
            await asyncio.sleep(0.1)
            assert [end.body.message_id for end in again.of(MessageType.TERMINATE)] == [1]

    lab.run(story())

"""The reason codes of a Bid, in the protocol's order: whatever else is wrong too, the first that applies is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from etp.limits import Limits
from etp.messages import Body, MessageType, ReasonCode
from tests.agent.gateway_world import BUYER_ID, Buyer, World, run, world

if TYPE_CHECKING:
    from pathlib import Path

ORDER: Final = (
    ReasonCode.MALFORMED,
    ReasonCode.DUPLICATE_ID,
    ReasonCode.NOT_TRUSTED,
    ReasonCode.BUSY,
    ReasonCode.WITHDRAWN,
    ReasonCode.FAULT,
    ReasonCode.NO_LOT,
    ReasonCode.NOT_ENOUGH_ENERGY,
    ReasonCode.PRICE_TOO_LOW,
    ReasonCode.COVER_TOO_SMALL,
    ReasonCode.OUTBID,
)
TAKEN_ID: Final = 77
RIVAL_C: Final = 60.0


async def make_wrong(
    here: World, buyer: Buyer, rival: Buyer, codes: set[ReasonCode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bring about the state of battery and buyer that these codes stand for."""
    if ReasonCode.DUPLICATE_ID in codes:
        await buyer.bid(1.0, 0.1, TAKEN_ID)
    if ReasonCode.NOT_TRUSTED in codes:
        lapsed = await buyer.bid(40.0, 0.1)
        await buyer.until(MessageType.BID_REJECT, message_id=lapsed.body.message_id)
    if ReasonCode.COVER_TOO_SMALL in codes:
        monkeypatch.setattr(here.seller, "covers", lambda received, _price, _wh: received.body.bid_price == RIVAL_C)
    if ReasonCode.NO_LOT in codes:
        here.device.model.set_soc(200)
        await here.until(lambda: not here.seller.desk.lots.open_lot()[0])
    if ReasonCode.FAULT in codes:
        here.device.troubles.fault = "contactor"
        await here.until(lambda: here.seller.offer.code == ReasonCode.FAULT)
    if ReasonCode.WITHDRAWN in codes:
        here.seller.block("owner", "holiday")
    if ReasonCode.NO_LOT not in codes:
        rival.bids(RIVAL_C, 2.0)
        await asyncio.sleep(0.01)
    if ReasonCode.BUSY in codes:
        for _ in range(Limits().burst + 20):
            buyer.register()


def wrong_bid(codes: set[ReasonCode], *, above_cap: bool) -> Body:
    """Return a bid that is wrong in the ways of these codes."""
    price, kwh = 40.0, 2.0
    if ReasonCode.PRICE_TOO_LOW in codes:
        price = 20.0
    if ReasonCode.NOT_ENOUGH_ENERGY in codes:
        kwh = 2.1
    if ReasonCode.MALFORMED in codes and above_cap:
        price = 2_030.01
    elif ReasonCode.MALFORMED in codes:
        kwh = 0.0
    bid_id = TAKEN_ID if ReasonCode.DUPLICATE_ID in codes else 99
    return Body(MessageType.BID, bid_id, BUYER_ID, bid_price=price, required_energy_amount=kwh)


@pytest.mark.parametrize(
    ("first", "above_cap"),
    [(0, False), *((number, True) for number in range(len(ORDER)))],
    ids=["no quantity", "above the cap", *(code.name for code in ORDER[1:])],
)
def test_the_first_code_that_applies_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, above_cap: bool
) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, rival = await here.connect(), await here.connect()
            codes = set(ORDER[first:])
            await make_wrong(here, buyer, rival, codes, monkeypatch)
            bid = wrong_bid(codes, above_cap=above_cap)
            said = len(buyer.said(MessageType.BID_REJECT, message_id=bid.message_id))
            buyer.send(bid)
            refused = await buyer.until(MessageType.BID_REJECT, message_id=bid.message_id, count=said + 1)
            assert refused.body.termination_code == ORDER[first]
            assert refused.body.sale_price_e4 == (300_000 if ReasonCode.NO_LOT in codes else 601_000)

    run(scenario())


def test_a_bid_refused_for_its_buyer_above_the_rate_takes_no_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """6 is said where the connection had decided 7; the same bid may come again and is judged."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, rival = await here.connect(), await here.connect()
            await make_wrong(here, buyer, rival, {ReasonCode.NOT_TRUSTED, ReasonCode.BUSY}, monkeypatch)
            refused = await buyer.bid(40.0, 0.1, 99)
            assert refused.body.termination_code == ReasonCode.NOT_TRUSTED
            assert refused.extensions.reason == ""
            await asyncio.sleep(12)
            buyer.bids(41.0, 0.1, 99)
            await buyer.until(MessageType.BID_ACCEPT, message_id=99)

    run(scenario())


def test_a_query_above_the_rate_is_answered_with_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, rival = await here.connect(), await here.connect()
            assert (await buyer.ask()).termination_code == ReasonCode.NONE
            await make_wrong(here, buyer, rival, {ReasonCode.BUSY}, monkeypatch)
            assert (await buyer.ask()).termination_code == ReasonCode.BUSY

    run(scenario())

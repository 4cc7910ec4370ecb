"""docs/etp.md tells an unsigned buyer what the battery really does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from tests.agent.gateway_world import BUYER_ID, run, world

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "etp.md").read_text().split())


def test_the_price_to_beat_of_the_example(tmp_path: Path) -> None:
    (found,) = re.findall(
        r"while ([\d.]+) kWh at ([\d.]+) stands in a lot of ([\d.]+) kWh with a reserve of ([\d.]+), it is ([\d.]+) "
        r"for ([\d.]+) kWh, which fits beside it, but ([\d.]+) for ([\d.]+) kWh and ([\d.]+) for ([\d.]+) kWh",
        PAGE,
    )
    standing_kwh, standing_c, lot_kwh, reserve_c, *told = map(float, found)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            assert here.seller.desk.lots.open_lot()[0] == lot_kwh * 1_000
            first, second = await here.connect(), await here.connect()
            assert (await second.ask()).sale_price == reserve_c
            first.bids(standing_c, standing_kwh)
            await asyncio.sleep(0.05)
            for price_c, kwh in zip(told[::2], told[1::2], strict=True):
                assert (await second.ask(int(kwh * 1_000))).sale_price == price_c

    run(scenario())


def test_what_a_buyer_that_registers_and_buys_the_whole_lot_is_told(tmp_path: Path) -> None:
    assert "A Register comes back only for one that is signed." in PAGE
    assert "may come before the Accept" in PAGE

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            buyer.send(Body(MessageType.REGISTER, buyer.next_id(), BUYER_ID))
            await asyncio.sleep(0.1)
            (offer,) = (frame.body for frame in buyer.frames)
            assert (offer.message_type, offer.energy_wh, offer.termination_code) == (
                MessageType.QUERY_RESPONSE,
                2_000,
                0,
            )
            accept = await buyer.bid(45.0, 2.0)
            standing, gone = (frame.body for frame in buyer.frames[1:-1])
            assert buyer.frames[-1] is accept
            assert (standing.bid_price, gone.bid_price) == (45.0, 0)
            assert (gone.energy_wh, gone.termination_code, gone.sale_price) == (0, ReasonCode.NO_LOT, 30.0)
            buyer.confirm(accept.body)
            own = await buyer.until(MessageType.BESS_STATUS, message_id=accept.body.message_id)
            assert own.body.energy_wh == 0
            await asyncio.sleep(5.5)
            (unasked,) = (
                frame.body for frame in buyer.said(MessageType.BESS_STATUS) if frame.body.message_id >= FIRST_BATTERY_ID
            )
            assert (unasked.energy_wh, unasked.termination_code) == (0, 0)
            assert unasked.remaining_battery_energy > 0

    run(scenario())


def test_an_id_that_is_taken_and_what_is_said_of_nothing(tmp_path: Path) -> None:
    assert "a Reject 13 may come before the answer of the frame that has the id" in PAGE
    assert (
        "A Confirm for which there is no award is answered with a Reject 10, a Terminate for no trade with nothing"
        in PAGE
    )

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            buyer.bids(45.0, 1.0, 9)
            buyer.bids(46.0, 1.0, 9)
            accept = await buyer.until(MessageType.BID_ACCEPT)
            assert [(frame.body.message_type, frame.body.termination_code) for frame in buyer.said(message_id=9)] == [
                (MessageType.BID_REJECT, ReasonCode.DUPLICATE_ID),
                (MessageType.BID_ACCEPT, 0),
            ]
            assert accept.body.sale_price == 45.0
            buyer.send(
                Body.bid_confirm(777, BUYER_ID, price_e4=450_000, energy_wh=1_000),
                Body.terminate(778, BUYER_ID, code=0, delivered_wh=0),
            )
            await asyncio.sleep(0.5)
            (refused,) = buyer.said(message_id=777)
            assert (refused.body.message_type, refused.body.termination_code) == (MessageType.BID_REJECT, 10)
            assert not buyer.said(message_id=778)

    run(scenario())

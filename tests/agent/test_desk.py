"""The desk through its one door: buyers on links, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from etp.messages import Body, MessageType, ReasonCode
from tests.agent.gateway_world import ANSWERS, BUYER_ID, Buyer, World, key, now_ms, run, world

if TYPE_CHECKING:
    from pathlib import Path


async def blocked(here: World, buyer: Buyer) -> None:
    """Let a buyer leave an award unconfirmed."""
    accept = await buyer.bid(40.0, 0.2)
    await buyer.until(MessageType.BID_REJECT, message_id=accept.body.message_id)


def test_a_bid_that_stands_wins_after_its_standing_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            start_ms = now_ms()
            accept = (await buyer.bid(40.0, 1.0)).body
            assert accept.message_type == MessageType.BID_ACCEPT
            assert (accept.sale_price_e4, accept.energy_wh) == (400_000, 1_000)
            assert accept.power_w == -2_500  # half of the lot, half of its power
            assert 200 <= now_ms() - start_ms < 230

    run(scenario())


def test_a_better_bid_displaces_and_the_beaten_one_hears_the_price_to_beat(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            first, second = await here.connect(), await here.connect()
            first_id = first.bids(40.0, 2.0)
            await asyncio.sleep(0.1)
            second_id = second.bids(50.0, 2.0)
            beaten = await first.until(*ANSWERS, message_id=first_id)
            assert (beaten.body.message_type, beaten.body.termination_code) == (6, ReasonCode.OUTBID)
            assert beaten.body.sale_price_e4 == 501_000
            won = await second.until(*ANSWERS, message_id=second_id)
            assert won.body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_many_bids_of_one_read_get_one_answer_each(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            low = [buyer.bids(1.0, 0.1) for _ in range(20)]
            high = buyer.bids(45.0, 0.1)
            for bid_id in (*low, high):
                await buyer.until(*ANSWERS, message_id=bid_id)
            codes = [frame.body.termination_code for frame in buyer.said(MessageType.BID_REJECT)]
            assert codes == [ReasonCode.PRICE_TOO_LOW] * 20

    run(scenario())


def test_a_connection_has_one_standing_bid_and_a_better_one_replaces_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            first, second, third = buyer.bids(40.0, 0.5), buyer.bids(40.0, 0.5), buyer.bids(41.0, 0.5)
            assert (await buyer.until(*ANSWERS, message_id=third)).body.message_type == MessageType.BID_ACCEPT
            for bid_id in (first, second):
                refused = await buyer.until(*ANSWERS, message_id=bid_id)
                assert refused.body.termination_code == ReasonCode.OUTBID

    run(scenario())


@pytest.mark.parametrize(
    ("price_c", "kwh", "code"),
    [
        (2_031.0, 0.1, ReasonCode.MALFORMED),
        (29.99, 0.1, ReasonCode.PRICE_TOO_LOW),
        (99.0, 2.1, ReasonCode.NOT_ENOUGH_ENERGY),
        (1.0, 2.1, ReasonCode.NOT_ENOUGH_ENERGY),
        (99.0, 0.0, ReasonCode.MALFORMED),
    ],
)
def test_what_cannot_win_is_refused_at_once(tmp_path: Path, price_c: float, kwh: float, code: int) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            start_ms = now_ms()
            refused = (await buyer.bid(price_c, kwh)).body
            assert (refused.message_type, refused.termination_code) == (MessageType.BID_REJECT, code)
            assert refused.sale_price_e4 == 300_000
            assert now_ms() - start_ms < 20

    run(scenario())


def test_a_power_below_the_smallest_step_is_refused_with_the_smallest_quantity(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery="min_power_w = 600") as here:
            buyer = await here.connect()
            refused = await buyer.bid(99.0, 0.1)  # 250 W of 5 kW
            assert refused.body.termination_code == ReasonCode.NOT_ENOUGH_ENERGY
            assert refused.extensions.reason == "smallest quantity 0.3 kWh"
            assert (await buyer.bid(99.0, 0.3)).body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_codes_come_in_the_protocol_s_order(tmp_path: Path) -> None:
    """9 before 6 before 12 (stopped) and 11 (fault), and 14 when nothing is open."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            bad, good = await here.connect(), await here.connect()
            await blocked(here, bad)
            here.seller.block("owner", "holiday")
            here.device.troubles.fault = "contactor"
            await asyncio.sleep(1)
            assert (await bad.bid(9_999.0, 0.1)).body.termination_code == ReasonCode.MALFORMED
            assert (await bad.bid(99.0, 0.1)).body.termination_code == ReasonCode.NOT_TRUSTED
            assert (await good.bid(99.0, 0.1)).body.termination_code == ReasonCode.WITHDRAWN
            assert (await good.ask()).termination_code == ReasonCode.WITHDRAWN
            here.seller.unblock("owner")
            assert (await good.bid(99.0, 0.1)).body.termination_code == ReasonCode.FAULT
            here.device.troubles.fault = ""
            here.device.troubles.silent = True
            await asyncio.sleep(3)
            assert (await good.bid(99.0, 0.1)).body.termination_code == ReasonCode.OFFLINE
            assert (await good.ask()).termination_code == ReasonCode.OFFLINE
            here.device.troubles.silent = False
            here.device.model.set_soc(200)
            await asyncio.sleep(1)
            assert (await good.bid(99.0, 0.1)).body.termination_code == ReasonCode.NO_LOT
            assert (await good.ask()).termination_code == ReasonCode.NO_LOT

    run(scenario())


def test_before_the_battery_has_answered_it_is_offline(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, selling=False) as here:
            here.device.troubles.silent = True
            buyer = await here.connect()
            offer = await buyer.ask()
            assert (offer.termination_code, offer.energy_wh, offer.sale_price_e4) == (ReasonCode.OFFLINE, 0, 300_000)
            assert (await buyer.bid(99.0, 0.1)).body.termination_code == ReasonCode.OFFLINE
            here.device.troubles.silent = False
            await here.until_selling()

    run(scenario())


def test_a_query_quotes_for_its_quantity(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            bidder, asker = await here.connect(), await here.connect()
            bidder.bids(40.0, 1.0)
            await asyncio.sleep(0.05)
            small = await asker.ask(1_000)
            assert small.sale_price_e4 == 300_000  # fits beside the standing bid
            for whole in (await asker.ask(2_000), await asker.ask(), await asker.ask(9_900)):
                assert whole.sale_price_e4 > 300_000
            assert (small.energy_wh, small.power_w) == (2_000, -5_000)
            assert small.percentage_for_sale == pytest.approx(100 * 2_000 / (small.energy_total * 1_000))
            assert small.battery_voltage > 40
            assert small.remaining_battery_energy == pytest.approx(10.8, abs=0.1)

    run(scenario())


class TestPushes:
    def test_who_registers_is_told_what_stands(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                watcher, bidder = await here.connect(), await here.connect()
                watcher.register()
                await watcher.until(MessageType.QUERY_RESPONSE)
                bidder.bids(40.0, 2.0)
                await asyncio.sleep(0.05)
                opening, change = watcher.pushes
                assert (opening.sale_price_e4, opening.bid_price_e4) == (300_000, 0)
                assert (change.sale_price_e4, change.bid_price_e4) == (401_000, 0)
                assert bidder.pushes == []

        run(scenario())

    def test_a_bidder_sees_its_own_price_and_the_quote_for_its_quantity(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                bidder, other = await here.connect(), await here.connect()
                bidder.register()
                bidder.bids(40.0, 0.5)
                await asyncio.sleep(0.05)
                assert (bidder.pushes[-1].bid_price_e4, bidder.pushes[-1].sale_price_e4) == (400_000, 401_000)
                other.bids(60.0, 2.0)
                await asyncio.sleep(0.05)
                assert bidder.pushes[-1].bid_price_e4 == 0
                assert bidder.pushes[-1].sale_price_e4 == 1_501_300  # 0.5 kWh must be worth what 2 kWh at 60 are

        run(scenario())

    def test_at_most_one_push_in_20_ms(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                watcher, bidders = await here.connect(), [await here.connect() for _ in range(10)]
                watcher.register()
                await asyncio.sleep(0.1)
                told = len(watcher.pushes)
                for number, bidder in enumerate(bidders):
                    bidder.bids(40.0 + number, 2.0)
                    await asyncio.sleep(0.004)
                await asyncio.sleep(0.05)
                assert 2 <= len(watcher.pushes) - told <= 4
                assert watcher.pushes[-1].sale_price_e4 == 491_000  # the last one tells the last state

        run(scenario())

    def test_the_withdrawal_and_the_next_lot_are_pushed(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                watcher = await here.connect()
                watcher.register()
                await asyncio.sleep(0.1)
                here.seller.block("owner", "holiday")
                await asyncio.sleep(0.1)
                assert watcher.pushes[-1].termination_code == ReasonCode.WITHDRAWN
                here.seller.unblock("owner")
                await asyncio.sleep(0.1)
                assert (watcher.pushes[-1].termination_code, watcher.pushes[-1].energy_wh) == (0, 2_000)

        run(scenario())


def test_who_leaves_with_a_standing_bid_is_blamed_and_shields_the_price(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            winner, second = await here.connect(key(1)), await here.connect()
            outbid = await _stand_above(here, winner, second)
            assert outbid.termination_code == ReasonCode.OUTBID
            winner.link.close("gone")
            await asyncio.sleep(0.05)
            shielded = await second.bid(49.0, 2.0)  # what the second had bid is the price now
            assert shielded.body.termination_code == ReasonCode.OUTBID
            assert shielded.body.sale_price_e4 == 500_000
            again = await here.connect(key(1))
            assert (await again.bid(90.0, 2.0)).body.termination_code == ReasonCode.NOT_TRUSTED
            await asyncio.sleep(2)
            assert (await second.bid(31.0, 2.0)).body.message_type == MessageType.BID_ACCEPT
            (standing,) = [r.body for r in here.records("reputation") if r.body["buyer"].startswith("key:")]
            assert standing["score"] == 5_000 - 625

    run(scenario())


async def _stand_above(here: World, winner: Buyer, second: Buyer) -> Body:
    """Let a bid stand at 60 that a bid at 50 could not beat; return how that was refused."""
    winner.bids(60.0, 2.0)
    await asyncio.sleep(0.02)
    return (await second.bid(50.0, 2.0)).body


def test_confirming(tmp_path: Path) -> None:
    """Another price or quantity is malformed and changes nothing; the right Confirm is acknowledged each time."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            accept = (await buyer.bid(40.0, 1.0)).body
            for price_e4, energy_wh in ((390_000, 1_000), (400_000, 900)):
                wrong = Body.bid_confirm(accept.message_id, BUYER_ID, price_e4=price_e4, energy_wh=energy_wh)
                buyer.send(wrong)
            await buyer.until(MessageType.BID_REJECT, message_id=accept.message_id, count=2)
            assert {r.body.termination_code for r in buyer.said(MessageType.BID_REJECT)} == {ReasonCode.MALFORMED}
            buyer.confirm(accept)
            await buyer.until(MessageType.BESS_STATUS, message_id=accept.message_id)
            buyer.confirm(accept)
            await buyer.until(MessageType.BESS_STATUS, message_id=accept.message_id, count=2)
            assert len(here.records("confirmed")) == 1

    run(scenario())


def test_a_confirm_of_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            buyer.send(Body.bid_confirm(77, BUYER_ID, price_e4=400_000, energy_wh=100))
            refused = await buyer.until(MessageType.BID_REJECT, message_id=77)
            assert refused.body.termination_code == ReasonCode.NOT_CONFIRMED

    run(scenario())


def test_a_running_trade_of_another_price_is_not_confirmed_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, second = await here.connect(key(1)), await here.connect(key(1))
            accept = await buyer.trade(40.0, 1.0)
            second.send(Body.bid_confirm(accept.message_id, BUYER_ID, price_e4=10_000, energy_wh=1_000))
            refused = await second.until(MessageType.BID_REJECT, message_id=accept.message_id)
            assert refused.body.termination_code in {ReasonCode.NOT_CONFIRMED, ReasonCode.DUPLICATE_ID}

    run(scenario())


def test_a_buyer_stops_its_delivery(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            accept = await buyer.trade(40.0, 1.0)
            await here.until(lambda: here.device.held)
            buyer.send(Body.terminate(accept.message_id, BUYER_ID, code=0, delivered_wh=0))
            ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id)
            assert ended.body.termination_code == ReasonCode.NOT_ENOUGH_ENERGY
            assert 0 <= ended.body.energy_wh < 1_000
            assert not here.device.held

    run(scenario())


def test_a_whole_trade(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            before_wh = here.device.discharged_wh
            accept = await buyer.trade(40.0, 2.0)
            ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=600)
            assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.NONE, 2_000)
            assert here.device.discharged_wh - before_wh >= 1_999
            await here.until_selling()

    run(scenario())


def test_failure_is_told_to_everybody_and_status_to_those_who_registered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            registered, silent = await here.connect(), await here.connect()
            registered.register()
            await silent.ask()
            await asyncio.sleep(6)
            assert registered.said(MessageType.BESS_STATUS)
            assert not silent.said(MessageType.BESS_STATUS)
            here.device.troubles.fault = "contactor"
            for buyer in (registered, silent):
                failed = await buyer.until(MessageType.DEVICE_FAILURE)
                assert failed.body.termination_code == ReasonCode.FAULT
                assert failed.body.message_id >= 1 << 63
            await asyncio.sleep(5)
            assert len(silent.said(MessageType.DEVICE_FAILURE)) == 1

    run(scenario())

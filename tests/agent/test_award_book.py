"""Awards on a disk that is slow, stuck or full, and buyers that come late, leave, or do not come at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from etp.messages import Body, MessageType, ReasonCode
from simulation.battery import POLL_S
from tests.agent.gateway_world import BUYER_ID, World, key, now_ms, run, world

if TYPE_CHECKING:
    from pathlib import Path

    from agent.records import Record


def open_wh(here: World) -> int:
    return here.seller.promises().energy_wh


def bid_ids(records: list[Record]) -> list[int]:
    return [record.body["bid_id"] for record in records]


def test_the_accept_comes_after_its_record(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            here.disk.stall_ms = 150
            accept = await buyer.bid(40.0, 1.0)
            assert accept.body.message_type == MessageType.BID_ACCEPT
            (award,) = here.records("award")
            assert (award.body["bid_id"], award.body["price_e4"]) == (accept.body.message_id, 400_000)

    run(scenario())


def test_a_disk_that_takes_too_long_costs_the_award_and_the_buyer_hears_in_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            here.disk.stall_ms = 5_000
            start_ms = now_ms()
            refused = await buyer.bid(40.0, 1.0)
            assert (refused.body.message_type, refused.body.termination_code) == (6, ReasonCode.TOO_LATE)
            assert 480 <= now_ms() - start_ms < 500
            assert open_wh(here) == 0
            assert [alarm["name"] for alarm in here.seller.watch.alarms()] == ["journal slow"]
            here.disk.stall_ms = 0
            await asyncio.sleep(12)
            assert bid_ids(here.records("void")) == bid_ids(here.records("award")) == [refused.body.message_id]
            assert (await buyer.bid(40.0, 1.0)).body.message_type == MessageType.BID_ACCEPT  # it is not to blame
            assert here.seller.watch.alarms() == []

    run(scenario())


def test_a_disk_that_fails_costs_the_award_and_stops_the_selling(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            here.disk.full = True
            refused = await buyer.bid(40.0, 1.0)
            assert (refused.body.message_type, refused.body.termination_code) == (6, ReasonCode.TOO_LATE)
            assert open_wh(here) == 0
            assert list(here.seller.stopped) == ["journal"]
            assert (await buyer.bid(40.0, 1.0)).body.termination_code == ReasonCode.WITHDRAWN

    run(scenario())


def test_a_confirm_that_does_not_reach_the_disk_is_answered_by_nothing(tmp_path: Path) -> None:
    """Whether the record survives is unknown: neither yes nor no would be true, also when asked again."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            accept = (await buyer.bid(40.0, 1.0)).body
            here.disk.full = True
            buyer.confirm(accept)
            await asyncio.sleep(1)
            assert [frame.body.message_type for frame in buyer.said(message_id=accept.message_id)] == [4]
            assert here.seller.delivery.active == ()
            assert open_wh(here) == 0

    run(scenario())


def test_an_award_that_nobody_confirms_lapses_after_a_second(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            accept = await buyer.bid(40.0, 2.0)
            start_ms = now_ms()
            assert open_wh(here) == 2_000
            lapsed = await buyer.until(MessageType.BID_REJECT, message_id=accept.body.message_id)
            assert lapsed.body.termination_code == ReasonCode.NOT_CONFIRMED
            assert 995 <= now_ms() - start_ms <= 1_005
            assert open_wh(here) == 0
            assert (await buyer.bid(40.0, 2.0)).body.termination_code == ReasonCode.NOT_TRUSTED
            other = await here.connect()
            assert (await other.bid(40.0, 2.0)).body.message_type == MessageType.BID_ACCEPT  # the quantity is free
            (void,) = here.records("void")
            assert (void.body["code"], void.body["blame"]) == (ReasonCode.NOT_CONFIRMED, True)

    run(scenario())


def test_who_leaves_unsigned_gives_the_award_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            await buyer.bid(40.0, 1.0)
            assert open_wh(here) == 1_000
            buyer.link.close("gone")
            await asyncio.sleep(0.05)
            assert open_wh(here) == 0
            (void,) = here.records("void")
            assert void.body["blame"]

    run(scenario())


def test_who_signs_may_confirm_on_another_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect(key(1))
            accept = (await buyer.bid(40.0, 1.0)).body
            buyer.link.close("gone")
            await asyncio.sleep(0.05)
            assert open_wh(here) == 1_000
            again = await here.connect(key(1))
            again.confirm(accept)
            await again.until(MessageType.BESS_STATUS, message_id=accept.message_id)
            assert len(here.seller.delivery.active) == 1

    run(scenario())


def test_who_signs_and_leaves_before_the_accept_holds_nothing_for_ever(tmp_path: Path) -> None:
    """The Accept has nobody to go to; without it no time would run that ends the award."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect(key(1))
            here.disk.stall_ms = 200
            bid_id = buyer.bids(40.0, 1.0)
            await asyncio.sleep(0.25)
            assert open_wh(here) == 1_000
            buyer.link.close("gone")
            await asyncio.sleep(2)
            assert open_wh(here) == 0
            assert bid_ids(here.records("void")) == [bid_id]

    run(scenario())


def test_a_buyer_that_does_not_read_gets_no_late_accept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, other = await here.connect(), await here.connect()
            here.network.weather = type(here.network.weather)(delay_ms=(600.0, 601.0))
            buyer.bids(40.0, 1.0)
            await asyncio.sleep(0.7)
            here.network.weather = type(here.network.weather)(delay_ms=(0.2, 0.4))
            await here.until(lambda: open_wh(here) == 0)
            assert (await other.bid(40.0, 1.0)).body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_a_fault_takes_open_awards_back_and_leaves_trades_to_the_delivery(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, trader = await here.connect(), await here.connect()
            await trader.trade(40.0, 0.5)
            accept = await buyer.bid(40.0, 0.5)
            here.device.troubles.fault = "contactor"
            ended = await buyer.until(MessageType.TERMINATE, message_id=accept.body.message_id)
            assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.FAULT, 0)
            buyer.confirm(accept.body)
            await asyncio.sleep(1)
            assert [r.body["bid_id"] for r in here.records("confirmed")] == [trader.frames[0].body.message_id]

    run(scenario())


def test_a_fault_while_the_record_is_written_refuses_the_bid(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            read = asyncio.Event()
            here.front.battery.on_change(lambda _state: read.set())
            await read.wait()  # the next reading is POLL_S away, and falls between standing time and disk
            await asyncio.sleep(POLL_S - 0.3)
            here.disk.stall_ms = 250
            bid_id = buyer.bids(40.0, 0.5)
            await asyncio.sleep(0.25)
            here.device.troubles.fault = "contactor"
            refused = await buyer.until(MessageType.BID_REJECT, message_id=bid_id)
            assert refused.body.termination_code == ReasonCode.FAULT
            assert open_wh(here) == 0
            assert buyer.said(MessageType.BID_ACCEPT) == []

    run(scenario())


@pytest.mark.parametrize("newest_is_enough", [True, False])
def test_energy_that_is_gone_costs_the_newest_awards_first(tmp_path: Path, newest_is_enough: bool) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            old, new = await here.connect(), await here.connect()
            first = await old.bid(40.0, 1.0)
            second = await new.bid(40.0, 1.0)
            # usable = (soc - 20 %) of 13.5 kWh at 95 %
            here.device.model.set_soc(300 if newest_is_enough else 205)
            ended = await new.until(MessageType.TERMINATE, message_id=second.body.message_id)
            assert ended.body.termination_code == ReasonCode.NOT_ENOUGH_ENERGY
            if newest_is_enough:
                old.confirm(first.body)
                await old.until(MessageType.BESS_STATUS, message_id=first.body.message_id)
            else:
                ended = await old.until(MessageType.TERMINATE, message_id=first.body.message_id)
                assert ended.body.termination_code == ReasonCode.NOT_ENOUGH_ENERGY

    run(scenario())


def test_a_confirm_before_its_award(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            bid_id = buyer.bids(40.0, 1.0)
            buyer.send(Body.bid_confirm(bid_id, BUYER_ID, price_e4=400_000, energy_wh=1_000))
            refused = await buyer.until(MessageType.BID_REJECT, message_id=bid_id)
            assert refused.body.termination_code == ReasonCode.NOT_CONFIRMED
            await buyer.until(MessageType.BID_ACCEPT, message_id=bid_id)

    run(scenario())

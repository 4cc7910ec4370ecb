"""The seller: what it tells buyers unasked, what stops it, and what it keeps for who is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.desk_ports import BatteryView
from etp.messages import Health, MessageType, ReasonCode
from tests.agent.gateway_world import World, key, now_ms, run, world

if TYPE_CHECKING:
    from pathlib import Path

    from agent.delivery import Delivery
    from etp.messages import Body


class TestStatus:
    def test_the_buyer_of_a_running_trade_hears_every_five_seconds_how_much_it_got(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                buyer = await here.connect()
                accept = await buyer.trade(40.0, 2.0)
                await asyncio.sleep(16)
                told = buyer.said(MessageType.BESS_STATUS, message_id=accept.message_id)
                assert len(told) in {4, 5}
                delivered_wh = [frame.body.energy_wh for frame in told]
                assert delivered_wh == sorted(delivered_wh)
                assert delivered_wh[0] == 0 < delivered_wh[-1] < 2_000
                assert told[-1].body.power_w < -4_000
                assert told[-1].body.battery_voltage > 40

        run(scenario())

    def test_who_registered_hears_of_the_battery(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                buyer = await here.connect()
                buyer.register()
                await asyncio.sleep(11)
                told = [frame.body for frame in buyer.said(MessageType.BESS_STATUS)]
                assert len(told) == 2
                assert all(body.message_id >= 1 << 63 and body.energy_wh == 0 for body in told)
                assert told[0].remaining_battery_energy == pytest.approx(10.8, abs=0.1)

        run(scenario())

    def test_a_buyer_that_left_hears_nothing_and_its_trade_goes_on(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                buyer = await here.connect()
                accept = await buyer.trade(40.0, 0.5)
                buyer.link.close("gone")
                await here.until(lambda: bool(here.records("delivery_ended")), timeout_s=300, step_s=0.5)
                (end,) = here.records("delivery_ended")
                assert (end.body["bid_id"], end.body["delivered_wh"]) == (accept.message_id, 500)
                assert buyer.said(MessageType.TERMINATE) == []

        run(scenario())


class TestKept:
    def test_a_signed_buyer_is_told_how_its_trade_ended_when_it_returns(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                buyer = await here.connect(key(1))
                accept = await buyer.trade(40.0, 0.3)
                buyer.link.close("gone")
                await here.until(lambda: not here.seller.delivery.active, timeout_s=300)
                await asyncio.sleep(1)
                stranger, again = await here.connect(key(2)), await here.connect(key(1))
                ended = await again.until(MessageType.TERMINATE, message_id=accept.message_id)
                assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.NONE, 300)
                await asyncio.sleep(1)
                assert stranger.said(MessageType.TERMINATE) == []

        run(scenario())


class TestStopping:
    def test_several_causes_all_have_to_go(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                here.seller.block("owner", "holiday")
                here.seller.block("supervisor", "a task crashed")
                here.seller.block("owner", "said again")
                assert here.seller.stopped == {"owner": "holiday", "supervisor": "a task crashed"}
                assert here.seller.offer.reason == "holiday"
                here.seller.unblock("owner")
                here.seller.unblock("owner")
                assert here.seller.offer.code == ReasonCode.WITHDRAWN
                here.seller.unblock("supervisor")
                assert here.seller.offer.code == ReasonCode.NONE
                assert here.seller.watch.alarms() == []

        run(scenario())

    def test_a_trade_goes_on_while_selling_is_stopped(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                buyer = await here.connect()
                accept = await buyer.trade(40.0, 0.5)
                here.seller.block("owner", "holiday")
                ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=300)
                assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.NONE, 500)

        run(scenario())

    def test_a_failure_is_told_again_when_it_comes_again(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                told: list[Body] = []
                here.seller.on_failure = told.append
                for _ in range(2):
                    here.device.troubles.silent = True
                    await here.until(lambda: here.seller.offer.code == ReasonCode.OFFLINE)
                    assert [alarm["name"] for alarm in here.seller.watch.alarms()] == ["battery"]
                    here.device.troubles.silent = False
                    await here.until_selling()
                    assert here.seller.watch.alarms() == []
                assert [body.message_type for body in told] == [MessageType.DEVICE_FAILURE] * 2
                assert told[0].message_id != told[1].message_id

        run(scenario())

    def test_a_battery_that_does_not_follow_stops_the_selling_until_somebody_has_looked(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with world(tmp_path) as here:
                buyer = await here.connect()
                here.device.troubles.deaf = True
                accept = await buyer.trade(40.0, 1.0)
                ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=120)
                assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.FAULT, 0)
                here.device.troubles.deaf = False
                await asyncio.sleep(30)
                assert (await buyer.bid(40.0, 0.1)).body.termination_code == ReasonCode.FAULT
                assert here.seller.watch.alarms()[0]["blocks_selling"]
                here.seller.delivery.acknowledge()
                here.seller.reconsider()
                await here.until_selling()

        run(scenario())


def test_a_seller_without_delivery_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            attached: Delivery | None = here.seller._delivery
            here.seller._delivery = None
            with pytest.raises(RuntimeError, match="battery-1: no delivery attached"):
                _ = here.seller.delivery
            here.seller._delivery = attached

    run(scenario())


def test_what_is_promised_is_not_offered_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, asker = await here.connect(), await here.connect()
            free = await asker.ask()
            await buyer.trade(40.0, 1.0)
            assert here.seller.promises().energy_wh == 1_000
            assert here.seller.promises().power_w == 2_500
            offer = await asker.ask()
            assert offer.energy_total == pytest.approx(free.energy_total - 1.0, abs=0.02)
            assert (offer.energy_wh, offer.power_w) == (1_000, -2_500)

    run(scenario())


def test_reserve_tiers_follow_the_charge(tmp_path: Path) -> None:
    tiers = "[{from_soc_percent = 50, c_per_kwh = 20.0}, {from_soc_percent = 0, c_per_kwh = 45.0}]"

    async def scenario() -> None:
        async with world(tmp_path, battery=f"reserve = {{tiers = {tiers}}} # not reserve_c_per_kwh") as here:
            assert here.seller.terms().reserve_e4 == 200_000
            here.device.model.set_soc(400)
            await asyncio.sleep(2)
            assert here.seller.terms().reserve_e4 == 450_000
            assert (await (await here.connect()).ask()).sale_price_e4 == 450_000

    run(scenario())


def test_a_battery_that_says_nothing_is_shown_as_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, selling=False) as here:
            here.device.troubles.silent = True
            assert here.seller.view() == BatteryView(0, 0, 0, Health.FAIR)
            here.device.troubles.silent = False
            await here.until_selling()

    run(scenario())


def test_an_end_that_finds_the_journal_full_is_told_all_the_same(tmp_path: Path) -> None:
    """A buyer whose trade is over must hear so; the operator hears that the journal is full."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            accept = await buyer.trade(40.0, 0.3)
            await here.until(lambda: here.device.held)
            here.disk.full = True
            start_ms = now_ms()
            ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=300)
            assert ended.body.energy_wh == 300
            assert now_ms() > start_ms
            assert "journal" in _alarms(here)

    run(scenario())


def _alarms(here: World) -> list[str]:
    return [alarm["name"] for alarm in here.seller.watch.alarms()]

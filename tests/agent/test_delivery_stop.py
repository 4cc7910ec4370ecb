from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.records import Kind
from drivers.sim.physics import BatteryConfig
from etp.messages import ReasonCode
from tests.agent.delivery_world import now_ms, run, trade, world

if TYPE_CHECKING:
    from pathlib import Path


def test_the_owner_may_stop_everything(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(1, power_w=2_000))
            await here.confirm(trade(2, power_w=2_000))
            await asyncio.sleep(30)
            report = await here.delivery.stop_all(ReasonCode.WITHDRAWN, "owner")
            assert report == (True, "")
            assert {(each.code, each.reason) for each in here.ear.ended} == {(ReasonCode.WITHDRAWN, "owner")}
            assert all(15 <= each.delivered_wh <= 17 for each in here.ear.ended)
            assert not here.battery.held

    run(story())


def test_a_trade_that_is_confirmed_after_a_stop_ends_at_once_and_touches_no_battery(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            assert (await here.delivery.stop_all(ReasonCode.WITHDRAWN, "the agent stops")).released
            await here.confirm(trade(energy_wh=100))
            assert here.delivery.active == ()
            [ended] = await here.ear.until_ended(timeout_s=1)
            assert (ended.code, ended.reason) == (ReasonCode.WITHDRAWN, "the agent stops")
            assert (ended.delivered_wh, ended.started_at_ms) == (0, None)
            assert [record.body["code"] for record in here.records(Kind.DELIVERY_ENDED)] == [12]
            await asyncio.sleep(30)
            assert here.battery.writes == []
            assert here.records(Kind.TAKE_OVER) == []

    run(story())


@pytest.mark.parametrize("after_ms", [0, 1, 10, 21, 24, 30, 45, 60, 500, 1_000])
def test_a_stop_waits_for_what_is_confirmed_while_it_waits(tmp_path: Path, after_ms: int) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(1, power_w=2_000))
            await asyncio.sleep(after_ms / 1_000)
            stopping = asyncio.create_task(here.delivery.stop_all(ReasonCode.WITHDRAWN))
            await asyncio.sleep(0.01)
            await here.confirm(trade(2, power_w=2_000))
            report = await stopping
            assert (report.released, here.delivery.released, here.battery.held) == (True, True, False)
            assert {each.trade.bid_id: each.code for each in here.ear.ended} == {1: 12, 2: 12}
            assert ("conn:2", 2) not in here.ear.started
            assert {value for _, what, value in here.battery.writes if what == "command"} <= {-2_000}
            assert len(here.records(Kind.DELIVERY_ENDED)) == 2

    run(story())


def test_a_stop_is_not_undone_by_a_delivery_that_fell_short_of_its_estimate(tmp_path: Path) -> None:
    """A trade that closed for its energy opens again when the counter disagrees, but not while everything stops."""

    async def story() -> None:
        async with world(tmp_path, config=BatteryConfig(rated_power_w=20_000, capacity_wh=50_000)) as here:
            stuck_wh = int(here.battery.discharged_wh) + 96
            here.battery.switches.counter = lambda wh: min(wh, stuck_wh)
            await here.confirm(trade(energy_wh=100, power_w=20_000, window_ms=600_000))
            for _ in range(1_000):
                await asyncio.sleep(0.05)
                if here.delivery.active[0].phase == "closing":
                    break
            report = await here.delivery.stop_all(ReasonCode.WITHDRAWN)
            assert (report.released, here.battery.held) == (True, False)
            assert [each.trade.bid_id for each in here.ear.ended] == [1]
            assert [what for _, what, _ in here.battery.writes if what == "command"] == ["command"]

    run(story())


def test_a_stop_that_the_battery_does_not_answer_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade())
            await asyncio.sleep(5)
            here.battery.switches.silent = True
            report = await here.delivery.stop_all(12, timeout_s=3)
            assert (report.released, here.delivery.released) == (False, False)
            here.battery.switches.silent = False
            assert (await here.delivery.stop_all(12)).released

    run(story())


def test_nothing_to_stop_is_stopped_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            at_ms = now_ms()
            assert await here.delivery.stop_all(12) == (True, "")
            assert now_ms() == at_ms
            assert here.battery.writes == []

    run(story())

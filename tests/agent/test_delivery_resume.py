from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.records import Kind
from drivers.errors import EchoFailed
from drivers.sim.physics import BatteryConfig
from etp.messages import ReasonCode
from tests.agent.delivery_world import World, now_ms, run, trade, world

if TYPE_CHECKING:
    from pathlib import Path


async def restart(here: World, *, away_s: float = 0.0) -> None:
    """Crash, stay away, and start again on the same disk and battery."""
    await here.crash()
    await asyncio.sleep(away_s)
    here.boot()
    here.reconcile()
    here.go()


def test_a_crash_in_mid_delivery_costs_nobody_anything(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(1, energy_wh=300, power_w=2_000))
            await here.confirm(trade(2, energy_wh=200, power_w=2_000))
            await asyncio.sleep(93.7)
            await restart(here, away_s=4)
            ended = await here.ear.until_ended(2)
            assert [(each.code, each.trade.bid_id) for each in ended] == [(0, 2), (0, 1)]
            assert all(each.trade.energy_wh - 1 <= each.delivered_wh <= each.trade.energy_wh for each in ended)
            await asyncio.sleep(3)
            assert 497 <= here.battery.discharged_wh - before_wh <= 505
            assert here.delivery.released

    run(story())


@pytest.mark.parametrize("after_ms", [*range(0, 60, 5), 120, 5_010, 45_200, 89_900, 90_020, 90_060, 90_500, 91_000])
def test_a_crash_at_any_moment_leaves_a_trade_that_ends_once_and_a_battery_that_is_released(
    tmp_path: Path, after_ms: int
) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=100, power_w=4_000))
            await asyncio.sleep(after_ms / 1_000)
            told = list(here.ear.ended)
            await restart(here, away_s=1)
            if not told:
                await here.ear.until_ended()
            await asyncio.sleep(20)
            ended = told + here.ear.ended
            assert [(each.code, each.trade.bid_id) for each in ended] == [(0, 1)]
            assert 98 <= here.battery.discharged_wh - before_wh <= 104
            assert here.delivery.released
            assert not here.battery.held
            assert here.battery.model.power_w == 0
            assert len(here.records(Kind.DELIVERY_ENDED)) == 1

    run(story())


def test_a_take_over_without_a_trade_is_released_and_nothing_else_is_written(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(power_w=2_000))
            await asyncio.sleep(20)
            here.delivery.stop("conn:1", 1, 12)
            here.battery.switches.silent = True
            await asyncio.sleep(6)
            count = len(here.battery.writes)
            await restart(here)
            here.battery.switches.silent = False
            await asyncio.sleep(3)
            assert [what for _, what, _ in here.battery.writes[count:]] == ["release"]
            assert here.delivery.released
            assert here.ear.ended == []

    run(story())


def test_a_trade_that_was_confirmed_but_not_begun_is_delivered(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            once = trade(energy_wh=100)
            await here.confirm(once)
            assert here.battery.writes == []
            await restart(here, away_s=10)
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.delivered_wh) == (0, 100)
            assert ended.trade.price_e4 == once.price_e4

    run(story())


def test_energy_that_left_while_we_were_away_is_read_off_the_counter(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, dead_man_ms=None) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=1_000, power_w=4_000))
            await asyncio.sleep(100)
            await restart(here, away_s=300)
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.derived) == (0, False)
            await asyncio.sleep(3)
            assert 998 <= here.battery.discharged_wh - before_wh <= 1_004

    run(story())


@pytest.mark.parametrize("dead_man_ms", [10_000, None])
@pytest.mark.parametrize("away_s", [2, 180])
def test_what_the_house_took_while_we_were_away_is_not_the_buyers(
    tmp_path: Path, away_s: float, dead_man_ms: int | None
) -> None:
    async def story() -> None:
        config = BatteryConfig(own_power_w=-1_000)
        async with world(tmp_path, config=config, dead_man_ms=dead_man_ms) as here:
            await asyncio.sleep(5)
            before_wh, at_ms = here.battery.discharged_wh, now_ms()
            await here.confirm(trade(energy_wh=500, power_w=3_000))
            await asyncio.sleep(62.5)
            await restart(here, away_s=away_s)
            await asyncio.sleep(3)
            assert here.delivery.baseline_w == 1_000
            assert [value for _, what, value in here.battery.writes if what == "command"] == [-4_000, -4_000]
            house_wh = 1_000 * (now_ms() - at_ms) / 3_600_000
            [running] = here.delivery.active
            assert -4 <= running.delivered_wh - (here.battery.discharged_wh - before_wh - house_wh) <= 1
            [ended] = await here.ear.until_ended()
            house_wh = 1_000 * (now_ms() - at_ms) / 3_600_000
            assert ended.code == 0
            assert 497 <= here.battery.discharged_wh - before_wh - house_wh <= 506

    run(story())


def test_a_house_that_takes_more_while_we_are_away_is_not_paid_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=1_000, power_w=2_000))
            await asyncio.sleep(60)
            [running] = here.delivery.active
            here.battery.model.own_power_w = -3_000.0  # once the dead-man has let go
            await restart(here, away_s=240)
            await asyncio.sleep(2)
            [again] = here.delivery.active
            assert 5 <= again.delivered_wh - running.delivered_wh <= 2_000 * (5 + 10 + 1 + 2) / 3_600
            await here.delivery.stop_all(12)

    run(story())


def test_a_trade_that_was_fulfilled_meanwhile_ends_without_another_setpoint(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, dead_man_ms=None) as here:
            await here.confirm(trade(energy_wh=100, power_w=4_000))
            await asyncio.sleep(10)
            count = len(here.battery.writes)
            [began_at_ms] = here.ear.started.values()
            await restart(here, away_s=120)
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.delivered_wh, ended.started_at_ms) == (0, 100, began_at_ms)
            assert [what for _, what, _ in here.battery.writes[count:]] == ["release"]

    run(story())


def test_a_counter_that_cannot_be_believed_ends_the_trade_openly(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=1_000, power_w=4_000))
            await asyncio.sleep(60)
            here.battery.switches.counter = lambda wh: wh - 5_000
            await restart(here, away_s=2)
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.FAULT
            assert "counter cannot tell" in ended.reason
            assert 55 <= ended.delivered_wh <= 68

    run(story())


def test_without_a_counter_what_was_journaled_is_what_counts(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, counter_step_wh=0) as here:
            await here.confirm(trade(energy_wh=200, power_w=4_000))
            await asyncio.sleep(61)
            await restart(here, away_s=2)
            assert 60 <= here.delivery.committed_wh - 72 <= 75
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.derived) == (0, True)

    run(story())


def test_a_window_that_ended_while_we_were_away_ends_the_trade(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=1_000, power_w=4_000, window_ms=100_000))
            await asyncio.sleep(50)
            await restart(here, away_s=200)
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.NOT_ENOUGH_ENERGY
            assert "window over" in ended.reason
            assert 49 <= ended.delivered_wh <= 70

    run(story())


def test_a_trade_whose_window_is_over_waits_for_the_counter_and_gets_no_setpoint(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=1_000, power_w=4_000, window_ms=100_000))
            await asyncio.sleep(58)
            count = len(here.battery.writes)
            await here.crash()
            await asyncio.sleep(200)
            here.battery.switches.silent = True
            here.boot()
            here.reconcile()
            here.go()
            await asyncio.sleep(5)
            assert (len(here.delivery.active), here.ear.ended) == (1, [])
            here.battery.switches.silent = False
            [ended] = await here.ear.until_ended(timeout_s=5)
            assert (ended.code, ended.derived) == (ReasonCode.NOT_ENOUGH_ENERGY, False)
            assert ended.reason == f"delivery window over after {ended.delivered_wh} of 1000 Wh"
            assert 0 <= here.battery.discharged_wh - before_wh - ended.delivered_wh <= 2
            assert [what for _, what, _ in here.battery.writes[count:]] == ["release"]

    run(story())


def test_a_trade_whose_counter_cannot_be_read_any_more_ends_with_what_is_on_record(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=1_000, power_w=4_000, window_ms=100_000))
            await asyncio.sleep(58)
            [running] = here.delivery.active
            await here.crash()
            here.battery.switches.silent = True
            await asyncio.sleep(200)
            here.boot()
            here.reconcile()
            here.go()
            at_ms = now_ms()
            [ended] = await here.ear.until_ended()
            assert 9_500 <= now_ms() - at_ms <= 10_500
            assert (ended.code, ended.derived) == (ReasonCode.OFFLINE, True)
            assert running.delivered_wh - 6 <= ended.delivered_wh <= running.delivered_wh

    run(story())


def test_an_owner_who_stops_a_trade_at_once_after_a_restart_ends_it_with_what_the_counter_tells(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=1_000, power_w=4_000))
            await asyncio.sleep(58)
            await restart(here, away_s=60)
            await here.delivery.stop_all(ReasonCode.WITHDRAWN)
            [ended] = here.ear.ended
            assert ended.code == ReasonCode.WITHDRAWN
            assert 0 <= here.battery.discharged_wh - before_wh - ended.delivered_wh <= 2

    run(story())


def test_a_battery_that_does_not_come_back_ends_the_trade_after_a_while(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade())
            await asyncio.sleep(20)
            here.battery.switches.silent = True
            await here.crash()
            await asyncio.sleep(5)
            here.boot()
            here.reconcile()
            here.go()
            at_ms = now_ms()
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.OFFLINE
            assert 9_500 <= now_ms() - at_ms <= 11_500
            here.battery.switches.silent = False
            await asyncio.sleep(4)
            assert here.delivery.released

    run(story())


def test_a_blocking_alarm_outlives_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            here.battery.switches.on_command = EchoFailed("WSet", 1, 2)
            await here.confirm(trade())
            await here.ear.until_ended()
            here.battery.switches.on_command = None
            await restart(here)
            obstacle = here.delivery.obstacle()
            assert obstacle is not None
            assert obstacle.reason.startswith("echo-failed")
            here.delivery.acknowledge()
            await asyncio.sleep(0.1)
            await restart(here)
            assert here.delivery.obstacle() is None

    run(story())


def test_a_restart_does_not_cut_the_pause_after_a_grid_loss_short(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade())
            await asyncio.sleep(5)
            here.battery.switches.grid_ok = False
            await here.ear.until_ended()
            here.battery.switches.grid_ok = True
            await asyncio.sleep(60)
            await restart(here)
            await asyncio.sleep(240)
            assert here.delivery.obstacle() == (ReasonCode.FAULT, "grid lost")
            await asyncio.sleep(62)
            assert here.delivery.obstacle() is None
            assert here.ear.alarms == [("grid-lost", False)]
            await restart(here)
            assert here.delivery.obstacle() is None

    run(story())


def test_clean_books_oblige_to_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=100))
            await here.ear.until_ended()
            count = len(here.battery.writes)
            await restart(here)
            assert await here.delivery.stop_all(12) == (True, "")
            await asyncio.sleep(30)
            assert len(here.battery.writes) == count

    run(story())

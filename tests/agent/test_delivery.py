from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agent.delivery_ports import DeliveryRules
from agent.records import Kind
from drivers.sim.physics import BatteryConfig
from etp.messages import ReasonCode
from tests.agent.delivery_world import ModelBattery, now_ms, run, trade, wall_ms, world

if TYPE_CHECKING:
    from pathlib import Path


def writes(battery: ModelBattery, *, refresh: bool = False) -> list[tuple[str, int]]:
    return [(what, value) for _, what, value in battery.writes if refresh or what != "refresh"]


def test_one_trade_is_delivered_to_the_step_of_the_counter(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh, at_ms = here.battery.discharged_wh, now_ms()
            await here.confirm(trade(energy_wh=1_000, power_w=4_000))
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.reason, ended.derived) == (0, "", False)
            assert 999 <= ended.delivered_wh <= 1_000
            assert here.delivery.released
            await asyncio.sleep(5)
            assert 999 <= here.battery.discharged_wh - before_wh < 1_002
            assert here.ear.started[ended.trade.key] - at_ms <= 200
            assert ended.started_at_ms == here.ear.started[ended.trade.key]
            assert writes(here.battery) == [("command", -4_000), ("release", 0)]

    run(story())


def test_the_take_over_is_on_disk_before_the_first_write(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade())
            await here.ear.until_ended()
            kinds = [record.kind for record in here.records() if record.kind != Kind.DELIVERY_PROGRESS]
            assert kinds == [
                Kind.CONFIRMED,
                Kind.TAKE_OVER,
                Kind.DELIVERY_STARTED,
                Kind.RELEASED,
                Kind.DELIVERY_ENDED,
            ]
            [taken] = here.records(Kind.TAKE_OVER)
            assert taken.at_ms < wall_ms() - now_ms() + here.battery.writes[0][0]
            assert taken.body["serial"] == "T1"
            assert taken.body["baseline_w"] == 0
            [ended] = here.records(Kind.DELIVERY_ENDED)
            assert ended.body["code"] == 0
            assert len(ended.body["evidence"]) == 64

    run(story())


def test_parallel_deliveries_share_one_setpoint_and_leave_one_by_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            for bid_id, energy_wh in ((1, 500), (2, 300), (3, 400)):
                await here.confirm(trade(bid_id, energy_wh=energy_wh, power_w=1_500))
                await asyncio.sleep(1)
            assert here.delivery.granted_w == 4_500
            assert [each.phase for each in here.delivery.active] == ["running"] * 3
            ended = await here.ear.until_ended(3)
            assert {each.trade.bid_id: each.code for each in ended} == {1: 0, 2: 0, 3: 0}
            assert [each.trade.bid_id for each in ended] == [2, 3, 1]
            for each in ended:
                assert each.trade.energy_wh - 1 <= each.delivered_wh <= each.trade.energy_wh
            await asyncio.sleep(3)
            assert 1_197 <= here.battery.discharged_wh - before_wh < 1_203
            assert [value for what, value in writes(here.battery) if what == "command"] == [
                -1_500,
                -3_000,
                -4_500,
                -3_000,
                -1_500,
            ]
            assert (here.delivery.granted_w, here.delivery.committed_wh, here.delivery.active) == (0, 0, ())

    run(story())


def test_the_sum_of_deliveries_stays_within_the_sites_and_the_batterys_limit(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, rules=DeliveryRules(max_power_w=3_000)) as here:
            await here.confirm(trade(1, power_w=2_000))
            await here.confirm(trade(2, power_w=2_000))
            await asyncio.sleep(5)
            here.battery.model.switches.hot_c = 50.0  # the battery allows half of its power now
            await asyncio.sleep(15)
            assert [value for what, value in writes(here.battery) if what == "command"] == [-3_000, -2_500]
            assert here.ear.alarms == []
            assert (await here.delivery.stop_all(12)).released

    run(story())


def test_the_dead_man_is_renewed_at_half_its_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, dead_man_ms=8_000) as here:
            await here.confirm(trade())
            await asyncio.sleep(60)
            times = [at_ms for at_ms, what, _ in here.battery.writes if what == "refresh"]
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert len(times) >= 13
            assert max(gaps) <= 4_100
            assert here.battery.held
            await here.delivery.stop_all(12)

    run(story())


def test_a_battery_without_a_dead_man_is_checked_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, dead_man_ms=None) as here:
            await here.confirm(trade())
            await asyncio.sleep(30)
            assert len([what for what, _ in writes(here.battery, refresh=True) if what == "refresh"]) in {4, 5, 6}
            await here.delivery.stop_all(12)

    run(story())


def test_progress_is_journaled_and_told_every_five_seconds(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=100, power_w=3_600))
            await here.ear.until_ended()
            times = [at_ms for at_ms, _, _ in here.ear.progress]
            assert all(later - earlier <= 5_250 for earlier, later in pairwise(times))
            assert len(times) >= 19
            told = [wh for _, _, wh in here.ear.progress]
            assert told == sorted(told)
            journaled = [record.body["delivered_wh"] for record in here.records(Kind.DELIVERY_PROGRESS)]
            assert journaled == told
            assert here.records(Kind.DELIVERY_PROGRESS)[-1].body["counter_wh"] is not None

    run(story())


def test_the_buyer_may_stop_and_pays_for_what_it_got(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(1, power_w=3_600))
            await here.confirm(trade(2, power_w=1_000))
            await asyncio.sleep(100)
            assert here.delivery.stop("conn:1", 1, ReasonCode.NONE)
            assert not here.delivery.stop("conn:9", 1, ReasonCode.NONE)
            [first] = await here.ear.until_ended(timeout_s=4)
            assert (first.code, first.reason) == (ReasonCode.NOT_ENOUGH_ENERGY, "stopped by the buyer")
            assert 98 <= first.delivered_wh <= 101
            assert writes(here.battery)[-1] == ("command", -1_000)
            await here.delivery.stop_all(12)
            assert sum(each.delivered_wh for each in here.ear.ended) <= here.battery.discharged_wh - before_wh

    run(story())


def test_a_trade_that_is_stopped_before_its_first_setpoint_ends_with_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade())
            here.delivery.stop("conn:1", 1, ReasonCode.WITHDRAWN)
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.delivered_wh, ended.started_at_ms) == (ReasonCode.WITHDRAWN, 0, None)
            assert here.battery.writes == []

    run(story())


def test_a_window_that_is_over_ends_the_trade_openly(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=1_000, power_w=3_600, window_ms=100_000))
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.NOT_ENOUGH_ENERGY
            assert "window over" in ended.reason
            assert 98 <= ended.delivered_wh <= 101
            assert here.delivery.released

    run(story())


@pytest.mark.parametrize("time_lapse", [1, 60])
@pytest.mark.parametrize("efficiency_permille", [950, 1_000])
def test_the_floor_is_never_crossed(tmp_path: Path, time_lapse: int, efficiency_permille: int) -> None:
    async def story() -> None:
        config = BatteryConfig(soc_permille=230, time_lapse=time_lapse)
        rules = DeliveryRules(time_lapse=time_lapse, efficiency_permille=efficiency_permille)
        async with world(tmp_path, config=config, rules=rules) as here:
            await here.confirm(trade(energy_wh=5_000, power_w=5_000, window_ms=10_000_000))
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.reason) == (ReasonCode.NOT_ENOUGH_ENERGY, "floor reached")
            await asyncio.sleep(5)
            assert here.battery.lowest_soc >= 0.1995
            assert here.battery.lowest_soc < 0.212

    run(story())


@pytest.mark.parametrize("counter_step_wh", [0, 1, 100])
@pytest.mark.parametrize("capacity_wh", [13_500, 100_000])
def test_a_gauge_that_moves_in_whole_per_cent_hides_no_fall_below_the_floor(
    tmp_path: Path, capacity_wh: int, counter_step_wh: int
) -> None:
    async def story() -> None:
        config = BatteryConfig(soc_permille=230, capacity_wh=capacity_wh, rated_power_w=capacity_wh)
        async with world(tmp_path, config=config, counter_step_wh=counter_step_wh, soc_step_permille=10) as here:
            await here.confirm(trade(energy_wh=50_000, power_w=config.rated_power_w, window_ms=10_000_000))
            [ended] = await here.ear.until_ended()
            assert ended.reason == "floor reached"
            await asyncio.sleep(5)
            assert 0.1998 <= here.battery.lowest_soc < 0.212

    run(story())


def test_a_device_floor_above_the_sites_holds(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, config=BatteryConfig(soc_permille=520)) as here:
            here.battery.device_floor_permille = 500
            await asyncio.sleep(1)
            await here.confirm(trade(energy_wh=5_000, power_w=5_000))
            [ended] = await here.ear.until_ended()
            assert ended.reason == "floor reached"
            assert here.battery.lowest_soc >= 0.4995

    run(story())


def test_a_batterys_own_limit_is_a_shortfall_and_no_lie(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=500, power_w=4_000))
            await asyncio.sleep(20)
            here.battery.model.switches.hot_c = 56.0  # refuses altogether
            await asyncio.sleep(60)
            assert here.delivery.released
            assert [each.phase for each in here.delivery.active] == ["running"]
            here.battery.model.switches.hot_c = 20.0
            [ended] = await here.ear.until_ended()
            assert ended.code == 0
            assert here.ear.alarms == []
            assert [what for what, _ in writes(here.battery)] == ["command", "release", "command", "release"]

    run(story())


def test_discharge_for_the_house_is_not_sold_a_second_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, config=BatteryConfig(own_power_w=-1_000)) as here:
            await asyncio.sleep(5)
            assert here.delivery.baseline_w == 1_000
            before_wh, at_ms = here.battery.discharged_wh, now_ms()
            await here.confirm(trade(energy_wh=300, power_w=3_000))
            [ended] = await here.ear.until_ended()
            assert ended.code == 0
            assert writes(here.battery)[0] == ("command", -4_000)
            house_wh = 1_000 * (now_ms() - at_ms) / 3_600_000
            assert 298 <= here.battery.discharged_wh - before_wh - house_wh <= 303
            await here.confirm(trade(2, energy_wh=300, power_w=3_000))
            await here.ear.until_ended(2)
            assert {value for what, value in writes(here.battery) if what == "command"} == {-4_000}

    run(story())


def test_a_lab_whose_time_runs_faster_delivers_the_same_energy(tmp_path: Path) -> None:
    async def story() -> None:
        rules = DeliveryRules(time_lapse=60)
        async with world(tmp_path, config=BatteryConfig(time_lapse=60), rules=rules) as here:
            at_ms = now_ms()
            await here.confirm(trade(energy_wh=1_250, power_w=5_000, window_ms=20_000))
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.delivered_wh) == (0, 1_250)
            assert now_ms() - at_ms < 17_500
            await asyncio.sleep(3)

    run(story())


@pytest.mark.parametrize("counter_step_wh", [0, 100, 1_000])
def test_without_a_fine_counter_power_is_integrated_and_marked(tmp_path: Path, counter_step_wh: int) -> None:
    async def story() -> None:
        async with world(tmp_path, counter_step_wh=counter_step_wh) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=800, power_w=4_000))
            [ended] = await here.ear.until_ended()
            assert ended.derived
            assert (ended.code, here.records(Kind.DELIVERY_ENDED)[0].body["metered_by"]) == (0, "power")
            assert 792 <= here.battery.discharged_wh - before_wh <= 808

    run(story())


def test_a_power_value_that_is_too_high_is_caught_by_the_counter(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            here.battery.switches.power = lambda power_w: power_w * 104 // 100
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=100, power_w=5_000))
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.derived) == (0, False)
            await asyncio.sleep(3)
            assert 99 <= here.battery.discharged_wh - before_wh <= 104

    run(story())


def test_the_same_trade_twice_is_one_delivery_and_the_caller_knows(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            once = trade(energy_wh=100)
            assert here.delivery.start(once)
            assert not here.delivery.start(once)
            assert len(here.delivery.active) == 1
            await here.ear.until_ended()
            await asyncio.sleep(60)
            assert len(here.ear.ended) == 1
            assert here.delivery.start(once)
            assert (await here.delivery.stop_all(12)).released

    run(story())


def test_what_is_still_owed_falls_as_energy_flows(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=500, power_w=3_600))
            assert here.delivery.committed_wh == 500
            await asyncio.sleep(200.5)
            assert 298 <= here.delivery.committed_wh <= 302
            [active] = here.delivery.active
            assert active.delivered_wh + here.delivery.committed_wh == 500
            await here.delivery.stop_all(12)
            assert here.delivery.committed_wh == 0

    run(story())


def test_a_delivery_that_is_ended_early_is_owed_until_its_end_is_on_record(tmp_path: Path) -> None:
    """A start before that goes on with it: nobody else may have been promised its energy."""

    async def story() -> None:
        async with world(tmp_path) as here:
            sold = trade(energy_wh=500, power_w=3_600)
            await here.confirm(sold)
            await asyncio.sleep(100.5)
            assert here.delivery.stop(*sold.key, 15, "enough")
            assert not here.ear.ended
            assert 398 <= here.delivery.committed_wh <= 402
            await asyncio.sleep(10)
            assert len(here.ear.ended) == 1
            assert here.delivery.committed_wh == 0

    run(story())


def test_the_control_loop_beats_four_times_a_second_also_when_idle(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await asyncio.sleep(10)
            await here.confirm(trade(energy_wh=100))
            await here.ear.until_ended()
            assert len(here.beats) >= 40
            assert max(b - a for a, b in pairwise(here.beats)) <= 250

    run(story())


def test_a_released_battery_is_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=100))
            await here.ear.until_ended()
            count = len(here.battery.writes)
            await asyncio.sleep(600)
            assert len(here.battery.writes) == count
            assert here.battery.model.power_w == 0

    run(story())

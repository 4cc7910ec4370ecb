from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.books_types import BookedAlarm, BookedTakeOver, BookedTrade, Books
from agent.delivery_resume import Away, away_wh, resume
from agent.records import Deal, Kind
from drivers.device import TakeOver
from drivers.errors import EchoFailed
from etp.messages import ReasonCode
from tests.agent.delivery_world import World, now_ms, run, trade, world

if TYPE_CHECKING:
    from pathlib import Path

DEAL = Deal(peer="conn:1", bid_id=1, price_e4=1, energy_wh=1_000, power_w=4_000, lot_id=1, window_s=1_185)
WALL_MS = 1_000_000_000


async def restart(here: World, *, away_s: float = 0.0) -> None:
    """Crash, stay away, and start again on the same disk and battery."""
    await here.crash()
    await asyncio.sleep(away_s)
    here.boot()
    here.reconcile()
    here.go()


def books(**more: object) -> Books:
    return Books(battery="b1", **more)  # type: ignore[arg-type]


def booked(**more: object) -> BookedTrade:
    plain = {"seq": 5, "award_seq": 4, "deal": DEAL, "confirmed_wall_ms": WALL_MS - 60_000}
    return BookedTrade(**(plain | more))  # type: ignore[arg-type]


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


def test_a_trade_that_was_fulfilled_meanwhile_ends_without_another_setpoint(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, dead_man_ms=None) as here:
            await here.confirm(trade(energy_wh=100, power_w=4_000))
            await asyncio.sleep(10)
            count = len(here.battery.writes)
            await restart(here, away_s=120)
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.delivered_wh, ended.started_at_ms) == (0, 100, None)
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


# the pure part


def test_books_become_runs_in_the_order_of_their_confirms() -> None:
    later = booked(seq=9, deal=Deal(peer="conn:2", bid_id=2, price_e4=1, energy_wh=500, power_w=1_000, lot_id=1))
    left = resume(
        books(trades={("conn:2", 2): later, DEAL.key: booked(delivered_wh=300)}), now_ms=10_000, wall_ms=WALL_MS
    )
    assert [run.trade.key for run in left.runs] == [DEAL.key, ("conn:2", 2)]
    assert [run.before_wh for run in left.runs] == [300, 0]
    # 1,185 s and (ceil(4,500 x 0.5 / 1) + 60) s, less the minute that has passed
    assert [run.ends_by_ms for run in left.runs] == [10_000 + 1_125_000, 10_000 + 2_250_000]
    assert left.away == {}
    assert left.take_over is None


@pytest.mark.parametrize(("wall_ms", "left_ms"), [(WALL_MS - 10**9, 1_185_000), (WALL_MS + 10**9, 0)])
def test_a_clock_that_was_set_never_stretches_a_window(wall_ms: int, left_ms: int) -> None:
    left = resume(books(trades={DEAL.key: booked()}), now_ms=10_000, wall_ms=wall_ms)
    assert left.runs[0].ends_by_ms == 10_000 + left_ms


def test_a_lab_whose_time_runs_faster_has_shorter_windows() -> None:
    left = resume(books(trades={DEAL.key: booked(confirmed_wall_ms=WALL_MS)}), now_ms=0, wall_ms=WALL_MS, time_lapse=60)
    assert left.runs[0].ends_by_ms == 19_750


def test_only_what_had_started_under_a_counter_is_read_up() -> None:
    started = booked(started_wall_ms=WALL_MS - 30_000, counter_wh=500)
    assert resume(books(trades={DEAL.key: started}), now_ms=0, wall_ms=WALL_MS).away == {
        DEAL.key: Away(counter_wh=500, since_wall_ms=WALL_MS - 30_000, energy_wh=1_000, power_w=4_000)
    }
    for other in (booked(started_wall_ms=WALL_MS), booked(counter_wh=500)):
        assert resume(books(trades={DEAL.key: other}), now_ms=0, wall_ms=WALL_MS).away == {}


def test_the_take_over_comes_back_as_it_was_written() -> None:
    whole = TakeOver(found={"A": 1}, recipe=(("A", 1),), addresses={"A": (40_000, 2)}, unit=3, serial="X")
    record = BookedTakeOver({"A": 1}, (("A", 1),), {**whole.to_json(), "baseline_w": 500})
    assert resume(books(take_over=record), now_ms=0, wall_ms=0).take_over == whole
    bare = resume(books(take_over=BookedTakeOver({"A": 1}, (("A", 1),))), now_ms=0, wall_ms=0).take_over
    assert bare == TakeOver(found={"A": 1}, recipe=(("A", 1),), addresses={})


def test_only_blocking_alarms_of_deliveries_are_restored() -> None:
    alarms = {
        "echo-failed": BookedAlarm("why", True, 0),
        "release-unanswered": BookedAlarm("why", False, 0),
        "journal": BookedAlarm("why", True, 0),
    }
    assert resume(books(alarms=alarms), now_ms=0, wall_ms=0).alarms == {"echo-failed": "why"}


@pytest.mark.parametrize(
    ("counter_wh", "elapsed_ms", "step_wh", "parts"),
    [
        (1_030, 60_000, 1, {1: 10, 2: 20}),
        (1_031, 60_000, 1, {1: 10, 2: 20}),
        (1_000, 60_000, 1, {1: 0, 2: 0}),
        (1_200, 60_000, 1, {1: None, 2: None}),
        (1_200, 600_000, 1, {1: 66, 2: 133}),
        (999, 600_000, 1, {1: None, 2: None}),
        (1_030, -60_000, 1, {1: None, 2: None}),
        (1_030, 60_000, 10, {1: 0, 2: 20}),
    ],
)
def test_what_the_counter_moved_is_split_by_power_where_it_can_be_believed(
    counter_wh: int, elapsed_ms: int, step_wh: int, parts: dict[int, int | None]
) -> None:
    away = {
        ("a", 1): Away(counter_wh=1_000, since_wall_ms=WALL_MS - elapsed_ms, energy_wh=500, power_w=1_000),
        ("b", 2): Away(counter_wh=1_000, since_wall_ms=WALL_MS - elapsed_ms, energy_wh=1_000, power_w=2_000),
    }
    told = away_wh(away, counter_wh, wall_ms=WALL_MS, rated_power_w=5_000, counter_step_wh=step_wh)
    assert {key[1]: part for key, part in told.items()} == parts

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.records import Kind
from drivers.errors import BadReply, EchoFailed, ForeignWrite, LinkLost, NotReady, RangeError
from drivers.sim.physics import BatteryConfig
from etp.messages import ReasonCode
from tests.agent.delivery_world import World, now_ms, run, trade, world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from drivers.errors import DeviceError

ECHO = EchoFailed("WSet", 1, 2)
FOREIGN = ForeignWrite("WSet", 1, 2)


async def delivering(here: World, *, for_s: float = 30) -> None:
    await here.confirm(trade(1, power_w=2_000))
    await here.confirm(trade(2, power_w=2_000))
    await asyncio.sleep(for_s)
    assert here.battery.held


def _fault(here: World) -> None:
    here.battery.switches.fault = "over-voltage"


def _grid(here: World) -> None:
    here.battery.switches.grid_ok = False


def _local_mode(here: World) -> None:
    here.battery.switches.ready = False


def _hot(here: World) -> None:
    here.battery.switches.temp_max_dc = 510


def _cold_blind(here: World) -> None:
    here.battery.switches.temp_max_dc = None


@pytest.mark.parametrize(
    ("happens", "code", "words"),
    [
        (_fault, ReasonCode.FAULT, "over-voltage"),
        (_grid, ReasonCode.FAULT, "grid lost"),
        (_local_mode, ReasonCode.FAULT, "forbids discharge"),
        (_hot, ReasonCode.FAULT, "51.0 C"),
        (_cold_blind, ReasonCode.OFFLINE, "temperature is absent"),
    ],
)
def test_a_battery_that_must_not_discharge_is_released_within_a_poll_and_a_second(
    tmp_path: Path, happens: Callable[[World], None], code: ReasonCode, words: str
) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await delivering(here)
            at_ms = now_ms()
            happens(here)
            ended = await here.ear.until_ended(2)
            assert {each.code for each in ended} == {code}
            assert all(words in each.reason and 14 <= each.delivered_wh <= 18 for each in ended)
            await asyncio.sleep(0.1)
            assert here.battery.writes[-1][1] == "release"
            assert here.battery.writes[-1][0] - at_ms <= (2_000 if code == ReasonCode.FAULT else 4_000)
            assert here.delivery.released

    run(story())


def test_after_the_grid_was_lost_nothing_is_delivered_for_five_minutes(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await delivering(here)
            _grid(here)
            await here.ear.until_ended(2)
            here.battery.switches.grid_ok = True
            await asyncio.sleep(290)
            obstacle = here.delivery.obstacle()
            assert obstacle == (ReasonCode.FAULT, "grid lost")
            await here.confirm(trade(3))
            assert (await here.ear.until_ended(3))[-1].reason == "grid lost"
            await asyncio.sleep(12)
            assert here.delivery.obstacle() is None

    run(story())


def test_a_battery_that_falls_silent_ends_its_trades_and_is_released_when_it_answers(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await delivering(here)
            at_ms = now_ms()
            here.battery.switches.silent = True
            ended = await here.ear.until_ended(2)
            assert {each.code for each in ended} == {ReasonCode.OFFLINE}
            assert now_ms() - at_ms <= 4_500
            assert here.battery.held
            await asyncio.sleep(8)
            assert here.ear.alarms == [("release-unanswered", True)]
            obstacle = here.delivery.obstacle()
            assert obstacle is not None
            assert obstacle.code == ReasonCode.OFFLINE
            report = await here.delivery.stop_all(12, timeout_s=3)
            assert not report.released
            assert "no answer to the release" in report.reason
            here.battery.switches.silent = False
            await asyncio.sleep(3)
            assert here.delivery.released
            assert here.ear.alarms == [("release-unanswered", True), ("release-unanswered", False)]
            assert here.delivery.obstacle() is None
            assert await here.delivery.stop_all(12) == (True, "")

    run(story())


def test_a_link_that_stumbles_once_ends_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            here.battery.switches.on_prepare = LinkLost("reconnecting")
            await here.confirm(trade(energy_wh=100))
            await asyncio.sleep(0.3)
            here.battery.switches.on_prepare = None
            here.battery.switches.on_refresh = LinkLost("reconnecting")
            await asyncio.sleep(5.2)
            here.battery.switches.on_refresh = None
            assert (await here.ear.until_ended())[0].code == 0
            assert here.ear.alarms == []

    run(story())


@pytest.mark.parametrize(
    ("error", "code", "alarm"),
    [
        (LinkLost("gone"), ReasonCode.OFFLINE, None),
        (BadReply("exception 2"), ReasonCode.FAULT, "command-refused"),
        (RangeError("too much"), ReasonCode.FAULT, "command-refused"),
        (ECHO, ReasonCode.FAULT, "echo-failed"),
        (FOREIGN, ReasonCode.FAULT, "foreign-controller"),
        (NotReady("local mode"), ReasonCode.FAULT, "battery-not-ready"),
    ],
)
@pytest.mark.parametrize("when", ["on_prepare", "on_command", "on_refresh"])
def test_a_command_that_fails_ends_the_trades_and_gives_the_battery_back(
    tmp_path: Path, error: DeviceError, code: ReasonCode, alarm: str | None, when: str
) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            setattr(here.battery.switches, when, error)
            await here.confirm(trade())
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.reason) == (code, str(error))
            await asyncio.sleep(0.1)
            assert here.delivery.released
            assert here.ear.alarms == ([] if alarm is None else [(alarm, True)])
            foreign = isinstance(error, ForeignWrite)
            expected = [] if when == "on_prepare" else ["release"]
            after = [] if foreign else expected
            assert [what for _, what, _ in here.battery.writes if what in {"release"}] == after
            obstacle = here.delivery.obstacle()
            assert (obstacle is not None) is (alarm is not None)
            if alarm not in {None, "battery-not-ready"}:
                await asyncio.sleep(600)
                assert here.delivery.obstacle() is not None
                here.delivery.acknowledge()
                assert here.ear.alarms[-1] == (alarm, False)
            else:
                await asyncio.sleep(61)
            assert here.delivery.obstacle() is None
            setattr(here.battery.switches, when, None)
            await here.confirm(trade(2, energy_wh=100))
            assert (await here.ear.until_ended(2))[-1].code == 0
            assert (await here.delivery.stop_all(12)).released

    run(story())


def test_a_foreign_controller_is_left_the_battery_and_the_record_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await delivering(here, for_s=2)
            here.battery.switches.on_refresh = FOREIGN
            ended = await here.ear.until_ended(2)
            assert {each.code for each in ended} == {ReasonCode.FAULT}
            count = len(here.battery.writes)
            await asyncio.sleep(60)
            assert len(here.battery.writes) == count
            [released] = here.records(Kind.RELEASED)
            assert not released.body["verified"]
            report = await here.delivery.stop_all(12)
            assert report.released
            assert "foreign-controller" in report.reason

    run(story())


def test_a_battery_that_does_not_follow_is_released_and_sells_no_more_until_somebody_looks(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            here.battery.switches.deaf = True
            at_ms = now_ms()
            await here.confirm(trade())
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.FAULT
            assert "measured 0 W" in ended.reason
            assert 10_000 <= now_ms() - at_ms <= 12_500
            assert here.ear.alarms == [("setpoint-without-effect", True)]
            assert here.delivery.released
            here.battery.switches.deaf = False
            await here.confirm(trade(2))
            assert (await here.ear.until_ended(2))[-1].code == ReasonCode.FAULT
            here.delivery.acknowledge()
            await here.confirm(trade(3, energy_wh=100))
            assert (await here.ear.until_ended(3))[-1].code == 0

    run(story())


def test_new_trades_do_not_hide_a_battery_that_does_not_follow(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            here.battery.switches.deaf = True
            for bid_id in range(1, 9):
                await here.confirm(trade(bid_id, power_w=500))
                await asyncio.sleep(5)
            assert here.ear.alarms == [("setpoint-without-effect", True)]

    run(story())


def test_a_battery_that_will_not_let_go_is_asked_again_and_reported(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await delivering(here, for_s=5)
            here.battery.switches.on_release = ECHO
            report = await here.delivery.stop_all(12, timeout_s=5)
            assert not report.released
            assert ("release-failed", True) in here.ear.alarms
            here.battery.switches.on_release = None
            await asyncio.sleep(2)
            assert here.delivery.released
            obstacle = here.delivery.obstacle()
            assert obstacle is not None
            assert obstacle.reason.startswith("release-failed")

    run(story())


def test_nothing_is_written_to_a_battery_whose_take_over_is_not_on_disk(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            first = trade(1)
            here.executor.broken = OSError(28, "No space left on device")
            here.delivery.start(first)
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.FAULT
            assert "no room left" in ended.reason
            assert here.battery.writes == []
            here.delivery.start(trade(2))
            assert len(await here.ear.until_ended(2)) == 2
            assert here.battery.writes == []

    run(story())


def test_a_journal_that_fails_under_way_does_not_stop_what_runs(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=100))
            await asyncio.sleep(20)
            here.executor.broken = OSError(28, "No space left on device")
            [ended] = await here.ear.until_ended()
            assert (ended.code, here.delivery.released) == (0, True)
            assert (await here.delivery.stop_all(12)).released

    run(story())


@pytest.mark.parametrize("jump_wh", [-500, 800])
def test_a_counter_that_jumps_is_absent_for_the_delivery(tmp_path: Path, jump_wh: int) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            before_wh = here.battery.discharged_wh
            await here.confirm(trade(energy_wh=200, power_w=4_000))
            await asyncio.sleep(60)
            here.battery.switches.counter = lambda wh: wh + jump_wh
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.derived) == (0, True)
            await asyncio.sleep(3)
            assert 198 <= here.battery.discharged_wh - before_wh <= 203
            await here.confirm(trade(2, energy_wh=200, power_w=4_000))
            assert not (await here.ear.until_ended(2))[-1].derived

    run(story())


def test_a_counter_that_stands_still_is_not_believed_to_deliver(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            stuck_wh = int(here.battery.discharged_wh)
            here.battery.switches.counter = lambda _wh: stuck_wh
            await here.confirm(trade(energy_wh=100, power_w=4_000, window_ms=300_000))
            [ended] = await here.ear.until_ended()
            assert (ended.code, ended.delivered_wh) == (ReasonCode.NOT_ENOUGH_ENERGY, 0)

    run(story())


def test_a_driver_that_never_comes_back_counts_as_a_lost_link(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, dead_man_ms=80_000) as here:

            async def hang() -> None:
                await asyncio.Event().wait()

            here.battery.refresh = hang  # type: ignore[method-assign]
            await here.confirm(trade())
            [ended] = await here.ear.until_ended()
            assert ended.code == ReasonCode.OFFLINE
            assert "refresh: no end after 10 s" in ended.reason
            await asyncio.sleep(0.1)
            assert here.delivery.released

    run(story())


def test_an_error_that_nobody_expects_reaches_the_supervisor(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:

            async def bug() -> None:
                raise ZeroDivisionError

            here.battery.refresh = bug  # type: ignore[method-assign]
            await here.confirm(trade())
            with pytest.raises(ZeroDivisionError):
                await here.tasks.pop()
            del here.battery.refresh
            here.tasks.append(asyncio.create_task(here.delivery.run()))
            assert (await here.ear.until_ended())[0].code == 0

    run(story())


def test_a_run_that_is_cancelled_in_the_middle_of_an_operation_can_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as here:
            await here.confirm(trade(energy_wh=100))
            await asyncio.sleep(0.021)  # between prepare and the first setpoint
            task = here.tasks.pop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            here.tasks.append(asyncio.create_task(here.delivery.run()))
            assert (await here.ear.until_ended())[0].code == 0
            assert here.delivery.released

    run(story())


@pytest.mark.slow
def test_a_day_of_ordinary_operation_raises_no_alarm(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path, config=BatteryConfig(capacity_wh=100_000, own_power_w=-50), tick_ms=1_000) as here:
            for hour in range(24):
                if 8 <= hour < 22:
                    await here.confirm(trade(hour, energy_wh=1_200, power_w=4_000))
                await asyncio.sleep(3_600)
            assert here.ear.alarms == []
            assert {each.code for each in here.ear.ended} == {0}
            assert len(here.ear.ended) == 14

    run(story())

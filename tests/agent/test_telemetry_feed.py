"""What batteries tell reaches the telemetry ring, and its troubles reach nobody but the log."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent import telemetry_feed
from agent.journal_testing import HeldExecutor
from agent.telemetry import Sample, read_samples
from agent.telemetry_feed import TelemetryFeed
from drivers.device import BatteryState, Value
from simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from drivers.device import Battery

WALL_MS = 1_760_000_000_000
SILENT = BatteryState(soh_permille=Value(990, 0))


class Tells:
    """A battery's voice."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[BatteryState], None]] = []

    def on_change(self, callback: Callable[[BatteryState], None]) -> None:
        self._callbacks.append(callback)

    def tell(self, state: BatteryState) -> None:
        for callback in self._callbacks:
            callback(state)


def virtual(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario)


def wall_ms() -> int:
    return WALL_MS + int(asyncio.get_running_loop().time() * 1_000)


def state(soc_permille: int) -> BatteryState:
    return BatteryState(connected=True, soc_permille=Value(soc_permille, 0), power_w=Value(-700, 0))


def watched(feed: TelemetryFeed, name: str) -> Tells:
    battery = Tells()
    feed.watch(name, cast("Battery", battery))
    return battery


def work_off(executor: HeldExecutor) -> None:
    while executor.held:
        executor.complete()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "telemetry.db"


async def test_samples_of_every_battery_reach_the_file(path: Path) -> None:
    feed = TelemetryFeed.open(path, rows=1_000, wall_ms=lambda: WALL_MS)
    full = BatteryState(
        connected=True,
        soc_permille=Value(501, 1),
        voltage_mv=Value(51_200, 1),
        current_ma=Value(-13_000, 1),
        power_w=Value(-700, 1),
        temp_min_dc=Value(181, 1),
        temp_max_dc=Value(204, 1),
        soh_permille=Value(990, 1),
        charged_wh=Value(100, 1),
        discharged_wh=Value(200, 1),
    )
    watched(feed, "garage").tell(full)
    watched(feed, "shed").tell(state(300))
    await feed.close()
    assert [sample for _, sample in read_samples(path)] == [
        Sample("garage", WALL_MS, 501, 51_200, -13_000, -700, 181, 204, 990, 100, 200, 0),
        Sample("shed", WALL_MS, 300, power_w=-700),
    ]
    assert (feed.dropped, feed.failed) == (0, None)


def test_a_battery_gets_one_row_a_second_however_often_it_is_read(path: Path) -> None:
    async def scenario() -> None:
        executor = HeldExecutor()
        feed = TelemetryFeed.open(path, wall_ms=wall_ms, executor=executor)
        eager, steady = watched(feed, "eager"), watched(feed, "steady")
        for tick in range(200):
            eager.tell(state(tick))
            if tick % 10 == 0:
                steady.tell(state(tick))
            await asyncio.sleep(0.099 if tick % 20 < 10 else 0.101)
        executor.complete()
        closing = asyncio.ensure_future(feed.close())
        while not closing.done():
            await asyncio.sleep(0)
            work_off(executor)

    virtual(scenario())
    samples = [sample for _, sample in read_samples(path)]
    assert len([one for one in samples if one.battery == "steady"]) == 20
    at_ms = [one.at_ms for one in samples if one.battery == "eager"]
    assert len(at_ms) in {20, 21}
    assert min(after - before for before, after in pairwise(at_ms)) >= 900


def test_silence_is_one_row_and_its_end_another(path: Path) -> None:
    async def scenario() -> None:
        executor = HeldExecutor()
        feed = TelemetryFeed.open(path, wall_ms=wall_ms, clock_trusted=lambda: False, executor=executor)
        executor.complete()
        battery = watched(feed, "home")
        for each in (state(1), SILENT, SILENT, BatteryState(), state(2)):
            battery.tell(each)
            await asyncio.sleep(1)
        closing = asyncio.ensure_future(feed.close())
        while not closing.done():
            await asyncio.sleep(0)
            work_off(executor)
        battery.tell(state(3))

    virtual(scenario())
    samples = [sample for _, sample in read_samples(path)]
    assert [(one.soc_permille, one.quality) for one in samples] == [(1, 4), (None, 5), (2, 4)]
    assert [one.at_ms - samples[0].at_ms for one in samples] == [0, 1_000, 4_000]


class TestTrouble:
    @pytest.fixture
    def told(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        told: list[str] = []

        class Log:
            def warning(self, event: str, **fields: Any) -> None:
                told.append(f"{event}: {fields['reason']}")

        monkeypatch.setattr(telemetry_feed, "_log", Log())
        return told

    async def test_no_place_for_the_file_is_told_once_and_counted(self, tmp_path: Path, told: list[str]) -> None:
        in_the_way = tmp_path / "telemetry.db"
        in_the_way.mkdir()
        executor = HeldExecutor()
        feed = TelemetryFeed.open(in_the_way, wall_ms=wall_ms, executor=executor)
        batteries = [watched(feed, f"b{n}") for n in range(4)]
        batteries[0].tell(state(1))
        executor.complete()
        for battery in batteries[1:]:
            battery.tell(state(1))
        assert feed.dropped == 4
        assert len(told) == 1
        assert str(in_the_way) in told[0]
        await feed.close()

    def test_a_disk_that_fails_is_told_once_and_counted(self, path: Path, told: list[str]) -> None:
        async def scenario() -> None:
            executor = HeldExecutor()
            feed = TelemetryFeed.open(path, wall_ms=wall_ms, executor=executor)
            executor.complete()
            battery = watched(feed, "home")
            for n in range(30):
                battery.tell(state(n))
                await asyncio.sleep(1)
                if executor.held:
                    executor.fail(sqlite3.OperationalError("disk I/O error"))
            assert feed.dropped == 30
            await feed.close()

        virtual(scenario())
        assert len(told) == 1
        assert "disk I/O error" in told[0]

    def test_a_disk_that_never_answers_costs_neither_memory_nor_the_stop(self, path: Path, told: list[str]) -> None:
        async def scenario() -> None:
            feed = TelemetryFeed.open(path, wall_ms=wall_ms, executor=HeldExecutor())
            battery = watched(feed, "home")
            for n in range(400):
                battery.tell(state(n))
                await asyncio.sleep(1)
            assert feed.dropped == 400 - 256
            started_s = asyncio.get_running_loop().time()
            await feed.close()
            assert asyncio.get_running_loop().time() - started_s < 10

        virtual(scenario())
        assert told == [f"telemetry is lost: {path}: the disk does not answer"]

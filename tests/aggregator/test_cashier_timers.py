"""The cashier's timer for trades of an earlier process, in virtual time, on a real journal file."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.cashier import WINDOWS_S, Cashier
from aggregator.settling import is_running
from aggregator.testing.money_bench import WALL_MS, MoneyBench
from simulation.disk import Disk, VirtualExecutor
from simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from aggregator.entries import Entry

LOT_WH = 5_000


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario)


class Bench(MoneyBench):
    """A bench whose clocks are the loop's."""

    def wall_ms(self) -> int:
        return WALL_MS + now_ms()


class Resumed:
    """A process that has begun on the journal of one that had agreed on a trade and was killed."""

    def __init__(self, path: Path, *, agreed: bool = True) -> None:
        first = Bench(path)
        if agreed:
            first.agreed_bid()
        first.crash()
        first.settler.puts.clear()
        self.bench = Bench(path, after=first)
        self.looks: list[int] = []
        self.told: list[str] = []
        left_over = self.bench.settling.left_over

        def looked(at_ms: int) -> Any:
            self.looks.append(at_ms)
            return left_over(at_ms)

        self.bench.settling.left_over = looked  # type: ignore[method-assign, assignment]
        self.cashier = Cashier(
            self.bench.settling,
            self.bench.file,
            VirtualExecutor(Disk(), random.Random(1)),
            emit=lambda event, _fields: self.told.append(event),
            recovered=lambda: None,
        )
        self.began_ms = now_ms()
        self.cashier.start(self.began_ms)

    @property
    def entry(self) -> Entry:
        [entry] = self.bench.settling.book
        return entry

    @property
    def figures(self) -> list[int | None]:
        return [figure_wh for _, figure_wh in self.bench.settler.puts]


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1_000)


def test_a_trade_whose_battery_stays_away_gets_its_figure_within_a_minute_of_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        resumed = Resumed(tmp_path / "cheques.db")
        while is_running(resumed.entry, WALL_MS + now_ms()):
            assert set(resumed.figures) == {None}
            await asyncio.sleep(1)
        assert set(resumed.figures) == {None}
        await asyncio.sleep(WINDOWS_S + 1)
        assert resumed.figures[-1] == LOT_WH
        assert resumed.entry.figure_wh == LOT_WH
        kept = resumed.bench.file.read(resumed.entry.key)
        assert kept is not None
        assert kept.figure_wh == LOT_WH
        minutes = [at_ms - resumed.began_ms for at_ms in resumed.looks]
        assert minutes == [pytest.approx(60_000 * n, abs=5) for n in range(1, len(minutes) + 1)]
        looks = len(resumed.looks)
        await asyncio.sleep(600)
        assert len(resumed.looks) == looks, "nothing is waited for any more"
        assert resumed.told == []
        resumed.cashier.abandon()

    run(scenario())


def test_a_trade_whose_battery_comes_back_is_its_conversations_and_looked_for_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        resumed = Resumed(tmp_path / "cheques.db")
        await asyncio.sleep(90)
        bench = resumed.bench
        bench.now_ms = now_ms()
        bench.register()
        assert not bench.settling.waits_for_batteries
        await asyncio.sleep(7_200)
        assert [round((at_ms - resumed.began_ms) / 60_000) for at_ms in resumed.looks] == [1, 2]
        assert set(resumed.figures) == {None}
        resumed.cashier.abandon()

    run(scenario())


def test_a_process_that_has_ended_looks_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        resumed = Resumed(tmp_path / "cheques.db")
        await asyncio.sleep(90)
        await resumed.cashier.close()
        await asyncio.sleep(7_200)
        assert len(resumed.looks) == 1
        assert set(resumed.figures) == {None}

    run(scenario())


def test_without_a_trade_of_an_earlier_process_there_is_one_look_and_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        resumed = Resumed(tmp_path / "cheques.db", agreed=False)
        await asyncio.sleep(600)
        assert len(resumed.looks) == 1
        resumed.cashier.abandon()

    run(scenario())

"""The work of an appraisal: in slices that an event loop can bear, from files that may be anything."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING
from unittest.mock import Mock

from agent.appraisal import FILE_READ_MAX, Asked, FileRead, appraised, in_slices, read
from agent.appraiser import LOOK_EVERY_S, READ_LIMIT_S, Appraiser, AppraiserPorts
from agent.pricing import SLOT_MS, DynamicTerms, FlatTariff, LotSeen, Markup, Plant, PriceFile, SalesHistory, finished
from settlement.executor import ThreadExecutor
from tests.agent.gateway_world import run, world
from tests.agent.test_appraiser import FROM_FILE, lines, price, reserve, write

if TYPE_CHECKING:
    import pytest


PLANT = Plant(range_wh=10_800, discharge_w=5_000)
NOW_SLOT = 990_000
NEVER = Mock(side_effect=AssertionError)
SLICE_MAX_S = 0.005
"""What nothing may hold up an event loop for."""


def asked(terms: DynamicTerms) -> Asked:
    markup = Markup(50_000)
    for number in range(240):
        markup = markup.learn(LotSeen(100_000, 100_000, 3, 140_000, 110_000 + 100 * number))
    return Asked(terms, PLANT, markup, SalesHistory(), NOW_SLOT * SLOT_MS)


def longest_s(found: Asked, files: list[FileRead]) -> float:
    """Return the shortest of three longest slices, in this thread's own time: what else runs here says nothing."""
    rounds: list[float] = []
    for _ in range(3):
        slices = appraised(found._replace(markup=Markup.from_json(found.markup.to_json())), files)
        spent: list[float] = []
        while True:
            began_s = thread_time()
            try:
                next(slices)
            except StopIteration:
                break
            finally:
                spent.append(thread_time() - began_s)
        rounds.append(max(spent))
    return min(rounds)


def test_no_slice_of_an_appraisal_holds_up_the_loop() -> None:
    data = lines(NOW_SLOT, [25.0] * 9_000).encode()
    terms = DynamicTerms(floor_e4=0, sell=PriceFile("prices.csv"), buy=PriceFile("costs.csv"))
    file = FileRead((NOW_SLOT * SLOT_MS * 1_000_000, len(data)), data)
    found = asked(terms)
    result = finished(appraised(found, [file, file]))
    assert (result.trouble, result.table is not None) == ("", True)
    assert longest_s(found, [file, file]) < SLICE_MAX_S


def test_the_loop_runs_between_any_two_half_hours_and_points_of_the_mark_up() -> None:
    async def scenario() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        result = await in_slices(appraised(asked(DynamicTerms(floor_e4=0, sell=FlatTariff(250_000))), []))
        counting.cancel()
        assert result.table is not None
        assert turns >= 96 + 51

    asyncio.run(scenario())


def test_what_needs_no_file_needs_no_thread(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(), selling=False) as here:
            here.pricing_disk.full = True
            await here.until_selling()
            assert price(here)["reserve_e4"] == 250_000

    run(scenario())


def read_in_time(path: Path) -> FileRead:
    """Return what is read; a read that hangs fails the test and not the run."""
    found: list[FileRead] = []
    reader = threading.Thread(target=lambda: found.extend(read([PriceFile(str(path))], None) or ()), daemon=True)
    reader.start()
    reader.join(20)
    assert not reader.is_alive(), "the read hangs"
    return found[0]


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        assert "is not a regular file" in read_in_time(path).trouble


def test_a_pipe_that_takes_the_files_place_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("")
    before = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda _self: before)
    assert "is not a regular file" in read_in_time(path).trouble


def test_of_a_file_without_an_end_no_more_is_read_than_a_forecast_may_have(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert len(read_in_time(path).data) == FILE_READ_MAX


def test_a_pipe_in_place_of_a_forecast_is_an_alarm(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    write(path, [25.0] * 60)

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE)) as here:
            path.unlink()
            os.mkfifo(path)
            await asyncio.sleep(LOOK_EVERY_S + 1)
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("kept", 250_000)
            assert "is not a regular file" in price(here)["trouble"]
            assert [alarm["name"] for alarm in here.seller.watch.alarms()] == ["forecast"]

    run(scenario())


def test_a_read_that_hangs_is_an_alarm_and_the_next_attempt_starts(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    write(path, [25.0] * 60)

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE)) as here:
            here.pricing_disk.stall_ms = 86_400_000
            await asyncio.sleep(LOOK_EVERY_S + READ_LIMIT_S + 1)
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("kept", 250_000)
            assert "was not read within 10 s" in price(here)["trouble"]
            assert [alarm["name"] for alarm in here.seller.watch.alarms()] == ["forecast"]
            here.pricing_disk.stall_ms = 0
            write(path, [30.0] * 60, at_ms=here.wall_ms())
            await asyncio.sleep(LOOK_EVERY_S + READ_LIMIT_S + 1)
            assert (price(here)["basis"], price(here)["trouble"], price(here)["reserve_e4"]) == (
                "forecast",
                "",
                300_000,
            )

    run(scenario())


def test_only_some_reads_hang_at_a_time_and_one_that_comes_back_is_tried_at_once(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    write(path, [25.0] * 90)

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE)) as here:
            appraiser = here.front.appraiser
            assert appraiser is not None
            here.pricing_disk.stall_ms = 3 * 3_600_000
            await asyncio.sleep(2 * 3_600)
            assert appraiser._hung == 4
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("kept", 250_000)
            here.pricing_disk.stall_ms = 0
            await asyncio.sleep(3_600 + 2 * LOOK_EVERY_S)
            assert (price(here)["basis"], price(here)["trouble"]) == ("forecast", "")
            await asyncio.sleep(600)
            assert appraiser._hung == 0

    run(scenario())


def test_an_appraiser_closes_although_a_read_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    terms = DynamicTerms(floor_e4=0, sell=PriceFile("prices.csv"))

    def hang(*_asked: object) -> None:
        release.wait(30)

    async def scenario() -> None:
        monkeypatch.setattr("agent.appraiser.READ_LIMIT_S", 0.05)
        monkeypatch.setattr("agent.appraiser.read", hang)
        ports = AppraiserPorts(lambda: None, lambda: 0, NEVER, NEVER, NEVER, lambda: NOW_SLOT * SLOT_MS)
        appraiser = Appraiser(terms, ports=ports, readers=ThreadExecutor, rule="standing_bid", price_cap_e4=10_000_000)
        files = await appraiser._read(asked(terms))
        assert files is not None
        assert "was not read within" in files[0].trouble
        closing = threading.Thread(target=appraiser.close, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, 10)
        assert not closing.is_alive(), "it waits for the read"
        release.set()
        await appraiser._due.wait()
        assert appraiser._hung == 0

    asyncio.run(asyncio.wait_for(scenario(), 40))

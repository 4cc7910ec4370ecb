"""The work of an appraisal: in slices that an event loop can bear, from files that may be anything."""

from __future__ import annotations

import asyncio
from time import thread_time
from typing import TYPE_CHECKING

from agent.appraisal import Asked, FileRead, appraised, in_slices
from agent.pricing import SLOT_MS, DynamicTerms, FlatTariff, LotSeen, Markup, Plant, PriceFile, SalesHistory, finished
from tests.agent.gateway_world import run, world
from tests.agent.test_appraiser import lines, price, reserve

if TYPE_CHECKING:
    from pathlib import Path


PLANT = Plant(range_wh=10_800, discharge_w=5_000)
NOW_SLOT = 990_000
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

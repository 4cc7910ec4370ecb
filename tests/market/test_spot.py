"""A path of prices: of its seed and half hour alone, on the grid, quick, and without a seam."""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import subprocess
import sys
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.units import PRICE_TICK_E4
from market.aest import AEST, INDEX_MAX, day_of, hour_of, index_of
from market.errors import StudyError
from market.spot import HALF_HOURS_MAX, SpotModel
from market.spot_figures import autocorrelation
from market.spot_file import SEASONS

pytestmark = pytest.mark.slow

MODEL = SpotModel.load()
NEW_YEAR = index_of(date(2025, 1, 1))
BLOCK = 4_096
"""Where a path takes its factors up anew: nothing of it may be seen from outside."""


def test_these_are_the_prices_of_seed_1() -> None:
    """A study that names its seed can be repeated with any later release."""
    assert MODEL.path(1, start=date(2025, 7, 1), half_hours=6) == (98100, 58900, 63500, 8200, -1200, 6000)


def test_equal_seeds_give_equal_prices_in_any_process() -> None:
    code = "from market.spot import SpotModel; print(SpotModel.load().path(7, start=964252, half_hours=200))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("0", "4711")
    }
    assert told == {f"{MODEL.path(7, start=964252, half_hours=200)}\n"}


@settings(max_examples=25)
@given(seed=st.sampled_from([0, 1, -5, 2**70]), late=st.integers(0, 6_000), length=st.integers(1, 300))
def test_a_half_hour_has_one_price_wherever_a_path_starts_and_ends(seed: int, late: int, length: int) -> None:
    start = NEW_YEAR // BLOCK * BLOCK - 3_000
    assert MODEL.path(seed, start=start + late, half_hours=length) == long_path(seed, start)[late : late + length]


@cache
def long_path(seed: int, start: int) -> tuple[int, ...]:
    return MODEL.path(seed, start=start, half_hours=6_300)


def test_another_seed_is_another_market() -> None:
    paths = [MODEL.path(seed, start=NEW_YEAR, half_hours=480) for seed in (1, 2, -1)]
    assert all(sum(a == b for a, b in zip(p, q, strict=True)) < 10 for p, q in pairwise(paths))


def test_ordinary_prices_are_straight_between_the_quantiles_and_flat_outside() -> None:
    """Without memory to speak of, so that two years are enough to see the shares."""
    rows = dict.fromkeys(SEASONS, ((2.0, 6.0, 8.0),) * 24)
    quick = dataclasses.replace(calm().tables, fast_hours=0.2, slow_hours=0.2)
    model = SpotModel(dataclasses.replace(quick, levels=(0.2, 0.6, 0.7), quantiles=rows))
    path = model.path(4, start=NEW_YEAR, half_hours=2 * 17_520)
    for price_c, level in ((2.005, 0.2), (3.0, 0.3), (5.0, 0.5), (7.0, 0.65), (7.995, 0.7)):
        assert sum(price < price_c * 10_000 for price in path) / len(path) == pytest.approx(level, abs=0.01)
    assert (min(path), max(path)) == (20_000, 80_000)


def test_prices_are_whole_ticks_and_may_be_negative() -> None:
    path = MODEL.path(1, start=NEW_YEAR, half_hours=17_520)
    assert {type(price) for price in path} == {int}
    assert not any(price % PRICE_TICK_E4 for price in path)
    assert min(path) < 0
    assert max(path) <= 16_600_000


def test_an_index_a_time_and_a_date_name_the_same_half_hour() -> None:
    assert (
        MODEL.path(3, start=date(2025, 1, 1), half_hours=2)
        == MODEL.path(3, start=datetime(2025, 1, 1, tzinfo=AEST), half_hours=2)
        == MODEL.path(3, start=datetime(2024, 12, 31, 14, tzinfo=UTC), half_hours=2)
        == MODEL.path(3, start=NEW_YEAR, half_hours=2)
    )


@pytest.mark.parametrize(
    ("start", "half_hours", "key"),
    [
        (NEW_YEAR, 0, "half_hours"),
        (NEW_YEAR, -1, "half_hours"),
        (NEW_YEAR, HALF_HOURS_MAX + 1, "half_hours"),
        (INDEX_MAX - 1, 2, "half_hours"),
        (-1, 1, "start"),
        (INDEX_MAX, 1, "start"),
        (datetime(2025, 1, 1), 1, "start"),  # noqa: DTZ001 - what is refused
        (datetime(2025, 1, 1, 0, 1, tzinfo=UTC), 1, "start"),
    ],
)
def test_a_path_that_cannot_be_is_refused(start: int | date, half_hours: int, key: str) -> None:
    with pytest.raises(StudyError) as caught:
        MODEL.path(1, start=start, half_hours=half_hours)
    assert caught.value.key == key


def test_the_first_and_the_last_half_hour_have_prices() -> None:
    assert len(MODEL.path(1, start=0, half_hours=2)) == 2
    assert len(MODEL.path(1, start=INDEX_MAX - 2, half_hours=2)) == 2


def test_nothing_is_seen_where_the_factors_are_taken_up_anew() -> None:
    """Across the 51 seams of 12 years the prices hang together as they do elsewhere."""
    start = NEW_YEAR // BLOCK * BLOCK
    path = calm().path(5, start=start, half_hours=12 * 17_520)
    seam, elsewhere = (
        [abs(path[at] - path[at - 1]) for at in range(first, len(path), BLOCK)] for first in (BLOCK, BLOCK // 2)
    )
    assert len(seam) == 51
    assert 0.6 < (sum(seam) / len(seam)) / (sum(elsewhere) / len(elsewhere)) < 1.6


def calm() -> SpotModel:
    """Return a model without spikes and with the same prices in all hours, in which only the factors move."""
    tables = MODEL.tables
    row = tables.quantiles["summer"][20]
    same = dict.fromkeys(tables.quantiles, (row,) * 24)
    return SpotModel(dataclasses.replace(tables, quantiles=same, hazard=dict.fromkeys(same, (0.0,) * 24)))


def test_the_factors_keep_what_their_time_constants_and_weights_say() -> None:
    """With prices that are straight in the mixed normal value, correlations are those of two such factors."""
    levels = tuple(level / 2_000 for level in range(1, 2_000))
    row = tuple(10 + NormalDist().inv_cdf(level) for level in levels)
    same = dict.fromkeys(SEASONS, (row,) * 24)
    model = SpotModel(dataclasses.replace(calm().tables, levels=levels, quantiles=same))
    path = model.path(2, start=NEW_YEAR, half_hours=15 * 17_520)
    assert statistics.fmean(path) == pytest.approx(100_000, abs=1_000)
    assert statistics.pstdev(path) == pytest.approx(10_000, abs=400)
    for hours in (1, 6, 24, 96, 240):
        said = 0.5569 * math.exp(-hours / 4.824) + 0.4431 * math.exp(-hours / 156.97)
        assert autocorrelation(path, 2 * hours) == pytest.approx(said, abs=0.04)


def test_the_season_changes_on_the_first_of_april_and_october() -> None:
    tables = MODEL.tables
    flat = {"winter": ((10.0, 10.0),) * 24, "summer": ((20.0, 20.0),) * 24}
    calm_hours = dict.fromkeys(flat, (0.0,) * 24)
    model = SpotModel(dataclasses.replace(tables, levels=(0.1, 0.9), quantiles=flat, hazard=calm_hours))
    path = model.path(1, start=date(2025, 1, 1), half_hours=365 * 48)
    for index, price in enumerate(path, NEW_YEAR):
        assert price == (100_000 if 4 <= day_of(index).month <= 9 else 200_000)


def test_the_hour_is_that_of_the_market() -> None:
    rows = tuple((float(hour), float(hour)) for hour in range(24))
    tables = dataclasses.replace(
        MODEL.tables,
        levels=(0.1, 0.9),
        quantiles={"winter": rows, "summer": rows},
        hazard=dict.fromkeys(("winter", "summer"), (0.0,) * 24),
    )
    path = SpotModel(tables).path(1, start=date(2025, 1, 1), half_hours=96)
    assert list(path) == [k // 2 * 10_000 for k in range(48)] * 2
    assert [price // 10_000 for price in path] == [hour_of(NEW_YEAR + k) for k in range(96)]


def test_a_spike_state_that_always_starts_and_stays_gives_nothing_but_spikes() -> None:
    always = dict.fromkeys(("winter", "summer"), (1.0,) * 24)
    model = SpotModel(dataclasses.replace(MODEL.tables, hazard=always, stay=0.99))
    path = sorted(model.path(1, start=NEW_YEAR, half_hours=20_000))
    ordinary = sum(price <= 300_000 for price in path)
    assert 100 < ordinary < 300  # each exit, one in a hundred, is one ordinary half hour
    spikes = path[ordinary:]
    for level, price_c in zip(MODEL.tables.spike_levels, MODEL.tables.spike_c, strict=True):
        below = sum(price < price_c * 10_000 for price in spikes) / len(spikes)
        assert below == pytest.approx(level, abs=0.012)
    assert spikes[-1] <= 16_600_000

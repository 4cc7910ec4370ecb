"""The synthetic market against the real one: what the statistics say must come out, and mutants must not pass.

The bounds are about three standard errors of what they hold for (how far the figures of seeds lie apart), plus what the
shape of the generator is known to cost; `docs/spot.md` names it.
"""

from __future__ import annotations

import dataclasses
import re
import statistics
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from market.aest import day_of, hour_of, index_of
from market.errors import StudyError
from market.spot import ATTRIBUTION, HALF_HOURS_A_YEAR, SpotModel
from market.spot_figures import REAL, Figures, daily_means_c, figures_of, spikes_of, table
from market.spot_file import SEASONS, SpotTables

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = SpotModel.load()
FIRST = index_of(date(2025, 1, 1))
PAGE = Path(__file__).parents[2] / "docs" / "spot.md"
SEED = 1
BOUNDS = {  # figure: how far off 30 years may be, how far 5 years
    "mean_c": (0.6, 1.2),
    "median_c": (0.7, 1.4),
    "p5_c": (0.3, 0.6),
    "p95_c": (0.8, 1.8),
    "negative_pct": (1.8, 4.0),
    "above_30c_pct": (0.09, 0.2),
    "evening_mean_c": (1.2, 2.5),
    "midday_mean_c": (0.9, 1.6),
    "spikes_a_year": (4.5, 11),
    "spike_mean_h": (0.1, 0.2),
    "spikes_from_16_to_21_pct": (4, 8),
    "spikes_from_6_to_10_pct": (4, 8),
    "spike_median_c": (1.0, 2.5),
    "spike_p90_c": (60, 160),
    "lag_1_day_capped": (0.06, 0.1),
    "lag_7_days_capped": (0.1, 0.18),
}


def path_of(model: SpotModel, years: int) -> tuple[int, ...]:
    return model.path(SEED, start=FIRST, half_hours=years * HALF_HOURS_A_YEAR)


def amiss(path: tuple[int, ...], *, years: int) -> set[str]:
    """Return the figures that are off, and "shape" where a season's hour has another median than the real one."""
    found = figures_of(path, FIRST)
    column = 0 if years >= 30 else 1
    off = {
        name
        for name, bounds in BOUNDS.items()
        if getattr(found, name) is None or abs(getattr(found, name) - getattr(REAL, name)) > bounds[column]
    }
    return off | ({"shape"} if shape_error_c(path) > (1.0, 2.2)[column] else set())


def shape_error_c(path: tuple[int, ...]) -> float:
    """Return how far, at worst, the median of a season's hour is from the real one, in c/kWh, without spikes."""
    seen: dict[tuple[str, int], list[int]] = {}
    for index, price in enumerate(path, FIRST):
        if price > 300_000:
            continue
        season = "winter" if day_of(index).month in range(4, 10) else "summer"
        seen.setdefault((season, hour_of(index)), []).append(price)
    at = MODEL.tables.levels.index(0.5)
    return max(
        abs(statistics.median(prices) / 10_000 - MODEL.tables.quantiles[season][hour][at])
        for (season, hour), prices in seen.items()
    )


def test_five_years_are_like_the_real_ones() -> None:
    assert amiss(path_of(MODEL, 5), years=5) == set()


@pytest.mark.slow
def test_thirty_years_are_the_real_ones() -> None:
    assert amiss(path_of(MODEL, 30), years=30) == set()


@pytest.mark.slow
def test_the_page_shows_what_thirty_years_give() -> None:
    page = PAGE.read_text()
    assert table(figures_of(path_of(MODEL, 30), FIRST)) in page
    assert f"(seed {SEED}, 30 years from 2025-01-01)" in page
    assert "Source: AEMO (Australian Energy Market Operator)" in page
    assert "Source: AEMO (Australian Energy Market Operator)" in ATTRIBUTION


def test_the_example_of_the_page_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["prices_e4"] == MODEL.path(1, start=date(2025, 7, 1), half_hours=336)


def with_hours_moved(tables: SpotTables, hours: int) -> SpotTables:
    return dataclasses.replace(
        tables,
        quantiles={season: rows[hours:] + rows[:hours] for season, rows in tables.quantiles.items()},
        hazard={season: rows[hours:] + rows[:hours] for season, rows in tables.hazard.items()},
    )


def with_seasons_swapped(tables: SpotTables) -> SpotTables:
    quantiles, hazard = tables.quantiles, tables.hazard
    return dataclasses.replace(
        tables,
        quantiles=dict(zip(SEASONS, reversed([quantiles[season] for season in SEASONS]), strict=True)),
        hazard=dict(zip(SEASONS, reversed([hazard[season] for season in SEASONS]), strict=True)),
    )


def with_one_hazard(tables: SpotTables) -> SpotTables:
    """As many spikes, at any hour."""
    mean = {season: statistics.fmean(values) for season, values in tables.hazard.items()}
    return dataclasses.replace(tables, hazard={season: (mean[season],) * 24 for season in SEASONS})


def without_spikes(tables: SpotTables) -> SpotTables:
    return dataclasses.replace(tables, hazard=dict.fromkeys(SEASONS, (0.0,) * 24))


MUTANTS: dict[str, tuple[Callable[[SpotTables], SpotTables], set[str]]] = {
    "the seasons swapped": (with_seasons_swapped, {"shape"}),
    "an hour early": (lambda tables: with_hours_moved(tables, 1), {"shape", "spikes_from_16_to_21_pct"}),
    "an hour late": (lambda tables: with_hours_moved(tables, -1), {"shape"}),
    "UTC for AEST": (lambda tables: with_hours_moved(tables, 10), {"shape", "evening_mean_c", "midday_mean_c"}),
    "no spikes": (without_spikes, {"mean_c", "above_30c_pct", "spikes_a_year", "spike_mean_h"}),
    "spikes at any hour": (with_one_hazard, {"spikes_from_16_to_21_pct", "spikes_from_6_to_10_pct"}),
    "spikes of one half hour": (
        lambda tables: dataclasses.replace(tables, stay=0.0),
        {"above_30c_pct", "spike_mean_h"},
    ),
    "the fast factor only": (
        lambda tables: dataclasses.replace(tables, fast_weight=1.0),
        {"lag_1_day_capped", "lag_7_days_capped"},
    ),
    "the slow factor only": (
        lambda tables: dataclasses.replace(tables, fast_weight=0.0),
        {"lag_1_day_capped"},
    ),
    "a slow factor of two days": (
        lambda tables: dataclasses.replace(tables, slow_hours=48.0),
        {"lag_7_days_capped"},
    ),
    "a slow factor of days and a fast of half hours": (
        lambda tables: dataclasses.replace(tables, fast_hours=0.5, slow_hours=96.0),
        {"lag_7_days_capped"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_generator_is_found_out(mutant: str) -> None:
    change, expected = MUTANTS[mutant]
    assert amiss(path_of(SpotModel(change(MODEL.tables)), 30), years=30) >= expected


def test_figures_of_a_path_made_by_hand() -> None:
    day = [10_000] * 32 + [50_000] * 10 + [10_000] * 6
    path = [-20_000] * 5 + day * 40
    path[5 + 48 + 12 : 5 + 48 + 15] = [300_100, 400_000, 900_000]
    path[-1] = 310_000
    found = figures_of(path, FIRST - 5)
    assert found.median_c == 1.0
    assert found.evening_mean_c == 5.0
    assert found.midday_mean_c == 1.0
    assert found.negative_pct == pytest.approx(100 * 5 / len(path))
    assert found.above_30c_pct == pytest.approx(100 * 4 / len(path))
    assert found.spikes_a_year == pytest.approx(2 * 365.25 * 48 / len(path))
    assert (found.spike_mean_h, found.spike_median_c, found.spike_max_c) == (1.0, 35.5, 90.0)
    assert (found.spikes_from_6_to_10_pct, found.spikes_from_16_to_21_pct) == (50.0, 0.0)
    assert spikes_of(path, FIRST - 5) == [(FIRST + 48 + 12, 3), (FIRST + 40 * 48 - 1, 1)]
    assert len(daily_means_c(path, FIRST - 5)) == 40
    assert daily_means_c(path, FIRST - 5)[2] == pytest.approx((38 * 1 + 10 * 5) / 48)


def test_correlations_are_told_capped_and_as_they_are() -> None:
    """Dear and cheap weeks hang together until one half hour of one day is dearer than all of them."""
    path = [price for day in range(84) for price in [100_000 if day // 14 % 2 else 20_000] * 48]
    calm = figures_of(path, FIRST)
    assert calm.lag_1_day is not None
    assert calm.lag_1_day == calm.lag_1_day_capped
    assert calm.lag_1_day > 0.8
    path[30 * 48] = 16_600_000
    spiky = figures_of(path, FIRST)
    assert spiky.lag_1_day_capped == pytest.approx(calm.lag_1_day, abs=0.02)
    assert spiky.lag_1_day is not None
    assert spiky.lag_1_day < 0.5


def test_what_is_not_there_is_not_known() -> None:
    found = figures_of([10_000] * 48 * 30, FIRST)
    assert (found.spikes_a_year, found.spike_mean_h, found.spike_max_c, found.lag_1_day) == (0, None, None, None)
    assert "| dearest half hour, c/kWh | 1660 | not known |" in table(found)


@pytest.mark.parametrize("days", [0, 1, 29])
def test_a_month_is_the_least_that_has_figures(days: int) -> None:
    with pytest.raises(StudyError, match="whole days are too few"):
        figures_of([10_000] * 48 * days + [10_000] * 47, FIRST)


def test_every_figure_has_a_row() -> None:
    assert len(table(REAL).splitlines()) == 2 + len(dataclasses.fields(Figures))

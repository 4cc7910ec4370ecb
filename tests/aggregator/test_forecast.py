"""Curves of prices: what holds when, holes, ends, and how good now is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aggregator.errors import ForecastError
from aggregator.forecast import DAY_MS, Forecast
from aggregator.value import ValueModel, private_part, uniform

if TYPE_CHECKING:
    from pathlib import Path

HOUR_MS = 3_600_000


def test_a_day_repeats_from_local_midnight() -> None:
    day = Forecast.day([float(hour) for hour in range(24)], utc_offset_ms=10 * HOUR_MS)
    assert day.step_ms == HOUR_MS
    assert day.at(0) == 100_000
    assert day.at(14 * HOUR_MS) == 0
    assert day.at(14 * HOUR_MS + 5 * DAY_MS - 1) == 230_000


def test_a_step_may_be_shorter_so_that_a_demo_has_short_days() -> None:
    curve = Forecast.day([1.0, 2.0], step_ms=5_000)
    assert [curve.at(ms) for ms in (0, 4_999, 5_000, 10_000)] == [10_000, 10_000, 20_000, 10_000]


def test_better_later_counts_the_horizon_that_is_worth_more() -> None:
    curve = Forecast.day([1.0, None, 3.0, 4.0])
    quarter = DAY_MS // 4
    assert [curve.better_later_permille(k * quarter) for k in range(4)] == [666, 0, 333, 0]
    assert curve.better_later_permille(0) == 666
    assert Forecast.flat(5).better_later_permille(123) == 0
    ending = Forecast(values_e4=(1, 2, 3), step_ms=10, repeat=False)
    assert [ending.better_later_permille(at) for at in (0, 10, 20, 30)] == [666, 500, 0, 0]


def test_holes_and_the_time_after_the_end_have_no_price() -> None:
    curve = Forecast(values_e4=(1, None), step_ms=10, start_ms=100, repeat=False)
    assert [curve.at(at) for at in (99, 100, 110, 120)] == [None, 1, None, None]


def test_a_file_is_read_with_its_offset_and_holes(tmp_path: Path) -> None:
    path = tmp_path / "spot.csv"
    path.write_text("2026-01-31T17:30:00+10:00,12.5\n2026-01-31T08:00:00,\n2026-01-31T08:30:00,-1.25\n")
    curve = Forecast.from_file(path)
    assert curve.step_ms == HOUR_MS // 2
    assert [curve.at(curve.start_ms + k * curve.step_ms) for k in range(4)] == [125_000, None, -12_500, None]
    assert not curve.repeat


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least two lines"),
        ("2026-01-31T00:00:00,1\n", "at least two lines"),
        ("2026-01-31T00:00:00,1\n2026-01-31T00:30:00,1\n2026-01-31T01:30:00,1\n", ":3: times must be evenly"),
        ("2026-01-31T00:00:00,1\n2026-01-31T00:00:00,1\n", "step must be positive"),
        ("2026-01-31T00:00:00,1\nyesterday,1\n", "line 2: expected time"),
        ("2026-01-31T00:00:00\n", "line 1: expected time"),
        ("2026-01-31T00:00:00,inf\n", "line 1: expected time"),
    ],
)
def test_a_file_that_is_no_curve_names_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "spot.csv"
    path.write_text(text)
    with pytest.raises(ForecastError, match=says):
        Forecast.from_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForecastError, match=r"cannot read .*none\.csv"):
        Forecast.from_file(tmp_path / "none.csv")


def test_what_is_no_curve_is_refused() -> None:
    with pytest.raises(ForecastError, match="at least one"):
        Forecast(values_e4=(), step_ms=1)
    with pytest.raises(ForecastError, match="at least one"):
        Forecast.day([])
    with pytest.raises(ForecastError, match="positive"):
        Forecast(values_e4=(1,), step_ms=0)
    with pytest.raises(ForecastError, match="at most"):
        Forecast(values_e4=(1,) * 100_001, step_ms=1)


def test_a_kwh_is_worth_the_forecast_less_fee_and_margin_plus_the_private_part() -> None:
    model = ValueModel(forecast=Forecast.flat(200_000), fee_e4=5_000, margin_e4=10_000, spread_e4=30_000, seed=4)
    worth = model.worth(123)
    assert worth is not None
    assert worth.common_e4 == 185_000
    assert worth.private_e4 == private_part(4, 0, 30_000)
    assert worth.total_e4 == worth.common_e4 + worth.private_e4
    assert ValueModel(forecast=Forecast(values_e4=(None,), step_ms=1)).worth(0) is None


def test_private_parts_are_normal_and_depend_on_seed_and_step_alone() -> None:
    draws = [private_part(1, step, 10_000) for step in range(2_000)]
    mean = sum(draws) / len(draws)
    assert abs(mean) < 1_000
    assert 9_000 < (sum((draw - mean) ** 2 for draw in draws) / len(draws)) ** 0.5 < 11_000
    assert private_part(1, 0, 0) == 0
    assert draws[:3] == [private_part(1, step, 10_000) for step in range(3)]
    assert draws[:3] != [private_part(2, step, 10_000) for step in range(3)]
    assert all(0 < uniform(1, "x", step) < 1 for step in range(100))

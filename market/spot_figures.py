"""The figures by which a path of half-hourly prices is judged, and those of the real market beside them.

The same code measures a synthetic path and a real one. A spike is a run of half hours above 30 c/kWh; days are whole
AEST days. Correlations of daily means are told twice: with prices capped at 30 c, and as they are, where a single spike
is a day's mean.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from market.aest import HALF_HOURS_A_DAY, hour_of, until_midnight
from market.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Sequence

SPIKE_E4: Final = 300_000
EVENING: Final = range(16, 21)
MORNING: Final = range(6, 10)
MIDDAY: Final = range(10, 15)
_HALF_HOURS_A_YEAR: Final = 365.25 * HALF_HOURS_A_DAY
_DAYS_MIN: Final = 30
"""Below a month neither tails nor correlations mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is told of a path: prices in c/kWh, shares in percent, lengths in hours, correlations of daily means.

    None = not known: what is told of spikes where there are none, a correlation where no day differs.
    """

    mean_c: float
    median_c: float
    p5_c: float
    p95_c: float
    negative_pct: float
    above_30c_pct: float
    evening_mean_c: float
    midday_mean_c: float
    spikes_a_year: float
    spike_mean_h: float | None
    spikes_from_16_to_21_pct: float | None
    spikes_from_6_to_10_pct: float | None
    spike_median_c: float | None
    spike_p90_c: float | None
    spike_max_c: float | None
    lag_1_day_capped: float | None
    lag_7_days_capped: float | None
    lag_1_day: float | None
    lag_7_days: float | None


REAL: Final = Figures(
    mean_c=7.16,
    median_c=5.96,
    p5_c=-5.11,
    p95_c=22.12,
    negative_pct=23.34,
    above_30c_pct=0.94,
    evening_mean_c=13.77,
    midday_mean_c=1.20,
    spikes_a_year=58,
    spike_mean_h=1.4,
    spikes_from_16_to_21_pct=54,
    spikes_from_6_to_10_pct=31,
    spike_median_c=34.5,
    spike_p90_c=144.4,
    spike_max_c=1660,
    lag_1_day_capped=0.73,
    lag_7_days_capped=0.40,
    lag_1_day=None,
    lag_7_days=None,
)
"""VIC1, 2023-2025; midday and evening are means of the three years' means. The source of the correlations does not say
whether prices were capped; with such spikes only capped ones are likely to be as high. Our own statistics of prices
that AEMO (Australian Energy Market Operator) published.
"""


def figures_of(prices_e4: Sequence[int], first: int) -> Figures:
    """Return the figures of a path whose first half hour has the index `first`.

    Raises StudyError for a path without 30 whole days.
    """
    days = daily_means_c(prices_e4, first)
    if len(days) < _DAYS_MIN:
        raise StudyError("prices", f"{len(days)} whole days are too few for figures; at least {_DAYS_MIN}")
    capped_days = daily_means_c([min(price, SPIKE_E4) for price in prices_e4], first)
    ranked = sorted(prices_e4)
    return Figures(
        mean_c=_cents(statistics.fmean(prices_e4)),
        median_c=_cents(quantile(ranked, 0.5)),
        p5_c=_cents(quantile(ranked, 0.05)),
        p95_c=_cents(quantile(ranked, 0.95)),
        negative_pct=_percent([price < 0 for price in ranked]),
        above_30c_pct=_percent([price > SPIKE_E4 for price in ranked]),
        evening_mean_c=_cents(statistics.fmean(_within(prices_e4, first, EVENING))),
        midday_mean_c=_cents(statistics.fmean(_within(prices_e4, first, MIDDAY))),
        lag_1_day_capped=autocorrelation(capped_days, 1),
        lag_7_days_capped=autocorrelation(capped_days, 7),
        lag_1_day=autocorrelation(days, 1),
        lag_7_days=autocorrelation(days, 7),
        **_of_spikes(spikes_of(prices_e4, first), ranked),
    )


def table(measured: Figures, real: Figures = REAL) -> str:
    """Return the figures beside the real ones, as a Markdown table."""

    def told(figures: Figures, name: str, digits: int) -> str:
        value = getattr(figures, name)
        return "not known" if value is None else f"{value:.{digits}f}"

    rows = [
        f"| {label} | {told(real, name, digits)} | {told(measured, name, digits)} |"
        for name, (label, digits) in _LABELS.items()
    ]
    return "\n".join(["| figure | real | model |", "|---|---|---|", *rows])


_LABELS: Final = {
    "mean_c": ("mean, c/kWh", 2),
    "median_c": ("median, c/kWh", 2),
    "p5_c": ("5 % quantile, c/kWh", 2),
    "p95_c": ("95 % quantile, c/kWh", 2),
    "negative_pct": ("below 0, % of half hours", 2),
    "above_30c_pct": ("above 30 c, % of half hours", 2),
    "evening_mean_c": ("mean of 16:00 to 21:00, c/kWh", 2),
    "midday_mean_c": ("mean of 10:00 to 15:00, c/kWh", 2),
    "spikes_a_year": ("spikes a year", 0),
    "spike_mean_h": ("mean length of a spike, h", 2),
    "spikes_from_16_to_21_pct": ("spikes that start from 16:00 to 21:00, %", 0),
    "spikes_from_6_to_10_pct": ("spikes that start from 6:00 to 10:00, %", 0),
    "spike_median_c": ("median price in a spike, c/kWh", 1),
    "spike_p90_c": ("90 % quantile in a spike, c/kWh", 1),
    "spike_max_c": ("dearest half hour, c/kWh", 0),
    "lag_1_day_capped": ("correlation of daily means, capped at 30 c, 1 day apart", 2),
    "lag_7_days_capped": ("the same, 7 days apart", 2),
    "lag_1_day": ("correlation of daily means as they are, 1 day apart", 2),
    "lag_7_days": ("the same, 7 days apart", 2),
}


def spikes_of(prices_e4: Sequence[int], first: int) -> list[tuple[int, int]]:
    """Return the index of the first half hour and the length in half hours of each run above 30 c/kWh."""
    spikes: list[tuple[int, int]] = []
    for index, price_e4 in enumerate(prices_e4, first):
        if price_e4 <= SPIKE_E4:
            continue
        start, length = spikes[-1] if spikes else (first, -1)
        if start + length == index:
            spikes[-1] = (start, length + 1)
        else:
            spikes.append((index, 1))
    return spikes


def daily_means_c(prices_e4: Sequence[int], first: int) -> list[float]:
    """Return the mean price in c/kWh of each whole day, AEST."""
    skip = until_midnight(first)
    last = len(prices_e4) - HALF_HOURS_A_DAY
    return [
        _cents(statistics.fmean(prices_e4[at : at + HALF_HOURS_A_DAY]))
        for at in range(skip, last + 1, HALF_HOURS_A_DAY)
    ]


def autocorrelation(values: Sequence[float], lag: int) -> float | None:
    """Return the correlation of a series with itself `lag` steps later; None when it does not vary."""
    mean = statistics.fmean(values)
    off = [value - mean for value in values]
    spread = sum(value * value for value in off)
    if not spread:
        return None
    return sum(early * late for early, late in zip(off, off[lag:], strict=False)) / spread


def quantile(ranked: Sequence[int], level: float) -> float:
    """Return a quantile of sorted values, linear between them."""
    at = level * (len(ranked) - 1)
    low = int(at)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (at - low) * (ranked[high] - ranked[low])


def _of_spikes(spikes: list[tuple[int, int]], ranked: list[int]) -> dict[str, Any]:
    starts = [hour_of(index) for index, _ in spikes]
    spiking = ranked[len(ranked) - sum(length for _, length in spikes) :]
    return {
        "spikes_a_year": len(spikes) * _HALF_HOURS_A_YEAR / len(ranked),
        "spike_mean_h": len(spiking) / len(spikes) / 2 if spikes else None,
        "spikes_from_16_to_21_pct": _percent([hour in EVENING for hour in starts]) if spikes else None,
        "spikes_from_6_to_10_pct": _percent([hour in MORNING for hour in starts]) if spikes else None,
        "spike_median_c": _cents(quantile(spiking, 0.5)) if spikes else None,
        "spike_p90_c": _cents(quantile(spiking, 0.9)) if spikes else None,
        "spike_max_c": _cents(spiking[-1]) if spikes else None,
    }


def _percent(holds: Sequence[bool]) -> float:
    return 100 * sum(holds) / len(holds)


def _within(prices_e4: Sequence[int], first: int, hours: range) -> list[int]:
    return [price for index, price in enumerate(prices_e4, first) if hour_of(index) in hours]


def _cents(price_e4: float) -> float:
    return price_e4 / 10_000

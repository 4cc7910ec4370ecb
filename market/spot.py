"""A synthetic spot price, half hour by half hour: the shape of a real market without its data.

The recipe (docs/spot.md): two independent mean-reverting Gaussian factors, one of hours and one of a week, are mixed
into one normal value, its probability is looked up in the price quantiles of the season and hour, and beside it runs a
spike state that starts by hour, persists, and draws its price anew in each half hour.

The price of a half hour depends on the seed and on its own index alone, never on where a path starts or ends. Every
draw is a hash of seed, half hour and purpose (`market.draws`). A factor is a sum over the past that fades; it is taken
up anew at the start of each block of half hours, from the shocks of the block before: what is older has faded to 2e-6.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from etp.units import PRICE_TICK_E4
from market.aest import INDEX_MAX, day_of, hour_of, index_of
from market.draws import normal, uniform
from market.errors import StudyError
from market.spot_file import BUNDLED, SEASONS, SPIKE_C_MAX, SpotTables, read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

ATTRIBUTION: Final = (
    "Synthetic prices from our own statistics of aggregated price and demand data, VIC1, 2023-2025. "
    "Source: AEMO (Australian Energy Market Operator)."
)
HALF_HOURS_A_YEAR: Final = 17_520
HALF_HOURS_MAX: Final = 100 * HALF_HOURS_A_YEAR
"""A hundred years: more is a mistake, and would fill the memory."""
_BLOCK: Final = 4_096
"""85 days, 13 time constants of the bundled slow factor: exp(-13) is the 2e-6 above. At HOURS_MAX it would be 4e-5."""
_MARKET: Final = 0
"""Whose draws these are: the spot price is nobody's, and has its own purposes."""
_STANDARD: Final = NormalDist()
_TICKS_A_CENT: Final = 10_000 // PRICE_TICK_E4


@dataclass(frozen=True, slots=True)
class _Shock:
    """What is drawn for one half hour: two standard normals and the uniform that moves the spike state."""

    fast: float
    slow: float
    spike: float


@dataclass(frozen=True, slots=True)
class SpotModel:
    """The generator: `path` makes prices from `tables`."""

    tables: SpotTables

    @classmethod
    def load(cls, path: Path = BUNDLED) -> SpotModel:
        """Return the model of a statistics file, by default the bundled one. Raises DataError with file and key."""
        return cls(read_tables(path))

    def path(self, seed: int, *, start: int | date, half_hours: int) -> tuple[int, ...]:
        """Return the `price_e4` of `half_hours` half hours from `start` on, each on the tick of the trading grid.

        `start` is a half hour's index since 1970-01-01 00:00 UTC, an aware datetime on the half hour, or a date, which
        begins at 00:00 AEST (UTC+10). Equal seeds give equal prices for a half hour, whatever else is asked for.
        Raises StudyError naming `start` or `half_hours` when it cannot be.
        """
        if not 1 <= half_hours <= HALF_HOURS_MAX:
            raise StudyError("half_hours", f"{half_hours} is outside 1 to {HALF_HOURS_MAX}")
        try:
            first = index_of(start)
        except ValueError as error:
            raise StudyError("start", str(error)) from error
        end = first + half_hours
        if end > INDEX_MAX:
            raise StudyError("half_hours", f"a path of {half_hours} from {start} on ends after 2199")
        return tuple(self._prices(seed, first, end))

    def _prices(self, seed: int, first: int, end: int) -> Iterator[int]:
        base, spike = _base_ticks(self.tables), _spike_ticks(self.tables)
        origin = first // _BLOCK * _BLOCK
        before = [_shock(seed, index) for index in range(origin - _BLOCK, origin)]
        while origin < end:
            block = [_shock(seed, index) for index in range(origin, min(origin + _BLOCK, end))]
            for index, value, spiking in self._states(before + block, origin - _BLOCK):
                if index >= max(first, origin):
                    ticks = (
                        spike(uniform(seed, index, _MARKET, "spot spike size"))
                        if spiking
                        else base(index, _STANDARD.cdf(value))
                    )
                    yield ticks * PRICE_TICK_E4
            before, origin = block, origin + _BLOCK

    def _states(self, shocks: list[_Shock], start: int) -> Iterator[tuple[int, float, bool]]:
        """Yield each half hour's index, its standard normal value, and whether it is a spike's."""
        tables = self.tables
        fast_keep, fast_gain = _mean_reversion(tables.fast_hours)
        slow_keep, slow_gain = _mean_reversion(tables.slow_hours)
        fast_share, slow_share = math.sqrt(tables.fast_weight), math.sqrt(1 - tables.fast_weight)
        fast, slow, spiking = shocks[0].fast, shocks[0].slow, False
        for index, shock in enumerate(shocks[1:], start + 1):
            fast = fast_keep * fast + fast_gain * shock.fast
            slow = slow_keep * slow + slow_gain * shock.slow
            chance = tables.stay if spiking else tables.hazard[_season(index)][hour_of(index)]
            spiking = shock.spike < chance
            yield index, fast_share * fast + slow_share * slow, spiking


def _mean_reversion(hours: float) -> tuple[float, float]:
    """Return what a factor keeps of itself in half an hour, and the weight of its shock: its variance stays 1."""
    keep = math.exp(-0.5 / hours)
    return keep, math.sqrt(1 - keep * keep)


def _season(index: int) -> str:
    winter, summer = SEASONS
    return winter if 4 <= day_of(index).month <= 9 else summer


def _base_ticks(tables: SpotTables) -> Callable[[int, float], int]:
    """Return the ordinary price of a half hour at a probability: linear between the quantiles, flat outside them."""
    levels = tables.levels

    def ticks(index: int, probability: float) -> int:
        prices = tables.quantiles[_season(index)][hour_of(index)]
        at = bisect_right(levels, probability)
        if at == 0 or at == len(levels):
            return round(prices[max(0, at - 1)] * _TICKS_A_CENT)
        share = (probability - levels[at - 1]) / (levels[at] - levels[at - 1])
        return round((prices[at - 1] + share * (prices[at] - prices[at - 1])) * _TICKS_A_CENT)

    return ticks


def _spike_ticks(tables: SpotTables) -> Callable[[float], int]:
    """Return the price of a spike at a probability: log-linear from one tick above the threshold to the dearest."""
    lowest_c = tables.threshold_c + 1 / _TICKS_A_CENT
    levels = (0.0, *tables.spike_levels, 1.0)
    logs = [math.log(price_c) for price_c in (lowest_c, *tables.spike_c, SPIKE_C_MAX)]

    def ticks(probability: float) -> int:
        at = bisect_right(levels, probability)
        share = (probability - levels[at - 1]) / (levels[at] - levels[at - 1])
        return round(math.exp(logs[at - 1] + share * (logs[at] - logs[at - 1])) * _TICKS_A_CENT)

    return ticks


def _shock(seed: int, index: int) -> _Shock:
    return _Shock(
        normal(seed, index, _MARKET, "spot fast"),
        normal(seed, index, _MARKET, "spot slow"),
        uniform(seed, index, _MARKET, "spot spike"),
    )

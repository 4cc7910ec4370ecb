"""What the learned mark-up earns in the mechanism, beside a reserve at cost and the best one in theory.

Lots with known distributions of values run through the production engine; a battery that has a cost learns from the
bids alone. Revenue is price less cost, per kWh offered; the last lots count. The best reserve r in theory solves
r - (1 - F(r)) / f(r) = cost, whatever the number of buyers (Myerson): it maximises (r - cost) (1 - F(r)).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agent.pricing import LotSeen, Markup
from etp.units import PRICE_TICK_E4
from market.heard_lot import hear
from market.paired import Interval, interval
from market.setting import Setting
from market.strategies import distribution_of
from market.values import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOTS: Final = 2_000
COUNTED: Final = 1_000
"""The last so many lots count: before, the learner is still learning."""
RETHINK_LOTS: Final = 20
"""As the agent does: between two choices a mark-up stands."""
CAP_E4: Final = 50_000
COST_E4: Final = 100_000
RULES: Final = ("standing_bid", "sealed_second")
CROWDS: Final = ((1, 1), (2, 2), (5, 5), (2, 5))
"""Buyers who bid, and buyers who are told of the lots: where these are more, the learner counts some who never bid."""
MARKETS: Final[Mapping[str, dict[str, Any]]] = {
    "uniform 8 to 14 c": {"kind": "uniform", "low_e4": 80_000, "high_e4": 140_000},
    "normal 12 c, sd 2 c": {"kind": "normal", "mean_e4": 120_000, "sd_e4": 20_000},
}
_LOT_WH: Final = 1_200


class Run(NamedTuple):
    """One seed: revenue per kWh offered in price_e4, less cost, and the learner's mean mark-up, over what counts."""

    learned: float
    at_cost: float
    best: float
    markup: float


class Regret(NamedTuple):
    """One cell. `regret` and `gain` (over a reserve at cost) are paired over seeds, everything in price_e4."""

    rule: str
    market: str
    n: int
    told: int
    best_markup_e4: int
    best: float
    learned: float
    at_cost: float
    markup: float
    regret: Interval
    gain: Interval

    @property
    def regret_percent(self) -> float:
        """Return the regret in per cent of what the best reserve earns."""
        return 100 * self.regret.mean / self.best

    def fields(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        told = self._asdict() | {"regret": self.regret._asdict(), "gain": self.gain._asdict()}
        return told | {"regret_percent": self.regret_percent}


class Cell(NamedTuple):
    """A rule, a market, how many buyers bid and how many are told."""

    rule: str
    market: str
    n: int
    told: int


def cells() -> Iterator[Cell]:
    """Yield every cell."""
    for rule in RULES:
        for market in MARKETS:
            for n, told in CROWDS:
                yield Cell(rule, market, n, told)


def best_reserve_e4(values: Mapping[str, Any], cost_e4: int) -> int:
    """Return the reserve on the tick, at cost or above, that maximises (r - cost) (1 - F(r))."""
    distribution = distribution_of(values)
    top_e4 = max(cost_e4, math.ceil(distribution.high_e4))
    return max(
        range(cost_e4, top_e4 + 1, PRICE_TICK_E4), key=lambda price: (price - cost_e4) * (1 - distribution.cdf(price))
    )


def run(cell: Cell, *, seed: int, lots: int = LOTS, counted: int = COUNTED) -> Run:
    """Return how one seed goes: the learner from the first lot on, the others on the lots that count."""
    rule, n = cell.rule, cell.n
    values = values_of(MARKETS[cell.market], n)
    best_e4 = best_reserve_e4(MARKETS[cell.market], COST_E4)
    markup, asked_e4 = Markup(CAP_E4), 0
    sums = [0, 0, 0, 0]
    for lot in range(lots):
        worth = values.of_lot(seed, lot, n)
        if lot % RETHINK_LOTS == 0:
            asked_e4 = markup.markup_e4()
        reserve_e4 = COST_E4 + asked_e4
        heard = hear(Setting(rule, _LOT_WH, reserve_e4), worth, seed=seed, lot=lot)
        markup = markup.learn(LotSeen(COST_E4, reserve_e4, cell.told, heard.best_e4, heard.second_e4))
        if lot < lots - counted:
            continue
        sums[0] += 0 if heard.price_e4 is None else heard.price_e4 - COST_E4
        sums[3] += asked_e4
        for place, fixed_e4 in ((1, COST_E4), (2, best_e4)):
            other = heard
            if fixed_e4 != reserve_e4:
                other = hear(Setting(rule, _LOT_WH, fixed_e4), worth, seed=seed, lot=lot)
            sums[place] += 0 if other.price_e4 is None else other.price_e4 - COST_E4
    learned, at_cost, best, asked = (total / counted for total in sums)
    return Run(learned, at_cost, best, asked)


def regret(cell: Cell, *, seeds: int, lots: int = LOTS, progress: Callable[[str], None] | None = None) -> Regret:
    """Return what the learner misses in one cell, over seeds 1, 2, ..."""
    runs: list[Run] = []
    for seed in range(1, seeds + 1):
        if progress is not None:
            progress(f"mark-up, {cell.rule}, {cell.market}, {cell.n} of {cell.told} buyers, seed {seed}")
        runs.append(run(cell, seed=seed, lots=lots, counted=min(COUNTED, lots)))
    means = [math.fsum(column) / seeds for column in zip(*runs, strict=True)]
    return Regret(
        *cell,
        best_markup_e4=best_reserve_e4(MARKETS[cell.market], COST_E4) - COST_E4,
        best=means[2],
        learned=means[0],
        at_cost=means[1],
        markup=means[3],
        regret=interval([one.best - one.learned for one in runs]),
        gain=interval([one.learned - one.at_cost for one in runs]),
    )

"""What the standing bid really does: its price beside the second-highest value, for buyers who sit near and far.

Three questions, each a list of cells that can be played one by one: how the price follows the second value as buyers
join (`REACH`), what becomes of lots larger than a small buyer's need (`SIZES`), and whether any deviation from honest
bidding pays (`market.deviations`). Values are the reserve + 5 c + a normal private part; all draws are hashes, so a
cell can be played again alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from aggregator.strategies import NEW_MIND
from market.draws import normal, uniform
from market.mechanism import play_lot
from market.sampling import best_use, spread
from market.setting import Buyer, Setting, on_grid
from market.strategies import strategy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from market.setting import Outcome, Sold

RESERVE_E4: Final = 100_000
MEAN_E4: Final = 150_000
NEED_WH: Final = 1_000
MARGIN_MS: Final = 20
"""A buyer is reachable when its bid can be back this long before the standing time is over."""
LATENCIES_MS: Final = ((5, 50), (5, 200), (150, 200))
SPREADS_C: Final = (1, 3, 5)
BUYERS: Final = tuple(range(1, 11))
SIZES: Final = (1, 2, 5, 10)
Z95: Final = 1.96


class Mean(NamedTuple):
    """A mean and its standard error."""

    mean: float
    se: float

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        return Z95 * self.se


class ReachCell(NamedTuple):
    """One number of buyers at one range of one-way latencies and one spread of values."""

    n: int
    latency_ms: tuple[int, int]
    spread_c: int


class Reach(NamedTuple):
    """What it came to, over the lots that sold; prices in price_e4."""

    cell: ReachCell
    reachable: float
    price_e4: float
    second_e4: float
    """The second-highest value, at least the reserve."""
    gap_e4: Mean
    """Price less second value, lot by lot."""
    bids: float


class SizeCell(NamedTuple):
    """So many small needs for sale, twice as many small buyers, and one buyer who wants it all.

    `cut` sells one lot of a small need after the other, as a battery does that knows the smallest need.
    """

    rule: str
    needs: int
    cut: bool = False


class Size(NamedTuple):
    """What it came to, per kWh offered."""

    cell: SizeCell
    revenue_e4: Mean
    competitive_e4: float
    """The highest value of a kWh that goes without in the best use, at least the reserve."""
    efficiency: float
    large_share: float
    sold_share: float


def market(seed: int, lot: int, n: int, spread_c: float, latency_ms: tuple[float, float]) -> list[Buyer]:
    """Return the buyers of one lot; a further buyer changes no other."""
    low, high = latency_ms
    return [
        Buyer(
            MEAN_E4 + on_grid(10_000 * spread_c * normal(seed, lot, index, "value")),
            NEED_WH,
            up_ms=low + (high - low) * uniform(seed, lot, index, "way-up"),
            down_ms=low + (high - low) * uniform(seed, lot, index, "way-down"),
        )
        for index in range(n)
    ]


def honest(setting: Setting, buyers: Sequence[Buyer], *, seed: int, lot: int) -> Outcome:
    """Return how a lot goes when everybody bids up to the own value."""
    strategies = [strategy_of("truthful", setting, len(buyers), None)] * len(buyers)
    return play_lot(setting, buyers, strategies, [NEW_MIND] * len(buyers), seed=seed, lot=lot)[0]


def reach_cells() -> list[ReachCell]:
    """Return every cell of the first question."""
    return [ReachCell(n, way, spread) for way, spread, n in product(LATENCIES_MS, SPREADS_C, BUYERS)]


def size_cells() -> list[SizeCell]:
    """Return every cell of the second question."""
    ways = (("standing_bid", False), ("standing_bid", True), ("sealed_second", False))
    return [SizeCell(rule, needs, cut) for (rule, cut), needs in product(ways, SIZES)]


def play_reach(cell: ReachCell, *, lots: int, seed: int) -> Reach:
    """Return what a cell comes to."""
    setting = Setting("standing_bid", NEED_WH, RESERVE_E4)
    gaps: list[float] = []
    prices: list[float] = []
    seconds: list[float] = []
    reachable = bids = 0
    for lot in range(lots):
        buyers = market(seed, lot, cell.n, cell.spread_c, cell.latency_ms)
        reachable += sum(buyer.up_ms + buyer.down_ms <= setting.standing_ms - MARGIN_MS for buyer in buyers)
        outcome = honest(setting, buyers, seed=seed, lot=lot)
        bids += outcome.bids
        if outcome.awards:
            values = sorted(buyer.value_e4 for buyer in buyers)
            second_e4 = max(RESERVE_E4, values[-2] if len(values) > 1 else 0)
            prices.append(outcome.awards[0].price_e4)
            seconds.append(second_e4)
            gaps.append(outcome.awards[0].price_e4 - second_e4)
    return Reach(cell, reachable / lots, mean_of(prices).mean, mean_of(seconds).mean, mean_of(gaps), bids / lots)


def play_size(cell: SizeCell, *, lots: int, seed: int) -> Size:
    """Return what a cell comes to; the buyer who wants it all is the last one."""
    all_wh = cell.needs * NEED_WH
    revenue: list[float] = []
    competitive: list[float] = []
    bought = best = large = sold = 0
    for lot in range(lots):
        buyers = market(seed, lot, 2 * cell.needs + 1, 3, LATENCIES_MS[0])
        buyers[-1] = replace(buyers[-1], need_wh=all_wh)
        awards = _awards(cell, buyers, seed=seed, lot=lot)
        revenue.append(sum(award.price_e4 * award.wh for award in awards) / all_wh)
        bought += sum(buyers[award.buyer].value_e4 * award.wh for award in awards)
        large += sum(award.wh for award in awards if award.buyer == len(buyers) - 1)
        sold += sum(award.wh for award in awards)
        everyone = [buyer.value_e4 for buyer in buyers] + [buyers[-1].value_e4] * (cell.needs - 1)
        best += best_use(everyone, NEED_WH, all_wh)
        competitive.append(max(RESERVE_E4, sorted(everyone, reverse=True)[cell.needs]))
    offered = lots * all_wh
    return Size(cell, mean_of(revenue), mean_of(competitive).mean, bought / best, large / offered, sold / offered)


def _awards(cell: SizeCell, buyers: list[Buyer], *, seed: int, lot: int) -> list[Sold]:
    """Return what is sold, at once or piece by piece."""
    if not cell.cut:
        setting = Setting(cell.rule, cell.needs * NEED_WH, RESERVE_E4)
        return list(honest(setting, buyers, seed=seed, lot=lot).awards)
    setting = Setting(cell.rule, NEED_WH, RESERVE_E4)
    still, made = list(buyers), []
    for piece in range(cell.needs):
        outcome = honest(setting, still, seed=seed, lot=lot * cell.needs + piece)
        for award in outcome.awards:
            made.append(award)
            still[award.buyer] = replace(still[award.buyer], need_wh=still[award.buyer].need_wh - award.wh)
    return made


def mean_of(seen: Sequence[float]) -> Mean:
    """Return mean and standard error; zero of what was never seen."""
    found = spread(seen)
    return Mean(found.mean or 0.0, found.se or 0.0)

"""Many lots with drawn values, and what they amount to."""

from __future__ import annotations

import math
from array import array
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aggregator.strategies import NEW_MIND
from etp.auction import Bid, best_subset
from etp.units import ENERGY_STEP_WH
from market.draws import lot_seed, uniform
from market.errors import StudyError
from market.mechanism import play_lot
from market.sealed import clear
from market.setting import BUYERS_MAX, NAMES, Buyer, Outcome, Setting, way, whole
from market.strategies import SEALED, limit_of, strategy_of
from market.values import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from market.strategies import Limit
    from market.values import Values

AUCTIONS_MAX: Final = 10_000_000
ROWS_MAX: Final = 1_000_000
PROGRESS_EVERY: Final = 1_000


class Spread(NamedTuple):
    """A mean, the standard deviation of one observation, and the standard error of the mean; None without enough."""

    mean: float | None
    sd: float | None
    se: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a sample amounts to; prices in price_e4, no sale counts as no revenue.

    `revenue_per_kwh_e4` is per kWh offered, over all lots; `price_e4` is per kWh sold, over the lots that sold;
    `second_value_e4` is the second-highest value, over all lots; `efficiency` is the value of what was bought over the
    value of the best use of the lots, all lots together.
    """

    auctions: int
    sold: int
    revenue_per_kwh_e4: Spread
    price_e4: Spread
    second_value_e4: Spread
    efficiency: float | None
    bids: int
    improvements: int
    distinct_bidders: float
    rows: list[dict[str, Any]] | None = None

    def fields(self) -> dict[str, Any]:
        """Return the same for a JSON answer; rows only where they were asked for."""
        told = asdict(self) | {
            key: getattr(self, key)._asdict() for key in ("revenue_per_kwh_e4", "price_e4", "second_value_e4")
        }
        if self.rows is None:
            del told["rows"]
        return told


@dataclass(slots=True)
class Tally:
    """What has been seen of a sample so far."""

    setting: Setting
    need_wh: int
    keep_rows: bool = False
    revenue: array[float] = field(default_factory=lambda: array("d"))
    price: array[float] = field(default_factory=lambda: array("d"))
    second: array[float] = field(default_factory=lambda: array("d"))
    bids: int = 0
    improvements: int = 0
    bidders: int = 0
    bought: int = 0
    best: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def note(self, lot: int, values: list[int], outcome: Outcome) -> None:
        """Take in one lot."""
        awards, lot_wh = outcome.awards, self.setting.lot_wh
        self.revenue.append(outcome.revenue / lot_wh)
        if awards:
            self.price.append(outcome.revenue / sum([sold.wh for sold in awards]))
        if len(values) > 1:
            self.second.append(sorted(values)[-2])
        self.bids += outcome.bids
        self.improvements += outcome.improvements
        self.bidders += outcome.distinct_bidders
        self.bought += sum([values[sold.buyer] * sold.wh for sold in awards])
        self.best += best_use(values, self.need_wh, lot_wh)
        if self.keep_rows:
            self.rows.append({"lot": lot, "values_e4": values, **outcome._asdict()})

    def summary(self) -> Summary:
        """Return what it amounts to."""
        return Summary(
            auctions=len(self.revenue),
            sold=len(self.price),
            revenue_per_kwh_e4=spread(self.revenue),
            price_e4=spread(self.price),
            second_value_e4=spread(self.second),
            efficiency=self.bought / self.best if self.best else None,
            bids=self.bids,
            improvements=self.improvements,
            distinct_bidders=self.bidders / len(self.revenue),
            rows=self.rows if self.keep_rows else None,
        )


def sample(
    setting: Setting,
    values: Mapping[str, Any],
    *,
    n: int,
    auctions: int,
    seed: int,
    need_wh: int,
    strategy: str = "truthful",
    rows: bool = False,
    latency_ms: tuple[float, float] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Return what `auctions` lots with `n` buyers of drawn values amount to.

    `latency_ms` is the range from which each one-way latency is drawn, for each buyer, lot and direction; None = no
    latency. What learning strategies learn goes from lot to lot. `progress` is told the lots done. Raises StudyError
    naming the key.
    """
    whole("n", n, least=1, most=BUYERS_MAX)
    whole("auctions", auctions, least=1, most=ROWS_MAX if rows else AUCTIONS_MAX)
    whole("seed", seed, least=0, most=2**63 - 1)
    whole("need_wh", need_wh, least=0, most=10**12, step=ENERGY_STEP_WH)
    drawn = values_of(values, n)
    tally = Tally(setting, need_wh, rows)
    limit = limit_of(strategy, setting, n, values)
    at_once = not (latency_ms or setting.drop or setting.loss)
    if limit is not None and setting.rule in SEALED and at_once:
        outcomes = _cleared(setting, drawn, limit, n=n, auctions=auctions, seed=seed, need_wh=need_wh)
    else:
        plan = _Plan(setting, drawn, n, seed, need_wh, strategy, _latency_of(latency_ms))
        outcomes = _played(plan, values, auctions)
    for lot, (worth, outcome) in enumerate(outcomes):
        tally.note(lot, worth, outcome)
        if progress is not None and (lot + 1) % PROGRESS_EVERY == 0:
            progress(lot + 1)
    return tally.summary()


def _cleared(
    setting: Setting, values: Values, limit: Limit, *, n: int, auctions: int, seed: int, need_wh: int
) -> Iterator[tuple[list[int], Outcome]]:
    """Yield lots whose buyers all bid at the opening what follows from their values alone."""
    want_wh = min(need_wh, setting.lot_wh)
    for lot in range(auctions):
        worth = values.of_lot(seed, lot, n)
        prices = [limit(value) for value in worth]
        bids = [
            Bid(NAMES[index], 1, price, want_wh) for index, price in enumerate(prices) if price is not None and want_wh
        ]
        yield worth, clear(setting, ((0, bids),) if bids else (), seed=lot_seed(seed, lot), lot=lot)


class _Plan(NamedTuple):
    setting: Setting
    values: Values
    n: int
    seed: int
    need_wh: int
    strategy: str
    latency_ms: tuple[float, float] | None


def _played(plan: _Plan, declared: Mapping[str, Any], auctions: int) -> Iterator[tuple[list[int], Outcome]]:
    """Yield lots in which what a buyer does depends on more than its value."""
    setting, n, seed = plan.setting, plan.n, plan.seed
    strategies = [strategy_of(plan.strategy, setting, n, declared)] * n
    minds = [NEW_MIND] * n
    for lot in range(auctions):
        worth = plan.values.of_lot(seed, lot, n)
        buyers = [
            Buyer(value, plan.need_wh, None, plan.strategy, *_ways_ms(plan, lot, index))
            for index, value in enumerate(worth)
        ]
        outcome, minds = play_lot(setting, buyers, strategies, minds, seed=seed, lot=lot)
        yield worth, outcome


def _ways_ms(plan: _Plan, lot: int, buyer: int) -> tuple[float, float]:
    if plan.latency_ms is None:
        return 0, 0
    low, high = plan.latency_ms
    up, down = (uniform(plan.seed, lot, buyer, way) for way in ("way-up", "way-down"))
    return low + up * (high - low), low + down * (high - low)


def _latency_of(latency_ms: tuple[float, float] | None) -> tuple[float, float] | None:
    if latency_ms is None:
        return None
    low, high = latency_ms
    way("latency_ms", low)
    way("latency_ms", high)
    if low > high:
        raise StudyError("latency_ms", f"{low} is above {high}")
    return low, high


def best_use(values: list[int], need_wh: int, lot_wh: int) -> int:
    """Return the highest value that a lot can have for buyers who need so much each, in price_e4 x wh."""
    want_wh = min(need_wh, lot_wh)
    if want_wh <= 0:
        return 0
    worth = [value * want_wh for value in values if value > 0]
    steps = want_wh // ENERGY_STEP_WH
    chosen = best_subset([(value, steps) for value in worth], lot_wh // ENERGY_STEP_WH)
    return sum([worth[index] for index in chosen])


def spread(seen: Sequence[float]) -> Spread:
    """Return mean, standard deviation (n - 1) and standard error of what was seen."""
    count = len(seen)
    if count == 0:
        return Spread(None, None, None)
    mean = math.fsum(seen) / count
    if count == 1:
        return Spread(mean, None, None)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in seen) / (count - 1))
    return Spread(mean, sd, sd / math.sqrt(count))

"""The engine against the textbook: each rule's mean price beside its closed form, as a z-score.

Formulas for n buyers with private values uniform on [0, 1] (Krishna, Auction Theory; order statistics): the second of n
has mean (n-1)/(n+1), the (m+1)-th (n-m)/(n+1); with a reserve r both prices yield (n-1)/(n+1) + r^n - 2n/(n+1) r^(n+1)
and a sale has probability 1 - r^n; truthful buyers pay n/(n+1) at the first price; of two normal values the lower one
has mean mu - sigma/sqrt(pi). The grid moves a mean by at most a tick, 1/10 000 of the range: below a tenth of a z.

Where the values tell the price, lots are held against it one by one, so that no spread of the values hides a fault:
the sealed second price is the second value, at least the reserve, and the standing bid at no latency is that to within
one increment. Its levels are the reserve plus whole increments, and until a level is too dear for one of them, buyers
differ by chance alone. Let L be the highest level not above the second value, and m the buyers it is not too dear for:
each of them stands at L with probability 1/m. The best buyer pays L when it is that one, or when the next level is too
dear for it too, and else L plus one increment.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aggregator.strategies import NEW_MIND, Strategy, make_strategy
from etp.units import PRICE_TICK_E4
from market.draws import uniform
from market.mechanism import Buyer, Outcome, play_lot, winners
from market.sampling import Spread, sample
from market.setting import Setting
from market.values import values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT: Final = 4.5
"""A z-score above this is a fault: by chance one run in thousands would show it among these few dozen checks."""
LOTS: Final = 20_000
_SOME_LOTS: Final = 1_000
_SOME_OF: Final = 20
_FORCE_CASES: Final = 400
_SEEDS_APART: Final = 1_000
"""Every check draws from a seed of its own, so that one unlucky draw does not move all of them."""
_BLOCK_WH: Final = 1_000
_UNIT: Final = 1_000_000
_NARROW: Final = 200_000
_STEP: Final = 1_000
_MEAN: Final = 500_000
_SD: Final = 80_000
_UNIFORM: Final[dict[str, Any]] = {"kind": "uniform", "low_e4": 0, "high_e4": _UNIT}
_NORMAL: Final[dict[str, Any]] = {"kind": "normal", "mean_e4": _MEAN, "sd_e4": _SD}


class Check(NamedTuple):
    """One closed form: what it says, what was measured, and the standard error of the measurement."""

    name: str
    expected: float
    measured: float
    se: float

    @property
    def z(self) -> float:
        """Return how many standard errors the measurement is off; infinite where nothing may differ and does."""
        gap = self.measured - self.expected
        if self.se:
            return gap / self.se
        return math.copysign(math.inf, gap) if gap else 0.0


class Case(NamedTuple):
    """One sample and what theory says about it, in units of the values' range."""

    name: str
    rule: str
    strategy: str
    n: int
    expected: float
    reserve: float = 0.0
    blocks: int = 1
    values: dict[str, Any] = _UNIFORM
    sale: bool = False


def second_of(n: int, reserve: float = 0.0) -> float:
    """Return the mean revenue of a second price, or of a first price in equilibrium, with a reserve."""
    return (n - 1) / (n + 1) + reserve**n - 2 * n / (n + 1) * reserve ** (n + 1)


def cases() -> Iterator[Case]:
    """Yield what is held against theory."""
    for n, reserve in product((1, 2, 5, 10), (0.0, 0.5)):
        revenue = second_of(n, reserve)
        yield Case(f"second n={n} r={reserve}", "sealed_second", "truthful", n, revenue, reserve)
        yield Case(f"first n={n} r={reserve}", "sealed_first", "equilibrium", n, revenue, reserve)
        yield Case(f"clock n={n} r={reserve}", "ascending_clock", "truthful", n, revenue, reserve)
    for n in (2, 5):
        yield Case(f"sale n={n} r=0.5", "sealed_second", "truthful", n, 1 - 0.5**n, 0.5, sale=True)
        yield Case(f"first truthful n={n}", "sealed_first", "truthful", n, n / (n + 1))
        yield Case(f"first acceptable n={n} r=0.5", "first_acceptable", "truthful", n, 0.5 * (1 - 0.5**n), 0.5)
    for n, m in ((3, 2), (5, 2), (10, 4)):
        price = (n - m) / (n + 1)
        yield Case(f"second {m} winners n={n}", "sealed_second", "truthful", n, price, blocks=m)
        yield Case(f"clock {m} winners n={n}", "ascending_clock", "truthful", n, price, blocks=m)
    lower = (_MEAN - _SD / math.sqrt(math.pi)) / _UNIT
    yield Case("second normal n=2", "sealed_second", "truthful", 2, lower, values=_NORMAL)
    yield Case("first normal n=2", "sealed_first", "equilibrium", 2, lower, values=_NORMAL)


def checks(seed: int = 1, lots: int = LOTS) -> Iterator[Check]:
    """Yield every comparison as it is made, for a seed below 10^12.

    What is played bid by bid or held lot by lot gets 1 000 lots, or a twentieth of `lots` where that is more.
    """
    number = 0
    for number, case in enumerate(cases()):
        yield held(case, seed * _SEEDS_APART + number, lots)
    some = _some_of(lots)
    yield second_lot_by_lot(seed * _SEEDS_APART + number + 1, some)
    outside = 0.0
    for place, (n, reserve) in enumerate(product((1, 2, 5), (0.0, 0.5)), number + 2):
        mean, beyond = standing_lot_by_lot(n, reserve, seed * _SEEDS_APART + place, some)
        outside += beyond
        yield mean
    yield Check("standing bid, lots beyond an increment", 0.0, outside, 0.0)
    yield _by_force(seed)


def held(case: Case, seed: int, lots: int) -> Check:
    """Return a sample beside its closed form."""
    if case.rule == "first_acceptable":
        lots = _some_of(lots)
    setting = Setting(
        case.rule, case.blocks * _BLOCK_WH, round(case.reserve * _UNIT), increment_e4=PRICE_TICK_E4, doubling=0
    )
    found = sample(setting, case.values, n=case.n, auctions=lots, seed=seed, need_wh=_BLOCK_WH, strategy=case.strategy)
    if case.sale:
        chance = case.expected
        return Check(case.name, chance, found.sold / lots, math.sqrt(chance * (1 - chance) / lots))
    return _beside(case.name, case.expected * _UNIT, found.revenue_per_kwh_e4)


def second_lot_by_lot(seed: int, lots: int) -> Check:
    """Return in how many lots the sealed second price is not the second value, at least the reserve."""
    missed = 0
    for n, reserve in product((1, 2, 5, 10), (0.0, 0.5)):
        setting = Setting("sealed_second", _BLOCK_WH, round(reserve * _UNIT))
        for worth, outcome in _played(setting, _UNIT, n, seed=seed, lots=lots):
            missed += _price_of(outcome) != _second_or_reserve(worth, setting.reserve_e4)
    return Check("second price, lots off the second value", 0.0, float(missed), 0.0)


def standing_lot_by_lot(
    n: int, reserve: float, seed: int, lots: int, strategy: Strategy | None = None
) -> tuple[Check, int]:
    """Return the mean of price less second value (at least the reserve), and in how many lots they are further apart.

    Further than an increment, that is. Buyers bid up to their values at no latency unless another `strategy` is given.
    The values lie in a narrow market of 20 c, `reserve` is a share of it.
    """
    setting = Setting("standing_bid", _BLOCK_WH, round(reserve * _NARROW), increment_e4=_STEP, doubling=0)
    beyond = sold = 0
    gap = expected = variance = 0.0
    for worth, outcome in _played(setting, _NARROW, n, seed=seed, lots=lots, strategy=strategy):
        price_e4, second_e4 = _price_of(outcome), _second_or_reserve(worth, setting.reserve_e4)
        if price_e4 is None or second_e4 is None:
            beyond += price_e4 != second_e4
            continue
        sold += 1
        beyond += not -_STEP < price_e4 - second_e4 <= _STEP
        mean_e4, spread = standing_price(worth, setting.reserve_e4, _STEP)
        gap += price_e4 - second_e4
        expected += mean_e4 - second_e4
        variance += spread
    sold = max(1, sold)
    name = f"standing bid less second n={n} r={reserve}"
    return Check(name, expected / sold, gap / sold, math.sqrt(variance) / sold), beyond


def standing_price(values_e4: Sequence[int], reserve_e4: int, increment_e4: int) -> tuple[float, float]:
    """Return mean and variance of what truthful buyers of equal distance pay, the best of them above the reserve."""
    *_, second_e4, best_e4 = sorted([reserve_e4, *values_e4])
    level_e4 = second_e4 - (second_e4 - reserve_e4) % increment_e4
    rivals = sum(value_e4 >= level_e4 for value_e4 in values_e4)
    if best_e4 < level_e4 + increment_e4:
        return float(level_e4), 0.0
    return level_e4 + increment_e4 * (1 - 1 / rivals), increment_e4**2 * (1 - 1 / rivals) / rivals


def _played(
    setting: Setting, high_e4: int, n: int, *, seed: int, lots: int, strategy: Strategy | None = None
) -> Iterator[tuple[list[int], Outcome]]:
    """Yield lots between `n` buyers of one strategy, of values uniform from 0, and what they are worth to them."""
    drawn = values_of({"kind": "uniform", "low_e4": 0, "high_e4": high_e4}, n)
    strategies = [strategy or make_strategy("truthful")] * n
    for lot in range(lots):
        worth = drawn.of_lot(seed, lot, n)
        buyers = [Buyer(value_e4, _BLOCK_WH) for value_e4 in worth]
        yield worth, play_lot(setting, buyers, strategies, [NEW_MIND] * n, seed=seed, lot=lot)[0]


def _price_of(outcome: Outcome) -> int | None:
    """Return what the whole lot was sold for, None when it was not."""
    return outcome.awards[0].price_e4 if outcome.awards else None


def _second_or_reserve(values_e4: Sequence[int], reserve_e4: int) -> int | None:
    """Return the second value, at least the reserve; None when no value reaches it."""
    return sorted([reserve_e4, *values_e4])[-2] if max(values_e4) >= reserve_e4 else None


def _some_of(lots: int) -> int:
    return max(min(lots, _SOME_LOTS), lots // _SOME_OF)


def _by_force(seed: int) -> Check:
    """Return in how many of many small cases the winner determination misses the best value."""
    missed = 0
    for case in range(_FORCE_CASES):
        bids = [
            (
                round(10 * uniform(seed, case, bid, "price")) * 1_000,
                (1 + int(8 * uniform(seed, case, bid, "size"))) * 100,
            )
            for bid in range(1 + int(9 * uniform(seed, case, 0, "count")))
        ]
        ids, value = winners(bids, lot_wh=1_000, reserve_e4=2_000, keep_e4=PRICE_TICK_E4)
        items = [(price_e4 * wh if price_e4 >= 2_000 else 0, wh) for price_e4, wh in bids]
        fits = sum(bids[index][1] for index in ids) <= 1_000
        missed += not fits or value != _best_by_force(items, 1_000)
    return Check(f"winner determination, {_FORCE_CASES} cases by force", 0.0, float(missed), 0.0)


def _best_by_force(items: list[tuple[int, int]], capacity: int) -> int:
    """Return the best value of all subsets that fit."""
    best = [(0, 0)]
    for value, size in items:
        best += [(total + value, taken + size) for total, taken in best if taken + size <= capacity]
    return max(total for total, _ in best)


def _beside(name: str, expected: float, seen: Spread) -> Check:
    return Check(name, expected, seen.mean or 0.0, seen.se or 0.0)

"""The engine against the textbook: each rule's mean price beside its closed form, as a z-score.

Formulas for n buyers with private values uniform on [0, 1] (Krishna, Auction Theory; order statistics): the second of n
has mean (n-1)/(n+1), the (m+1)-th (n-m)/(n+1); with a reserve r both prices yield (n-1)/(n+1) + r^n - 2n/(n+1) r^(n+1)
and a sale has probability 1 - r^n; truthful buyers pay n/(n+1) at the first price; of two normal values the lower one
has mean mu - sigma/sqrt(pi). The grid moves a mean by at most a tick, 1/10 000 of the range: below a tenth of a z.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from etp.units import PRICE_TICK_E4
from market.draws import uniform
from market.mechanism import winners
from market.sampling import Spread, sample
from market.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 4.5
"""A z-score above this is a fault: by chance one run in thousands would show it among these few dozen checks."""
LOTS: Final = 20_000
_OPEN_LOTS: Final = 1_000
_FORCE_CASES: Final = 400
_SEEDS_APART: Final = 1_000
"""Every check draws from a seed of its own, so that one unlucky draw does not move all of them."""
_BLOCK_WH: Final = 1_000
_UNIT: Final = 1_000_000
_NARROW: Final = 200_000
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

    The open rules, which bid step by step, get a twentieth of the lots.
    """
    for number, case in enumerate(cases()):
        yield held(case, seed * _SEEDS_APART + number, lots)
    for n in (2, 5):
        yield _standing_bid(seed, min(lots, _OPEN_LOTS), n)
    yield _by_force(seed)


def held(case: Case, seed: int, lots: int) -> Check:
    """Return a sample beside its closed form."""
    if case.rule == "first_acceptable":
        lots = min(lots, _OPEN_LOTS)
    setting = Setting(
        case.rule, case.blocks * _BLOCK_WH, round(case.reserve * _UNIT), increment_e4=PRICE_TICK_E4, doubling=0
    )
    found = sample(setting, case.values, n=case.n, auctions=lots, seed=seed, need_wh=_BLOCK_WH, strategy=case.strategy)
    if case.sale:
        chance = case.expected
        return Check(case.name, chance, found.sold / lots, math.sqrt(chance * (1 - chance) / lots))
    return _beside(case.name, case.expected * _UNIT, found.revenue_per_kwh_e4)


def _standing_bid(seed: int, lots: int, n: int) -> Check:
    """Return the standing bid at no latency: what it pays beside the second value of a narrow market."""
    setting = Setting("standing_bid", _BLOCK_WH, 0, doubling=0)
    values = {"kind": "uniform", "low_e4": 0, "high_e4": _NARROW}
    found = sample(setting, values, n=n, auctions=lots, seed=seed, need_wh=_BLOCK_WH)
    return _beside(f"standing bid n={n}", second_of(n) * _NARROW, found.revenue_per_kwh_e4)


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

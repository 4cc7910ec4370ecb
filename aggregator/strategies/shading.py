"""Equilibrium shading: in a first-price auction bid what the strongest rival is expected to be worth, if below oneself.

With n buyers whose private values are independent draws from F and a reserve r, the symmetric equilibrium is
b(v) = v - (integral from r to v of F(x)^(n-1) dx) / F(v)^(n-1). A part of the value that all buyers share carries no
information rent: it is never shaded, it only moves the reserve as seen by the private part.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import ClassVar, Final

from aggregator.strategies.distributions import Distribution, Normal, Table, Triangular, Uniform
from aggregator.strategies.types import Decision, Draws, LotView, Mind, Outcome, at_most, held_back

_INTERVALS: Final = 256
"""Simpson intervals; even. The integrand is smooth between the kinks of the distribution."""
_NOTHING: Final = 1e-12
_TINY: Final = 1e-290
"""Below this a power of a share has lost its digits."""


@lru_cache(maxsize=4_096)
def shaded(private_e4: float, n: int, reserve_e4: float, values: Distribution) -> float | None:
    """Return the equilibrium bid of a private value among `n` buyers, or None when it is below the reserve.

    Units are 1/10 000 c/kWh for all prices; the result is not on the grid. A buyer alone bids the reserve. With an
    unbounded distribution and no reserve the integral starts where the distribution is empty.
    """
    if private_e4 < reserve_e4:
        return None
    if n <= 1:
        return reserve_e4
    start = max(reserve_e4, values.low_e4)
    mass = values.cdf(private_e4)
    if private_e4 <= start or mass <= _NOTHING:
        return private_e4
    return private_e4 - _information_rent(private_e4, n, start, values, mass)


def _information_rent(private_e4: float, n: int, start: float, values: Distribution, mass: float) -> float:
    """Return the integral of (F(x)/F(v))^(n-1) from `start` to the value; `mass` is F(v)."""
    if isinstance(values, Uniform) and private_e4 <= values.high_e4:
        return _uniform_rent(private_e4, n, start, values)
    if isinstance(values, Table):
        return _table_rent(private_e4, n, start, values, mass)
    kinks = (values.mode_e4, values.high_e4) if isinstance(values, Triangular) else (values.high_e4,)
    edges = [start, *(kink for kink in kinks if start < kink < private_e4), private_e4]
    return sum(_rent(low, high, n, values, mass) for low, high in pairwise(edges))


def _uniform_rent(private_e4: float, n: int, start_e4: float, values: Uniform) -> float:
    """Return the closed form of the rent: ((v-low)^n - (start-low)^n) / (n (v-low)^(n-1))."""
    above = private_e4 - values.low_e4
    below = start_e4 - values.low_e4
    return (above - below * (below / above) ** (n - 1)) / n


def _table_rent(private_e4: float, n: int, start_e4: float, values: Table, mass: float) -> float:
    """Return the integral of (F(x)/F(v))^(n-1) of a distribution that rises in steps: exact."""
    top = mass ** (n - 1)
    if top > _TINY:
        return (_table_integral(private_e4, n, values) - _table_integral(start_e4, n, values)) / top
    inner = [value for value in values.values_e4 if start_e4 < value < private_e4]
    edges = [start_e4, *inner, private_e4]
    return sum((high - low) * (values.cdf(low) / mass) ** (n - 1) for low, high in pairwise(edges))


def _table_integral(price_e4: float, n: int, values: Table) -> float:
    """Return the integral of F(x)^(n-1) up to a price, from the lowest observation on."""
    below = bisect_right(values.values_e4, price_e4)
    if below == 0:
        return 0.0
    share = below / len(values.values_e4)
    return _table_integrals(n, values)[below - 1] + (price_e4 - values.values_e4[below - 1]) * share ** (n - 1)


@lru_cache(maxsize=8)
def _table_integrals(n: int, values: Table) -> list[float]:
    """Return the integral of F(x)^(n-1) up to each observation."""
    count = len(values.values_e4)
    steps = enumerate(pairwise(values.values_e4), start=1)
    return list(accumulate(((high - low) * (k / count) ** (n - 1) for k, (low, high) in steps), initial=0.0))


def _rent(low_e4: float, high_e4: float, n: int, values: Distribution, mass: float) -> float:
    """Return the integral of (F(x)/F(v))^(n-1) between two prices, by Simpson's rule; `mass` is F(v).

    With many buyers all of it lies just below the upper price, so the steps are in t with x = high - (high - low) t^3.
    """
    span_e4 = high_e4 - low_e4
    total = 0.0
    for index in range(1, _INTERVALS + 1):
        weight = 1.0 if index == _INTERVALS else 4.0 if index % 2 else 2.0
        t = index / _INTERVALS
        total += weight * 3.0 * t * t * min(1.0, values.cdf(high_e4 - span_e4 * t**3) / mass) ** (n - 1)
    return total * span_e4 / (3.0 * _INTERVALS)


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """Pays up to common + b(private); `bidders` fixes n, otherwise the market's estimate is taken.

    `private` is the declared distribution of private parts. Without spread there is nothing private and nothing is
    shaded.
    """

    name: ClassVar[str] = "equilibrium"
    private: Distribution = field(default_factory=lambda: Normal(0.0, 10_000.0))
    bidders: int | None = None

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return what to do about a lot now; the mind comes back as it was."""
        return held_back(view) or at_most(view, self.limit_e4(view)), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:  # noqa: ARG002
        """Return the mind as it was."""
        return mind

    def limit_e4(self, view: LotView) -> float:
        """Return the most this strategy pays in a lot; 0 when the value is below the reserve."""
        n = self.bidders or view.bidders
        bid = shaded(view.value_e4 - view.common_e4, n, view.floor_e4 - view.common_e4, self.private)
        return 0.0 if bid is None else view.common_e4 + bid

"""What a kWh is worth to this buyer: the forecast resale price, less fee and risk margin, plus what only it can earn.

The private part (a hedge, a network payment) is one draw a forecast step and buyer, from SHA-256 of seed, purpose and
step, so that neither the number of batteries nor the order of their messages moves it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from aggregator.forecast import Forecast

_STANDARD: Final = NormalDist()


class Worth(NamedTuple):
    """A kWh's worth in 1/10 000 c/kWh, in the part every buyer shares and the part that is this buyer's alone."""

    common_e4: int
    private_e4: int

    @property
    def total_e4(self) -> int:
        """Both parts; negative when the market is below the fee and margin."""
        return self.common_e4 + self.private_e4


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueModel:
    """Forecast resale price - fee - margin + private part, normal around 0 with `spread_e4`."""

    forecast: Forecast
    fee_e4: int = 0
    margin_e4: int = 0
    spread_e4: int = 0
    seed: int = 0

    def worth(self, wall_ms: int) -> Worth | None:
        """Return what a kWh is worth at a time, or None when the forecast has no price for it."""
        spot = self.forecast.at(wall_ms)
        if spot is None:
            return None
        private = private_part(self.seed, self.forecast.step_of(wall_ms), self.spread_e4)
        return Worth(spot - self.fee_e4 - self.margin_e4, private)


@lru_cache(maxsize=4_096)
def private_part(seed: int, step: int, spread_e4: int) -> int:
    """Return the private value of a forecast step: a draw of Normal(0, spread_e4)."""
    return round(spread_e4 * _STANDARD.inv_cdf(uniform(seed, "private", step))) if spread_e4 > 0 else 0


def uniform(seed: int, purpose: str, number: int) -> float:
    """Return a draw in (0, 1) that depends on nothing but its arguments."""
    digest = hashlib.sha256(f"wattbid/{seed}/{purpose}/{number}".encode()).digest()
    return ((int.from_bytes(digest[:8], "big") >> 12) + 0.5) / (1 << 52)

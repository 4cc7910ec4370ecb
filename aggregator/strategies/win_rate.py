"""Win-rate shading: learn how likely a bid wins and bid where the expected gain is largest.

P(win) = 1 / (1 + exp(-(bias + slope x (bid - price to beat)))), two parameters moved by one gradient step per
outcome. (value - bid) x P is log-concave in the bid, so it has one maximum and a ternary search finds it. Until a rival
has shown in an open lot there is nobody to outbid, and the price to beat is bid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from aggregator.strategies.types import Decision, Draws, LotView, Mind, Outcome, at_most, held_back

_C: Final = 10_000
"""1 c/kWh in price_e4: the slope's unit."""
_ROUNDS: Final = 48
_BIAS_MAX: Final = 6.0
_SLOPE: Final = (0.05, 20.0)


@dataclass(frozen=True, slots=True)
class WinRate:
    """`bias` and `slope` are where the belief starts, `rate` is the gradient step."""

    name: ClassVar[str] = "win_rate"
    bias: float = 0.0
    slope: float = 1.0
    rate: float = 0.2

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return the bid with the largest expected gain between the price to beat and the value."""
        held = held_back(view)
        if held is not None:
            return held, mind
        surplus = (view.value_e4 - view.beat_e4) / _C
        if surplus <= 0 or view.unrivalled:
            return at_most(view, view.value_e4), mind
        bias, slope = self._belief(mind)
        premium = _best_premium(surplus, bias, slope)
        return at_most(view, view.value_e4, view.beat_e4 + premium * _C), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:  # noqa: ARG002
        """Return the mind with the belief moved towards what happened."""
        bias, slope = self._belief(mind)
        premium = max(0.0, (outcome.price_e4 - outcome.beat_e4) / _C)
        error = float(outcome.won) - chance(bias + slope * premium)
        bias = min(_BIAS_MAX, max(-_BIAS_MAX, bias + self.rate * error))
        slope = min(_SLOPE[1], max(_SLOPE[0], slope + self.rate * error * premium))
        return replace(mind, win_bias=bias, win_slope=slope)

    def _belief(self, mind: Mind) -> tuple[float, float]:
        return (
            self.bias if mind.win_bias is None else mind.win_bias,
            self.slope if mind.win_slope is None else mind.win_slope,
        )


def chance(log_odds: float) -> float:
    """Return the probability with these log odds."""
    return 1.0 / (1.0 + math.exp(-log_odds))


def _best_premium(surplus_c: float, bias: float, slope: float) -> float:
    """Return the premium over the price to beat, in c/kWh, that maximises (surplus - premium) x P(win)."""
    low, high = 0.0, surplus_c
    for _ in range(_ROUNDS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if (surplus_c - left) * chance(bias + slope * left) < (surplus_c - right) * chance(bias + slope * right):
            low = left
        else:
            high = right
    return low

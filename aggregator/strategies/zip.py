"""ZIP (zero intelligence plus): a margin on the value, moved by a Widrow-Hoff step after each market event.

After Cliff (1997). The shout price is value x (1 - margin). A price to beat above it is a market this buyer is missing:
the margin shrinks towards it. A win says that less might have done: the margin grows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from aggregator.strategies.types import Decision, Draws, LotView, Mind, Outcome, at_most, held_back


@dataclass(frozen=True, slots=True)
class Zip:
    """`margin` is where it starts, `rate` the Widrow-Hoff step, `momentum` the share of the last change kept."""

    name: ClassVar[str] = "zip"
    margin: float = 0.2
    rate: float = 0.3
    momentum: float = 0.1
    nudge: float = 0.05
    """Largest relative and (in c/kWh) absolute overshoot of a target, so that prices are probed, not only matched."""

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return a bid at the price to beat if the margin allows it; otherwise the margin moves first."""
        held = held_back(view)
        if held is not None or view.value_e4 <= 0:
            return held or at_most(view, 0), mind
        if self._shout(mind, view.value_e4) < view.beat_e4 <= view.value_e4:
            target = view.beat_e4 * (1 + self.nudge * draws("zip-up")) + 10_000 * self.nudge * draws("zip-up-c")
            mind = self._moved(mind, view.value_e4, target)
        return at_most(view, self._shout(mind, view.value_e4)), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:
        """Return the mind with a larger margin after a win; being outbid is learned from the next price to beat."""
        if not outcome.won or outcome.value_e4 <= 0 or outcome.paid_e4 > self._shout(mind, outcome.value_e4):
            return mind
        target = outcome.paid_e4 * (1 - self.nudge * draws("zip-down")) - 10_000 * self.nudge * draws("zip-down-c")
        return self._moved(mind, outcome.value_e4, target)

    def _shout(self, mind: Mind, value_e4: int) -> float:
        margin = self.margin if mind.zip_margin is None else mind.zip_margin
        return value_e4 * (1.0 - margin)

    def _moved(self, mind: Mind, value_e4: int, target_e4: float) -> Mind:
        shout = self._shout(mind, value_e4)
        push = self.momentum * mind.zip_push + (1 - self.momentum) * self.rate * (target_e4 - shout)
        margin = min(0.99, max(0.0, 1.0 - (shout + push) / value_e4))
        return replace(mind, zip_margin=margin, zip_push=push)

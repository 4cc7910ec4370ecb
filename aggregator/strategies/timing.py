"""Timing: buy in the hours in which energy is worth most, and wait in the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aggregator.strategies.types import Decision, Draws, LotView, Mind, Outcome, Why, at_most, held_back


@dataclass(frozen=True, slots=True)
class Timing:
    """Bids like the truthful buyer while at most `patience_permille` of the horizon is worth more than now."""

    name: ClassVar[str] = "timing"
    patience_permille: int = 250

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return a bid at the price to beat in a good hour, a wait in any other."""
        held = held_back(view)
        if held is None and view.better_later_permille > self.patience_permille:
            held = Decision(None, Why.WAITING)
        return held or at_most(view, view.value_e4), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:  # noqa: ARG002
        """Return the mind as it was."""
        return mind

"""The strategies that learn nothing: random, conservative, aggressive and truthful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aggregator.strategies.types import (
    Decision,
    Draws,
    LotView,
    Mind,
    Outcome,
    at_most,
    floor_tick,
    held_back,
)
from etp.units import PRICE_TICK_E4


class _Fixed:
    """A strategy that remembers nothing."""

    __slots__ = ()

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return what to do about a lot now; the mind comes back as it was."""
        return held_back(view) or self._choose(view, draws), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:  # noqa: ARG002
        """Return the mind as it was."""
        return mind

    def _choose(self, view: LotView, draws: Draws) -> Decision:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Random(_Fixed):
    """The reference buyer (ZI-C): any price from the price to beat up to the value, all ticks equally likely.

    Until a rival has shown in an open lot, a price above the one to beat buys nothing, and that one is bid.
    """

    name: ClassVar[str] = "random"

    def _choose(self, view: LotView, draws: Draws) -> Decision:
        if view.unrivalled:
            return at_most(view, view.value_e4)
        top = floor_tick(view.value_e4)
        ticks = max(0, top - view.beat_e4) // PRICE_TICK_E4
        price = view.beat_e4 + int(draws("random") * (ticks + 1)) * PRICE_TICK_E4
        return at_most(view, top, price)


@dataclass(frozen=True, slots=True)
class Conservative(_Fixed):
    """Pays the price to beat only while it is within `room_e4` of the reserve; it never chases a rival further."""

    name: ClassVar[str] = "conservative"
    room_e4: int = 5_000

    def _choose(self, view: LotView, draws: Draws) -> Decision:  # noqa: ARG002
        return at_most(view, view.floor_e4 + self.room_e4)


@dataclass(frozen=True, slots=True)
class Aggressive(_Fixed):
    """Opens at the price to beat and, once a rival has shown, jumps to `edge_e4` below its value."""

    name: ClassVar[str] = "aggressive"
    edge_e4: int = 1_000

    def _choose(self, view: LotView, draws: Draws) -> Decision:  # noqa: ARG002
        limit = view.value_e4 - self.edge_e4
        if view.sealed:
            return at_most(view, max(limit, view.beat_e4))
        if view.unrivalled:
            return at_most(view, view.value_e4)
        return at_most(view, limit, limit)


@dataclass(frozen=True, slots=True)
class Truthful(_Fixed):
    """Pays the price to beat up to its value and not a tick more; under a sealed rule it bids its value."""

    name: ClassVar[str] = "truthful"

    def _choose(self, view: LotView, draws: Draws) -> Decision:  # noqa: ARG002
        return at_most(view, view.value_e4)

"""One lot with truthful buyers, and what its seller hears: the highest bids of the two highest bidders.

The bids are those that the production engine is sent, not the values behind them: under an open book a buyer stops when
it is no longer outbid, and nobody learns what it would have paid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aggregator.strategies import NEW_MIND, make_strategy
from market.mechanism import play_lot
from market.setting import Buyer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregator.strategies import Decision, Draws, LotView, Mind, Outcome
    from market.setting import Setting

_TRUTHFUL: Final = make_strategy("truthful")


class Heard(NamedTuple):
    """What came of a lot: the price (None = not sold), and the two highest bids, None where below the reserve."""

    price_e4: int | None
    best_e4: int | None = None
    second_e4: int | None = None


class _Noted:
    """A truthful buyer whose highest bid is noted."""

    name: Final = _TRUTHFUL.name

    def __init__(self) -> None:
        self.highest_e4 = 0

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:
        """Return what to bid, and note it."""
        decision, mind = _TRUTHFUL.decide(view, mind, now_ms, draws)
        if decision.price_e4 is not None:
            self.highest_e4 = max(self.highest_e4, decision.price_e4)
        return decision, mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:
        """Return the mind as it was."""
        return _TRUTHFUL.learn(mind, outcome, draws)


def hear(setting: Setting, values_e4: Sequence[int], *, seed: int, lot: int) -> Heard:
    """Return how a lot goes whose buyers each want all of it, at no latency.

    A lot whose reserve is above every value is known to find no bid, and needs no engine.
    """
    if max(values_e4) < setting.reserve_e4:
        return Heard(None)
    buyers = [Buyer(value, setting.lot_wh) for value in values_e4]
    noted = [_Noted() for _ in buyers]
    outcome, _ = play_lot(setting, buyers, noted, [NEW_MIND] * len(buyers), seed=seed, lot=lot)
    bids = sorted((one.highest_e4 for one in noted if one.highest_e4 >= setting.reserve_e4), reverse=True)
    best_e4, second_e4 = [*bids, None, None][:2]
    return Heard(outcome.awards[0].price_e4 if outcome.awards else None, best_e4, second_e4)

"""Buyers that try to get more out of the standing bid than honest bidding gives, and the lot they do it in.

Each deviation is what a buyer could really do over ETP: it needs no knowledge that the wire does not carry.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aggregator.strategies.types import Decision, at_most, held_back
from etp.auction import Award, Effect, Open, Returned, Voided
from market.bidder import Bidder, Placed, Quote
from market.open_book import OpenBook

if TYPE_CHECKING:
    from aggregator.strategies import Draws, LotView, Mind, Outcome, Strategy
    from market.setting import Buyer

CONFIRM_WAIT_MS: Final = 1_000
"""A battery waits so long for a Confirm (ETP section 7)."""


class Conduct(NamedTuple):
    """How a buyer departs from honest bidding; the default does not."""

    patience_ms: float = 0
    """Bids only so long after it heard of the price to beat."""
    pump_e4: int = 0
    """Raises its own standing bid while the price to beat is at most this much above the lowest it has seen."""
    confirms: bool = True
    """Whether it confirms what it wins."""


HONEST: Final = Conduct()


class Jump:
    """Strategy: bids a step above the price to beat, up to the value."""

    def __init__(self, step_e4: int) -> None:
        self.name = f"jump:{step_e4}"
        self._step_e4 = step_e4

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return what to do about a lot now; the mind comes back as it was."""
        return held_back(view) or at_most(view, view.value_e4, view.beat_e4 + self._step_e4), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:  # noqa: ARG002
        """Return the mind as it was."""
        return mind


class Deviant(Bidder):
    """A buyer with a conduct of its own."""

    __slots__ = ("_is_awake", "conduct", "tempted")

    def __init__(self, buyer: Buyer, strategy: Strategy, conduct: Conduct, *, n: int, draws: Draws, mind: Mind) -> None:
        super().__init__(buyer, strategy, n=n, draws=draws, mind=mind)
        self.conduct = conduct
        self.tempted = False
        """It would bid now, and waits."""
        self._is_awake = not conduct.patience_ms

    def wakes(self) -> Placed | None:
        """Look at the lot once more, and bid."""
        self.tempted = False
        self._is_awake = True
        placed = self._decide()
        self._is_awake = False
        return placed

    def _quoted(self, quote: Quote) -> Placed | None:
        placed = super()._quoted(quote)
        standing, lowest_e4 = self._open, self._floor_e4
        if placed is not None or standing is None or lowest_e4 is None or quote.own_e4 != standing.price_e4:
            return placed
        if quote.beat_e4 > min(self._value_e4, lowest_e4 + self.conduct.pump_e4):
            return None
        self._overtaken[standing.bid_id] = standing
        self._count += 1
        self._open = Placed(self._count, quote.beat_e4, standing.wh, quote.beat_e4)
        return self._open

    def _decide(self) -> Placed | None:
        if self._is_awake:
            return super()._decide()
        self.tempted = self._quote is not None and not self._quote.own_e4 and self._open is None
        return None


class DeviantBook(OpenBook):
    """A lot with buyers of any conduct; what is not confirmed is void after the battery's wait, and sold again."""

    def __init__(self, *args: Any, conducts: dict[int, Conduct], **fields: Any) -> None:
        self._conducts = conducts
        self._unconfirmed = 0
        self._barred: set[int] = set()
        self.voided = 0
        super().__init__(*args, **fields)

    def seat(self, index: int, buyer: Buyer, strategy: Strategy, *, n: int, draws: Draws, mind: Mind) -> Bidder:
        """Return how a buyer behaves."""
        conduct = self._conducts.get(index, HONEST)
        return Deviant(buyer, strategy, conduct, n=n, draws=draws, mind=mind)

    def goes_on(self) -> bool:
        """Whether anything more can happen: an unconfirmed award comes back."""
        return super().goes_on() or self._unconfirmed > 0

    def sold(self, award: Award) -> None:
        """Note an award; one that nobody will confirm is void in a while."""
        super().sold(award)
        if not self._conducts.get(int(award.peer), HONEST).confirms:
            self._unconfirmed += 1
            self.at(self._now_ms + CONFIRM_WAIT_MS, partial(self._void, award))

    def other(self, effect: Effect) -> None:
        """Sell a void award again when its lot is over."""
        if isinstance(effect, Returned):
            lot = replace(self._lot, lot_id=self._lot.lot_id + self.voided, energy_wh=effect.energy_wh)
            self._step(Open(lot))

    def _void(self, award: Award) -> None:
        buyer = int(award.peer)
        self._unconfirmed -= 1
        self.voided += 1
        self._barred.add(buyer)
        self._awards = [sold for sold in self._awards if sold.buyer != buyer]
        self._step(Voided(award.peer, award.bid_id, blame=True))

    def _says(self, buyer: int, placed: Placed | None, now_ms: float) -> None:
        """Let a patient buyer come back to it; who broke a promise is not heard for 10 s (ETP section 6, rule 6)."""
        super()._says(buyer, None if buyer in self._barred else placed, now_ms)
        bidder = self._bidders[buyer]
        if isinstance(bidder, Deviant) and bidder.tempted:
            bidder.tempted = False
            at_ms = now_ms + bidder.conduct.patience_ms
            self.at(at_ms, lambda: self._says(buyer, bidder.wakes(), at_ms))

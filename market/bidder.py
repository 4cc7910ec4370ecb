"""A buyer in one lot of an open book: what it has heard, and what it says next.

It keeps to what an aggregator does (ETP section 6, rule 2): one bid is unanswered at a time; while it is, a further one
goes out only when a push shows that it no longer stands and that the price to beat is above it. Bids without an answer
are one wish, because a lot takes one standing bid of a buyer: the next one need not wait for the answer to the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aggregator.strategies import NEW_MIND, Draws, LotView, Mind, Outcome, Strategy
from etp.messages import ReasonCode
from etp.units import PRICE_TICK_E4
from market.setting import affordable_e4

if TYPE_CHECKING:
    from market.setting import Buyer


class Quote(NamedTuple):
    """What is for sale, the price to beat for the quantity asked, and the own standing price."""

    left_wh: int
    beat_e4: int
    own_e4: int | None


class Refused(NamedTuple):
    """A bid was refused; the price to beat is for its quantity."""

    bid_id: int
    code: int
    beat_e4: int


class Won(NamedTuple):
    """A bid was accepted."""

    bid_id: int
    price_e4: int
    wh: int


class Placed(NamedTuple):
    """A bid on its way, with the price to beat it was decided on."""

    bid_id: int
    price_e4: int
    wh: int
    beat_e4: int


class Bidder:
    """One buyer in one lot. What it hears returns a bid to send, or None."""

    __slots__ = (
        "_beat_e4", "_count", "_draws", "_floor_e4", "_lost_e4", "_n", "_need_wh", "_open", "_overtaken", "_purse",
        "_quote", "_strategy", "_value_e4", "mind",
    )  # fmt: skip

    def __init__(self, buyer: Buyer, strategy: Strategy, *, n: int, draws: Draws, mind: Mind = NEW_MIND) -> None:
        self.mind = mind
        self._strategy = strategy
        self._n = n
        self._draws = draws
        self._value_e4 = buyer.value_e4
        self._need_wh = buyer.need_wh
        self._purse = buyer.budget
        self._quote: Quote | None = None
        self._beat_e4 = 0
        self._floor_e4: int | None = None
        self._lost_e4 = 0
        self._open: Placed | None = None
        self._overtaken: dict[int, Placed] = {}
        self._count = 0

    def hears(self, told: Quote | Refused | Won) -> Placed | None:
        """Take in what the battery says; return the bid that answers it, if any."""
        if isinstance(told, Refused):
            return self._refused(told)
        if isinstance(told, Quote):
            return self._quoted(told)
        self._won(told)
        return None

    def gives_up(self, bid_id: int) -> Placed | None:
        """Give up a bid that has had no answer for too long, and look at the lot again."""
        if self._open is None or self._open.bid_id != bid_id:
            self._overtaken.pop(bid_id, None)
        else:
            self._open = None
        return self._decide() if self._open is None else None

    def _quoted(self, quote: Quote) -> Placed | None:
        self._quote = quote
        floor_e4 = quote.beat_e4 if self._floor_e4 is None else self._floor_e4
        if quote.beat_e4 <= floor_e4 < self._beat_e4 and quote.own_e4 is None:
            self._lost_e4 = 0
        self._floor_e4 = min(floor_e4, quote.beat_e4)
        self._beat_e4 = quote.beat_e4
        waiting = self._open
        if waiting is not None:
            if quote.own_e4 is not None or quote.beat_e4 <= waiting.price_e4:
                return None
            self._overtaken[waiting.bid_id] = waiting
            self._open = None
        return self._decide()

    def _refused(self, told: Refused) -> Placed | None:
        answered = self._answered(told.bid_id)
        if answered is None:
            return None
        bid, was_open = answered
        is_outbid = told.code == ReasonCode.OUTBID
        if is_outbid:
            outcome = Outcome(False, bid.price_e4, bid.beat_e4, self._value_e4)
            self.mind = self._strategy.learn(self.mind, outcome, self._draws)
        quote = self._quote
        if was_open and is_outbid:
            self._lost_e4 = max(self._lost_e4, bid.price_e4)
            if quote is not None:
                self._beat_e4 = max(told.beat_e4, bid.price_e4 + PRICE_TICK_E4)
                self._quote = quote._replace(beat_e4=self._beat_e4, own_e4=None)
        elif was_open and (quote is None or quote.left_wh >= bid.wh):
            self._quote = None
        return self._decide() if self._open is None else None

    def _won(self, told: Won) -> None:
        answered = self._answered(told.bid_id)
        if answered is None:
            return
        bid, _ = answered
        self._need_wh = max(0, self._need_wh - told.wh)
        if self._purse is not None:
            self._purse -= told.price_e4 * told.wh
        self._quote = None
        outcome = Outcome(True, bid.price_e4, bid.beat_e4, self._value_e4, told.price_e4)
        self.mind = self._strategy.learn(self.mind, outcome, self._draws)

    def _answered(self, bid_id: int) -> tuple[Placed, bool] | None:
        """Return, and forget, the bid that an answer belongs to, and whether it was the latest."""
        bid = self._open
        if bid is not None and bid.bid_id == bid_id:
            self._open = None
            return bid, True
        overtaken = self._overtaken.pop(bid_id, None)
        return None if overtaken is None else (overtaken, False)

    def _decide(self) -> Placed | None:
        quote = self._quote
        if quote is None or quote.own_e4 is not None:
            return None
        want_wh = min(self._need_wh, quote.left_wh)
        if want_wh <= 0:
            return None
        most_e4 = affordable_e4(self._purse, want_wh)
        if min(most_e4, self._value_e4) < quote.beat_e4:
            return None
        floor_e4 = quote.beat_e4 if self._floor_e4 is None else self._floor_e4
        view = LotView(quote.beat_e4, floor_e4, want_wh, self._value_e4, 0, 0, self._lost_e4, self._n)
        decision, self.mind = self._strategy.decide(view, self.mind, 0, self._draws)
        if decision.price_e4 is None:
            return None
        self._count += 1
        self._open = Placed(self._count, min(decision.price_e4, most_e4), want_wh, quote.beat_e4)
        return self._open

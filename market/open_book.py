"""One lot under an open book: the engine and its buyers on a heap of events, in virtual time.

The battery lives in whole ms, as the desk does: what arrives within one ms is one event of bids, and a push goes to
every buyer when the set changes, at most one per 20 ms a buyer. Messages on their way are events on the heap, those of
the same instant in the order heard, bid, push, so that a push shows the end of what happened.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from etp.auction import (
    Award,
    Bid,
    Bids,
    BookChanged,
    Effect,
    Event,
    Lot,
    LotClosed,
    Open,
    Refuse,
    Tick,
    new_auction,
    next_deadline,
    open_energy,
    own_price,
    quote,
    standing,
    stats,
    step,
)
from market.bidder import Bidder, Placed, Quote, Refused, Won
from market.draws import lot_seed, stream
from market.links import GIVE_UP_MS, ways
from market.setting import LOT_MAX_WH, NAMES, PRICE_MAX_E4, Buyer, Outcome, Setting, Sold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aggregator.strategies import Draws, Mind, Strategy

_HEARD, _BID, _PUSH, _GIVE_UP, _OTHER = range(5)
_PUSH_GAP_MS: Final = 20


class OpenBook:
    """One lot, its buyers, and everything on its way between them."""

    def __init__(
        self,
        setting: Setting,
        buyers: Sequence[Buyer],
        strategies: Sequence[Strategy],
        minds: Sequence[Mind],
        *,
        seed: int,
        lot: int,
    ) -> None:
        self._setting = setting
        self._buyers = buyers
        self._auction = new_auction(setting.rule, setting.terms)
        self._names = NAMES[: len(buyers)]
        self._bidders = [
            self.seat(index, buyer, strategy, n=len(buyers), draws=stream(seed, lot, index), mind=mind)
            for index, (buyer, strategy, mind) in enumerate(zip(buyers, strategies, minds, strict=True))
        ]
        both = [ways(setting, buyer, seed=seed, lot=lot, index=index) for index, buyer in enumerate(buyers)]
        self._down = [down for down, _ in both]
        self._up = [up for _, up in both]
        self._pushed_ms = [-_PUSH_GAP_MS] * len(buyers)
        self._to_push = [False] * len(buyers)
        self._heap: list[tuple[float, int, int, int, Any]] = []
        self._sequence = 0
        self._awards: list[Sold] = []
        self._bids = 0
        self._now_ms = 0
        self._closed: LotClosed | None = None
        self._lot = Lot(
            lot_id=lot + 1,
            energy_wh=setting.lot_wh,
            power_w=setting.lot_wh,
            seed=lot_seed(seed, lot),
            terms=setting.terms,
        )

    def play(self) -> Outcome:
        """Return how the lot went."""
        self._step(Open(self._lot))
        heap = self._heap
        while self.goes_on():
            due_ms = next_deadline(self._auction)
            if due_ms is not None and (not heap or due_ms <= heap[0][0]):
                self._now_ms = due_ms
                self._step(Tick())
                continue
            if not heap:
                break
            time_ms, kind, _, buyer, told = heappop(heap)
            if kind == _HEARD:
                self._says(buyer, self._bidders[buyer].hears(told), time_ms)
            elif kind == _GIVE_UP:
                self._says(buyer, self._bidders[buyer].gives_up(told), time_ms)
            else:
                self._now_ms = int(time_ms)
                if kind == _BID:
                    self._take(buyer, told, time_ms)
                elif kind == _PUSH:
                    self._push_round(buyer, time_ms)
                else:
                    told()
        return self._outcome()

    def seat(self, index: int, buyer: Buyer, strategy: Strategy, *, n: int, draws: Draws, mind: Mind) -> Bidder:  # noqa: ARG002 - for those who override it
        """Return how a buyer behaves."""
        return Bidder(buyer, strategy, n=n, draws=draws, mind=mind)

    def at(self, time_ms: float, act: Callable[[], None]) -> None:
        """Do something at a time of the lot."""
        self._later(time_ms, _OTHER, 0, act)

    def sold(self, award: Award) -> None:
        """Note an award, and tell its buyer."""
        buyer = int(award.peer)
        self._awards.append(Sold(buyer, award.energy_wh, award.price_e4, self._now_ms))
        self._tell(buyer, Won(award.bid_id, award.price_e4, award.energy_wh))

    def other(self, effect: Effect) -> None:
        """Take in what an honest lot never says."""

    def goes_on(self) -> bool:
        """Whether anything more can happen."""
        return self._auction.lot is not None

    @property
    def minds(self) -> list[Mind]:
        """What the buyers have learned."""
        return [bidder.mind for bidder in self._bidders]

    def _says(self, buyer: int, placed: Placed | None, now_ms: float) -> None:
        """Send a bid on its way; it is read at the next whole ms."""
        if placed is None:
            return
        arrival_ms = self._up[buyer].arrival_ms(now_ms)
        if arrival_ms is not None:
            self._later(ceil(arrival_ms), _BID, buyer, placed)
        else:
            self._later(now_ms + GIVE_UP_MS, _GIVE_UP, buyer, placed.bid_id)

    def _take(self, buyer: int, placed: Placed, time_ms: float) -> None:
        """Give the engine all bids that arrive in this ms."""
        heap = self._heap
        bids = [Bid(self._names[buyer], placed.bid_id, placed.price_e4, placed.wh)]
        while heap and heap[0][0] == time_ms and heap[0][1] == _BID:
            _, _, _, buyer, placed = heappop(heap)
            bids.append(Bid(self._names[buyer], placed.bid_id, placed.price_e4, placed.wh))
        self._bids += len(bids)
        self._step(Bids(tuple(bids)))

    def _push_round(self, buyer: int, time_ms: float) -> None:
        """Push to all whose push is due in this ms, before any of them can answer."""
        heap, due = self._heap, [buyer]
        while heap and heap[0][0] == time_ms and heap[0][1] == _PUSH:
            due.append(heappop(heap)[3])
        for each in due:
            self._push(each)

    def _push(self, buyer: int) -> None:
        self._to_push[buyer] = False
        self._pushed_ms[buyer] = self._now_ms
        auction, name = self._auction, self._names[buyer]
        beat_e4 = quote(auction, name, self._buyers[buyer].need_wh, self._now_ms)
        own_e4 = own_price(auction, name) or None
        if own_e4 is None and not self._setting.reserve_e4 and any(bid.peer == name for bid in standing(auction)):
            own_e4 = 0
        self._tell(buyer, Quote(open_energy(auction), beat_e4, own_e4))

    def _step(self, event: Event) -> None:
        """Perform what the engine answers."""
        self._auction, effects = step(self._auction, event, self._now_ms)
        for effect in effects:
            kind = type(effect)
            if kind is Refuse:
                self._tell(int(effect.peer), Refused(effect.bid_id, effect.code, effect.beat_e4))  # type: ignore[union-attr]
            elif kind is BookChanged:
                self._announce()
            elif isinstance(effect, Award):
                self.sold(effect)
            elif isinstance(effect, LotClosed):
                self._closed = effect
            else:
                self.other(effect)

    def _announce(self) -> None:
        for buyer, waits in enumerate(self._to_push):
            if not waits:
                self._to_push[buyer] = True
                self._later(max(self._now_ms, self._pushed_ms[buyer] + _PUSH_GAP_MS), _PUSH, buyer, None)

    def _tell(self, buyer: int, told: Quote | Refused | Won) -> None:
        way, now_ms = self._down[buyer], self._now_ms
        arrival_ms = way.sure_arrival_ms(now_ms) if isinstance(told, Won) else way.arrival_ms(now_ms)
        if arrival_ms is not None:
            self._later(arrival_ms, _HEARD, buyer, told)
        elif isinstance(told, Refused):
            self._later(now_ms + GIVE_UP_MS, _GIVE_UP, buyer, told.bid_id)

    def _later(self, time_ms: float, kind: int, buyer: int, told: Any) -> None:
        self._sequence += 1
        heappush(self._heap, (time_ms, kind, self._sequence, buyer, told))

    def _confirmed(self) -> tuple[Sold, ...]:
        """Return the awards that their buyers confirm: two of one buyer may be more than it needs or can pay."""
        need_wh = [buyer.need_wh for buyer in self._buyers]
        purse = [PRICE_MAX_E4 * LOT_MAX_WH if buyer.budget is None else buyer.budget for buyer in self._buyers]
        confirmed: list[Sold] = []
        for sold in self._awards:
            cost = sold.price_e4 * sold.wh
            if sold.wh <= need_wh[sold.buyer] and cost <= purse[sold.buyer]:
                need_wh[sold.buyer] -= sold.wh
                purse[sold.buyer] -= cost
                confirmed.append(sold)
        return tuple(confirmed)

    def _outcome(self) -> Outcome:
        facts = stats(self._auction) or self._closed
        assert facts is not None  # noqa: S101 - a lot is open or closed
        awards = self._confirmed()
        return Outcome(
            awards=awards,
            revenue=sum(sold.price_e4 * sold.wh for sold in awards),
            bids=self._bids,
            improvements=facts.improvements,
            distinct_bidders=facts.distinct_bidders,
            first_acceptable_e4=facts.first_acceptable_e4,
            increment_end_e4=facts.increment_e4,
            ended_ms=self._now_ms,
        )

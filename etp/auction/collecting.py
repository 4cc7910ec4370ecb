"""What the sealed rules and the clock share: limits are collected, then cleared once (ETP section 6, other rules).

Collecting lasts `standing_ms` from the first admissible bid. A peer may raise its limit by an increment for at least
the same quantity. At the end everybody is answered and the lot is over, sold or not; ties go by the bids' draws, so
being quick is worth nothing.
"""

# A rule's interface is wider than what each rule needs.
# ruff: noqa: ARG002

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from etp.auction.book import Book, Entry
from etp.auction.judge import draw, key_pads
from etp.auction.lot import floor_e4, make_entry, outbid, sell_all, with_entries, with_limits
from etp.auction.types import Bid, Effect, Refuse
from etp.auction.worth import best_subset
from etp.messages import ReasonCode
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.lot import OpenLot

_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor
_OUTBID: Final = ReasonCode.OUTBID
_BY_DRAW: Final = attrgetter("draw")
_BY_STEPS: Final = attrgetter("steps")
_BY_VALUE: Final = attrgetter("value")
BY_PRICE: Final = attrgetter("price_e4")


class Collecting:
    """A rule that clears once; a subclass says who wins and what they pay."""

    name = ""
    open_book = False

    def clear(self, lot: OpenLot, entries: list[Entry], now_ms: int) -> tuple[list[Entry], list[int]]:
        """Return the winners and the price that each pays; `entries` are in the order of their draws."""
        raise NotImplementedError

    def beat_e4(self, lot: OpenLot, peer: str, steps: int) -> int:
        """Return what a peer must offer to raise its own limit; of others' limits nothing is told."""
        book = lot.book
        own = book.by_peer.get(peer)
        return 0 if own is None else own.price_e4 + book.increment_e4

    def is_full(self, lot: OpenLot, peer: str, steps: int) -> bool:
        """Whether all places are taken."""
        book = lot.book
        return len(book.entries) >= lot.terms.max_standing and peer not in book.by_peer

    def enter(self, lot: OpenLot, bid: Bid, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Add a limit, in place of the peer's earlier one."""
        entries = lot.book.entries
        due_ms = entries[0].due_ms if entries else now_ms + lot.terms.standing_ms
        own = lot.book.by_peer.get(bid.peer)
        others = tuple([entry for entry in entries if entry is not own])
        place = draw(key_pads(lot.seed), bid.peer, bid.bid_id)
        lot = with_entries(lot, (*others, make_entry(lot, bid, now_ms, due_ms, place)), entered=1)
        if own is None:
            return lot
        beat_e4 = max(self.beat_e4(lot, own.peer, own.steps), floor_e4(lot, now_ms))
        effects.append(Refuse(own.peer, own.bid_id, _OUTBID, beat_e4))
        return outbid(lot, own.peer, own.price_e4)

    def enter_all(self, lot: OpenLot, bids: Sequence[Bid], now_ms: int) -> OpenLot | None:
        """Add the limits of so many peers without one, when there are places for all and none is refused."""
        book, terms = lot.book, lot.terms
        peers = {bid.peer for bid in bids}
        alone = len(peers) == len(bids) and peers.isdisjoint(book.by_peer)
        if not alone or len(book.entries) + len(bids) > terms.max_standing:
            return None
        base_e4, lowest_e4, cap_e4 = book.base_e4, floor_e4(lot, now_ms), terms.price_cap_e4
        least_steps, left_steps = lot.least_steps, lot.left_steps
        due_ms = book.entries[0].due_ms if book.entries else now_ms + terms.standing_ms
        pads = key_pads(lot.seed)
        entries: list[Entry] = []
        for peer, bid_id, price_e4, energy_wh, covered in bids:
            steps = energy_wh // ENERGY_STEP_WH
            if energy_wh % ENERGY_STEP_WH or price_e4 % PRICE_TICK_E4 or not lowest_e4 <= price_e4 <= cap_e4:
                return None
            if not covered or not least_steps <= steps <= left_steps:
                return None
            value, place = steps * (price_e4 - base_e4), draw(pads, peer, bid_id)
            entries.append(_new(Entry, (peer, bid_id, price_e4, steps, value, now_ms, due_ms, place)))
        entries.sort(key=_BY_DRAW)
        return with_limits(lot, entries, peers)

    def settle(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> tuple[OpenLot, str]:
        """Clear the lot when collecting is over."""
        book = lot.book
        if book.due_ms > now_ms:
            return lot, ""
        entries = sorted(book.entries, key=_BY_DRAW)
        winners, prices = self.clear(lot, entries, now_ms)
        best = Book(tuple(winners), lot.left_steps, book.base_e4, book.increment_e4)
        lowest_e4, refused, price_to_beat = floor_e4(lot, now_ms), lot.refused, best.beat_e4
        for entry in entries:
            if entry not in winners:
                peer, bid_id, price_e4, steps, _, _, _, _ = entry
                beat_e4 = price_to_beat(peer, steps)
                if beat_e4 < lowest_e4:  # noqa: PLR1730 - a call to max() would cost more than the comparison
                    beat_e4 = lowest_e4
                effects.append(_new(Refuse, (peer, bid_id, _OUTBID, beat_e4, 0)))
                refused = refused.after(peer, price_e4)
        lot = sell_all(lot, winners, prices, refused, effects)
        return lot, "cleared" if lot.left_steps else "sold"

    def fit(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Drop limits for more than is left, and those whose power the device can no longer deliver."""
        staying = tuple([entry for entry in lot.book.entries if lot.least_steps <= entry.steps <= lot.left_steps])
        gone = [entry for entry in lot.book.entries if entry not in staying]
        if not gone:
            return lot
        lot = with_entries(lot, staying)
        beat_e4 = floor_e4(lot, now_ms)
        effects.extend([Refuse(e.peer, e.bid_id, ReasonCode.NOT_ENOUGH_ENERGY, beat_e4) for e in gone])
        return lot


def best_of(entries: list[Entry], capacity: int) -> list[Entry]:
    """Return the best set within `capacity`, which each of them fits, ties by the order of `entries`."""
    if 2 * min(entries, key=_BY_STEPS).steps > capacity:
        return [max(entries, key=_BY_VALUE)]
    return [entries[index] for index in best_subset([(entry.value, entry.steps) for entry in entries], capacity)]

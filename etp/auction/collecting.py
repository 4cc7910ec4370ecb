"""What the sealed rules and the clock share: limits are collected, then cleared once (ETP section 6, other rules).

Collecting lasts `standing_ms` from the first admissible bid. A peer may raise its limit by an increment for at least
the same quantity. At the end everybody is answered and the lot is over, sold or not; ties go by the bids' draws, so
being quick is worth nothing.
"""

# A rule's interface is wider than what each rule needs.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.auction.book import Book, Entry
from etp.auction.judge import draw
from etp.auction.lot import floor_e4, make_entry, outbid, sell, with_entries
from etp.auction.types import Bid, Effect, Refuse
from etp.auction.worth import best_subset
from etp.messages import ReasonCode

if TYPE_CHECKING:
    from etp.auction.lot import OpenLot


class Collecting:
    """A rule that clears once; a subclass says who wins and what they pay."""

    name = ""
    open_book = False

    def clear(self, lot: OpenLot, entries: list[Entry], now_ms: int) -> list[tuple[Entry, int]]:
        """Return the winners and the price that each pays; `entries` are in the order of their draws."""
        raise NotImplementedError

    def beat_e4(self, lot: OpenLot, peer: str, steps: int) -> int:
        """Return what a peer must offer to raise its own limit; of others' limits nothing is told."""
        own = lot.book.by_peer.get(peer)
        return 0 if own is None else own.price_e4 + lot.increment_e4

    def is_full(self, lot: OpenLot, peer: str, steps: int) -> bool:
        """Whether all places are taken."""
        return len(lot.book.entries) >= lot.terms.max_standing and peer not in lot.book.by_peer

    def enter(self, lot: OpenLot, bid: Bid, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Add a limit, in place of the peer's earlier one."""
        entries = lot.book.entries
        due_ms = entries[0].due_ms if entries else now_ms + lot.terms.standing_ms
        own = lot.book.by_peer.get(bid.peer)
        others = tuple([entry for entry in entries if entry is not own])
        lot = with_entries(lot, (*others, make_entry(lot, bid, now_ms, due_ms)), entered=1)
        if own is None:
            return lot
        beat_e4 = max(self.beat_e4(lot, own.peer, own.steps), floor_e4(lot, now_ms))
        effects.append(Refuse(own.peer, own.bid_id, ReasonCode.OUTBID, beat_e4))
        return outbid(lot, own.peer, own.price_e4)

    def settle(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> tuple[OpenLot, str]:
        """Clear the lot when collecting is over."""
        if lot.book.due_ms > now_ms:
            return lot, ""
        entries = sorted(lot.book.entries, key=lambda entry: draw(lot.seed, entry.peer, entry.bid_id))
        winners = self.clear(lot, entries, now_ms)
        won = tuple([entry for entry, _ in winners])
        lowest_e4 = floor_e4(lot, now_ms)
        book = Book(won, left=lot.left_steps, base_e4=lot.terms.base_e4, increment_e4=lot.increment_e4)
        for entry in entries:
            if entry not in won:
                beat_e4 = max(book.beat_e4(entry.peer, entry.steps), lowest_e4)
                effects.append(Refuse(entry.peer, entry.bid_id, ReasonCode.OUTBID, beat_e4))
                lot = outbid(lot, entry.peer, entry.price_e4)
        for entry, price_e4 in winners:
            lot, award = sell(lot, entry, price_e4)
            effects.append(award)
        lot = with_entries(lot, ())
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
    """Return the best set within `capacity`, ties by the order of `entries`."""
    return [entries[index] for index in best_subset([entry.item for entry in entries], capacity)]

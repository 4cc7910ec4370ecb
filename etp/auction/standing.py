"""The default rule: a bid that stands unbeaten for the standing time wins at its own price (ETP section 6, rules 3-5).

The standing set always fits the lot. A bid enters where there is room, or where it is worth more than what it pushes
out by an increment; what it pushes out is refused at once, and the others keep their clocks.
"""

# A rule's interface is wider than what each rule needs.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etp.auction.lot import floor_e4, make_entry, outbid, sell, with_entries
from etp.auction.types import Bid, Effect, Refuse
from etp.auction.worth import best_subset
from etp.messages import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.book import Entry
    from etp.auction.lot import OpenLot

_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor
_OUTBID: Final = ReasonCode.OUTBID


class StandingBid:
    """Rule "standing_bid"."""

    name = "standing_bid"
    open_book = True

    def beat_e4(self, lot: OpenLot, peer: str, steps: int) -> int:
        """Return the price to beat by rule 3, or by rule 4 for a peer with a standing bid."""
        return lot.book.beat_e4(peer, steps)

    def is_full(self, lot: OpenLot, peer: str, steps: int) -> bool:
        """Whether the bid needs a new place and all are taken; a bid that pushes another out does not."""
        book = lot.book
        return len(book.entries) >= lot.terms.max_standing and steps <= book.free and peer not in book.by_peer

    def enter(self, lot: OpenLot, bid: Bid, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Put the bid in; of the others the best subset that fits beside it stays, ties keep the older."""
        entry = make_entry(lot, bid, now_ms, now_ms + lot.terms.standing_ms)
        book = lot.book
        own = book.by_peer.get(entry.peer)
        if own is None and entry.steps <= book.free:
            return with_entries(lot, (*book.entries, entry), entered=1)
        others = [other for other in book.entries if other is not own]
        kept = best_subset([other.item for other in others], lot.left_steps - entry.steps)
        staying = [others[index] for index in kept]
        gone = [other for index, other in enumerate(others) if index not in kept]
        lot = with_entries(lot, (*staying, entry), entered=1, improved_steps=entry.steps)
        return _refuse_all(lot, gone if own is None else [own, *gone], _OUTBID, now_ms, effects)

    def enter_all(self, lot: OpenLot, bids: Sequence[Bid], now_ms: int) -> OpenLot | None:
        """Return None: a bid that enters changes what the next must beat."""
        return None

    def settle(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> tuple[OpenLot, str]:
        """Award every bid whose time is up, the oldest first, each at its own price."""
        while lot.book.due_ms <= now_ms:
            entry = lot.book.entries[0]
            lot, award = sell(lot, entry, entry.price_e4)
            effects.append(award)
        return lot, ""

    def fit(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Keep the best subset within what is left, among bids whose power the device can still deliver."""
        entries = [entry for entry in lot.book.entries if entry.steps >= lot.least_steps]
        kept = best_subset([entry.item for entry in entries], lot.left_steps)
        staying = tuple([entries[index] for index in kept])
        if len(staying) == len(lot.book.entries):
            return lot
        gone = [entry for entry in lot.book.entries if entry not in staying]
        lot = with_entries(lot, staying)
        return _refuse_all(lot, gone, ReasonCode.NOT_ENOUGH_ENERGY, now_ms, effects)


def _refuse_all(lot: OpenLot, gone: list[Entry], code: int, now_ms: int, effects: list[Effect]) -> OpenLot:
    """Refuse bids that dropped out, each with the price to beat for its quantity in the set as it is now."""
    lowest_e4, left_steps, price_to_beat = floor_e4(lot, now_ms), lot.left_steps, lot.book.beat_e4
    for entry in gone:
        peer, bid_id, price_e4, steps = entry[:4]
        steps = min(steps, left_steps)
        beat_e4 = max(lowest_e4, price_to_beat(peer, steps)) if steps else lowest_e4
        effects.append(_new(Refuse, (peer, bid_id, code, beat_e4, 0)))
        if code == _OUTBID:
            lot = outbid(lot, peer, price_e4)
    return lot

"""One open lot: what is left of it, who stands in it, and the facts that later lots and records need of it.

Every rule shares this state and the transitions here; a rule only decides what enters, when, and who wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auction.book import Book, Entry
from etp.auction.types import Award, Bid, Lot, LotClosed, Shield, Terms
from etp.units import ENERGY_STEP_WH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.types import Effect

SHOWN: Final = 8
"""So many of an open lot's first fields are what peers are told of it, bids apart."""
_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor
_SIZE, _KNOWN, _SET, _COUNTED, _REFUSED = 5, 9, 11, 13, 16  # where what changes together begins in an OpenLot

BIDDERS_MAX = 1_024
"""Distinct peers remembered per lot; unsigned peers can make new names for ever, so the count stops here."""


class Refused(NamedTuple):
    """The highest price refused with code 4 in a lot, and the highest one of any other peer."""

    price_e4: int = 0
    peer: str = ""
    second_e4: int = 0

    def after(self, peer: str, price_e4: int) -> Refused:
        """Return what is known after one more refusal; the same object when it teaches nothing."""
        highest_e4, highest_peer, second_e4 = self
        if price_e4 <= second_e4 or (price_e4 <= highest_e4 and peer == highest_peer):
            return self
        if peer == highest_peer:
            return _new(Refused, (price_e4, peer, second_e4))
        if price_e4 > highest_e4:
            return _new(Refused, (price_e4, peer, highest_e4))
        return _new(Refused, (highest_e4, highest_peer, price_e4))

    def other_than(self, peer: str) -> int:
        """Return the highest price refused to anybody but `peer`, 0 if none was."""
        return self.second_e4 if peer == self.peer else self.price_e4


_NONE_REFUSED: Final = Refused()


class OpenLot(NamedTuple):
    """A lot from Open to LotClosed; `due_ms` is when something happens to it without any event.

    What changes together stands together, so that a changed lot is made of slices of the old one.
    """

    lot_id: int
    seed: bytes
    terms: Terms
    opening_steps: int
    shields: tuple[Shield, ...]
    left_steps: int
    power_w: int
    least_steps: int
    sold_steps: int
    bidders: frozenset[str]
    first_acceptable_e4: int | None
    book: Book
    due_ms: int
    improvements: int
    """Entries that displaced or raised a bid."""
    improved_steps: int
    entered: int
    refused: Refused

    @property
    def increment_e4(self) -> int:
        """The increment in force: the configured one, doubled as improvements add up."""
        return self.book.increment_e4


def open_lot(lot: Lot, shields: tuple[Shield, ...]) -> OpenLot:
    """Return the lot as it opens."""
    terms, power_w = lot.terms, lot.power_w
    steps = lot.energy_wh // ENERGY_STEP_WH
    book = Book((), steps, terms.base_e4, terms.increment_e4)
    size = steps, power_w, _least_steps(steps, power_w, terms.min_power_w), 0
    given = lot.lot_id, lot.seed, terms, steps, shields
    return _new(OpenLot, (*given, *size, frozenset(), None, book, _due_ms(book, shields), 0, 0, 0, _NONE_REFUSED))


def resized(lot: OpenLot, entries: tuple[Entry, ...], left_steps: int, power_w: int, *, more_sold: int = 0) -> OpenLot:
    """Return the lot with other bids, quantity and power, and all that follows from them."""
    increment_e4 = _increment_e4(lot.terms, lot.opening_steps, lot.improved_steps)
    book = Book(entries, left_steps, lot.terms.base_e4, increment_e4)
    least_steps = _least_steps(left_steps, power_w, lot.terms.min_power_w)
    size = left_steps, power_w, least_steps, lot.sold_steps + more_sold
    return _new(OpenLot, (*lot[:_SIZE], *size, *lot[_KNOWN:_SET], book, _due_ms(book, lot.shields), *lot[_COUNTED:]))


def with_entries(lot: OpenLot, entries: tuple[Entry, ...], *, entered: int = 0, improved_steps: int = 0) -> OpenLot:
    """Return the lot with other bids in the set; quantity and power stay."""
    book, improvements, all_improved_steps = lot.book, lot.improvements, lot.improved_steps
    increment_e4 = book.increment_e4
    if improved_steps:
        improvements += 1
        all_improved_steps += improved_steps
        increment_e4 = _increment_e4(lot.terms, lot.opening_steps, all_improved_steps)
    book = Book(entries, book.left, book.base_e4, increment_e4)
    counted = improvements, all_improved_steps, lot.entered + entered, lot.refused
    return _new(OpenLot, (*lot[:_SET], book, _due_ms(book, lot.shields), *counted))


def with_limits(lot: OpenLot, entries: Sequence[Entry], peers: set[str]) -> OpenLot:
    """Return the lot with more bids in the set, of `peers` that have none in it, and what they tell noted."""
    book, bidders, first_e4 = lot.book, lot.bidders, lot.first_acceptable_e4
    if len(bidders) + len(peers) > BIDDERS_MAX:
        unknown = [entry.peer for entry in entries if entry.peer not in bidders]
        peers = set(unknown[: BIDDERS_MAX - len(bidders)])
    known = bidders | peers, entries[0].price_e4 if first_e4 is None else first_e4
    book = Book((*book.entries, *entries), book.left, book.base_e4, book.increment_e4)
    counted = lot.improvements, lot.improved_steps, lot.entered + len(entries), lot.refused
    return _new(OpenLot, (*lot[:_KNOWN], *known, book, _due_ms(book, lot.shields), *counted))


def with_terms(lot: OpenLot, terms: Terms) -> OpenLot:
    """Return an empty lot under other terms."""
    return resized(lot._replace(terms=terms), lot.book.entries, lot.left_steps, lot.power_w)


def with_shields(lot: OpenLot, shields: tuple[Shield, ...]) -> OpenLot:
    """Return the lot under other shields."""
    return lot._replace(shields=shields, due_ms=_due_ms(lot.book, shields))


def add_shield(shields: tuple[Shield, ...], new: Shield) -> tuple[Shield, ...]:
    """Return `shields` and one more, highest first, without those that another outlasts at no lower price."""
    if any(old.price_e4 >= new.price_e4 and old.until_ms >= new.until_ms for old in shields):
        return shields
    outlasting = [old for old in shields if old.price_e4 > new.price_e4 or old.until_ms > new.until_ms]
    return tuple(sorted([*outlasting, new], reverse=True))


def live_shields(shields: tuple[Shield, ...], now_ms: int) -> tuple[Shield, ...]:
    """Return the shields still in force; the same object when all are."""
    if not shields or all(now_ms < shield.until_ms for shield in shields):
        return shields
    return tuple(shield for shield in shields if now_ms < shield.until_ms)


def floor_e4(lot: OpenLot, now_ms: int) -> int:
    """Return the lowest price that anybody may bid: the reserve, or the shield while it is up."""
    for price_e4, until_ms in lot.shields:
        if now_ms < until_ms:
            return max(price_e4, lot.terms.reserve_e4)
    return lot.terms.reserve_e4


def noted(lot: OpenLot, bid: Bid) -> OpenLot:
    """Return the lot knowing an admissible bid's peer and price; the same object when it teaches nothing."""
    if bid.peer in lot.bidders or len(lot.bidders) >= BIDDERS_MAX:
        return lot
    first_e4 = bid.price_e4 if lot.first_acceptable_e4 is None else lot.first_acceptable_e4
    return _new(OpenLot, (*lot[:_KNOWN], lot.bidders | {bid.peer}, first_e4, *lot[_SET:]))


def outbid(lot: OpenLot, peer: str, price_e4: int) -> OpenLot:
    """Return the lot knowing a price refused with code 4; the same object when it teaches nothing."""
    refused = lot.refused.after(peer, price_e4)
    return lot if refused is lot.refused else _new(OpenLot, (*lot[:_REFUSED], refused))


def make_entry(lot: OpenLot, bid: Bid, now_ms: int, due_ms: int, draw: bytes = b"") -> Entry:
    """Return a bid as a member of the set."""
    peer, bid_id, price_e4, energy_wh, _ = bid
    steps = energy_wh // ENERGY_STEP_WH
    value = steps * (price_e4 - lot.book.base_e4)
    return _new(Entry, (peer, bid_id, price_e4, steps, value, now_ms, due_ms, draw))


def sell(lot: OpenLot, entry: Entry, price_e4: int) -> tuple[OpenLot, Award]:
    """Take a bid out of the set, and its quantity and power out of the lot."""
    award = make_award(lot, entry, price_e4, lot.left_steps, lot.power_w)
    entries = tuple([other for other in lot.book.entries if other is not entry])
    left_steps, power_w = lot.left_steps - entry.steps, lot.power_w - award.power_w
    return resized(lot, entries, left_steps, power_w, more_sold=entry.steps), award


def sell_all(
    lot: OpenLot, winners: Sequence[Entry], prices: Sequence[int], refused: Refused, effects: list[Effect]
) -> OpenLot:
    """Sell to all who win, each at its price, from a lot that closes with it: its set is no longer kept in order."""
    left_steps, power_w = lot.left_steps, lot.power_w
    for index, entry in enumerate(winners):
        award = make_award(lot, entry, prices[index], left_steps, power_w)
        effects.append(award)
        left_steps -= entry.steps
        power_w -= award.power_w
    size = left_steps, power_w, lot.least_steps, lot.sold_steps + lot.left_steps - left_steps
    return _new(OpenLot, (*lot[:_SIZE], *size, *lot[_KNOWN:_REFUSED], refused))


def make_award(lot: OpenLot, entry: Entry, price_e4: int, left_steps: int, power_w: int) -> Award:
    """Return the award of a bid; with its quantity goes the share of the power that is left, rounded down."""
    reserve_e4, first_e4, steps = lot.terms.reserve_e4, lot.first_acceptable_e4, entry.steps
    got = price_e4, steps * ENERGY_STEP_WH, power_w * steps // left_steps
    known = len(lot.bidders), reserve_e4 if first_e4 is None else first_e4, reserve_e4, lot.book.increment_e4
    return _new(Award, (entry.peer, entry.bid_id, *got, lot.lot_id, *known))


def is_over(lot: OpenLot) -> bool:
    """Whether nobody can buy what is left: less than 0.1 kWh, or less power than the device can deliver."""
    return lot.left_steps < 1 or lot.least_steps > lot.left_steps


def closed(lot: OpenLot, reason: str) -> LotClosed:
    """Return what is to be said about a lot at its end."""
    sold_wh, unsold_wh = lot.sold_steps * ENERGY_STEP_WH, lot.left_steps * ENERGY_STEP_WH
    facts = lot.entered, len(lot.bidders), lot.first_acceptable_e4, lot.book.increment_e4
    return _new(LotClosed, (lot.lot_id, reason, sold_wh, unsold_wh, *facts, lot.improvements))


def _increment_e4(terms: Terms, opening_steps: int, improved_steps: int) -> int:
    """Return the increment in force: it doubles whenever so many lots' worth of improvements have been made."""
    if not terms.doubling:
        return terms.increment_e4
    return terms.increment_e4 << improved_steps // (terms.doubling * opening_steps)


def _due_ms(book: Book, shields: tuple[Shield, ...]) -> int:
    return min([book.due_ms, *[shield.until_ms for shield in shields]]) if shields else book.due_ms


def _least_steps(left_steps: int, power_w: int, min_power_w: int) -> int:
    """Return the smallest quantity whose share of the power the device can deliver."""
    if power_w <= 0:
        return left_steps + 1
    return max(1, -(-max(1, min_power_w) * left_steps // power_w))

"""One open lot: what is left of it, who stands in it, and the facts that later lots and records need of it.

Every rule shares this state and the transitions here; a rule only decides what enters, when, and who wins.
"""

from __future__ import annotations

from typing import NamedTuple

from etp.auction.book import Book, Entry
from etp.auction.types import NEVER_MS, Award, Bid, Lot, LotClosed, Shield, Terms
from etp.units import ENERGY_STEP_WH

BIDDERS_MAX = 1_024
"""Distinct peers remembered per lot; unsigned peers can make new names for ever, so the count stops here."""


class Refused(NamedTuple):
    """The highest price refused with code 4 in a lot, and the highest one of any other peer."""

    price_e4: int = 0
    peer: str = ""
    second_e4: int = 0

    def after(self, peer: str, price_e4: int) -> Refused:
        """Return what is known after one more refusal; the same object when it teaches nothing."""
        if peer == self.peer:
            return self._replace(price_e4=price_e4) if price_e4 > self.price_e4 else self
        if price_e4 > self.price_e4:
            return Refused(price_e4, peer, self.price_e4)
        return self._replace(second_e4=price_e4) if price_e4 > self.second_e4 else self

    def other_than(self, peer: str) -> int:
        """Return the highest price refused to anybody but `peer`, 0 if none was."""
        return self.second_e4 if peer == self.peer else self.price_e4


class OpenLot(NamedTuple):
    """A lot from Open to LotClosed; `due_ms` is when something happens to it without any event."""

    lot_id: int
    seed: bytes
    terms: Terms
    opening_steps: int
    left_steps: int
    power_w: int
    least_steps: int
    book: Book
    shields: tuple[Shield, ...]
    due_ms: int
    improved_steps: int = 0
    refused: Refused = Refused()
    bidders: frozenset[str] = frozenset()
    first_acceptable_e4: int | None = None
    entered: int = 0
    sold_steps: int = 0
    improvements: int = 0
    """Entries that displaced or raised a bid."""

    @property
    def increment_e4(self) -> int:
        """The increment in force: the configured one, doubled as improvements add up."""
        return self.book.increment_e4


def open_lot(lot: Lot, shields: tuple[Shield, ...]) -> OpenLot:
    """Return the lot as it opens."""
    steps = lot.energy_wh // ENERGY_STEP_WH
    empty = OpenLot(lot.lot_id, lot.seed, lot.terms, steps, steps, lot.power_w, 1, _NO_BOOK, shields, NEVER_MS)
    return resized(empty, (), steps, lot.power_w)


def resized(lot: OpenLot, entries: tuple[Entry, ...], left_steps: int, power_w: int) -> OpenLot:
    """Return the lot with other bids, quantity and power, and all that follows from them."""
    book = _book(lot, entries, left_steps, lot.improved_steps)
    return lot._replace(
        left_steps=left_steps,
        power_w=power_w,
        least_steps=_least_steps(left_steps, power_w, lot.terms.min_power_w),
        book=book,
        due_ms=_due_ms(book, lot.shields),
    )


def with_entries(lot: OpenLot, entries: tuple[Entry, ...], *, entered: int = 0, improved_steps: int = 0) -> OpenLot:
    """Return the lot with other bids in the set; quantity and power stay."""
    all_improved_steps = lot.improved_steps + improved_steps
    book = _book(lot, entries, lot.left_steps, all_improved_steps)
    return lot._replace(
        book=book,
        due_ms=_due_ms(book, lot.shields),
        improved_steps=all_improved_steps,
        entered=lot.entered + entered,
        improvements=lot.improvements + (improved_steps > 0),
    )


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
    if all(now_ms < shield.until_ms for shield in shields):
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
    return lot._replace(bidders=lot.bidders | {bid.peer}, first_acceptable_e4=first_e4)


def outbid(lot: OpenLot, peer: str, price_e4: int) -> OpenLot:
    """Return the lot knowing a price refused with code 4; the same object when it teaches nothing."""
    refused = lot.refused.after(peer, price_e4)
    return lot if refused is lot.refused else lot._replace(refused=refused)


def make_entry(lot: OpenLot, bid: Bid, now_ms: int, due_ms: int) -> Entry:
    """Return a bid as a member of the set."""
    steps = bid.energy_wh // ENERGY_STEP_WH
    value = steps * (bid.price_e4 - lot.terms.base_e4)
    return Entry(bid.peer, bid.bid_id, bid.price_e4, steps, value, now_ms, due_ms)


def granted_w(lot: OpenLot, steps: int) -> int:
    """Return the power that goes with `steps`: its share of the lot's power, rounded down."""
    return lot.power_w * steps // lot.left_steps


def sell(lot: OpenLot, entry: Entry, price_e4: int) -> tuple[OpenLot, Award]:
    """Take a bid out of the set, and its quantity and power out of the lot."""
    power_w = granted_w(lot, entry.steps)
    award = Award(
        entry.peer,
        entry.bid_id,
        price_e4,
        entry.steps * ENERGY_STEP_WH,
        power_w,
        lot.lot_id,
        len(lot.bidders),
        lot.terms.reserve_e4 if lot.first_acceptable_e4 is None else lot.first_acceptable_e4,
        lot.terms.reserve_e4,
        lot.increment_e4,
    )
    entries = tuple([other for other in lot.book.entries if other is not entry])
    after = resized(lot, entries, lot.left_steps - entry.steps, lot.power_w - power_w)
    return after._replace(sold_steps=lot.sold_steps + entry.steps), award


def is_over(lot: OpenLot) -> bool:
    """Whether nobody can buy what is left: less than 0.1 kWh, or less power than the device can deliver."""
    return lot.left_steps < 1 or lot.least_steps > lot.left_steps


def closed(lot: OpenLot, reason: str) -> LotClosed:
    """Return what is to be said about a lot at its end."""
    return LotClosed(
        lot_id=lot.lot_id,
        reason=reason,
        sold_wh=lot.sold_steps * ENERGY_STEP_WH,
        unsold_wh=lot.left_steps * ENERGY_STEP_WH,
        entered=lot.entered,
        distinct_bidders=len(lot.bidders),
        first_acceptable_e4=lot.first_acceptable_e4,
        increment_e4=lot.increment_e4,
        improvements=lot.improvements,
    )


def _book(lot: OpenLot, entries: tuple[Entry, ...], left_steps: int, improved_steps: int) -> Book:
    terms = lot.terms
    increment_e4 = terms.increment_e4
    if terms.doubling:
        increment_e4 <<= improved_steps // (terms.doubling * lot.opening_steps)
    return Book(entries, left=left_steps, base_e4=terms.base_e4, increment_e4=increment_e4)


def _due_ms(book: Book, shields: tuple[Shield, ...]) -> int:
    return min([book.due_ms, *[shield.until_ms for shield in shields]]) if shields else book.due_ms


def _least_steps(left_steps: int, power_w: int, min_power_w: int) -> int:
    """Return the smallest quantity whose share of the power the device can deliver."""
    if power_w <= 0:
        return left_steps + 1
    return max(1, -(-max(1, min_power_w) * left_steps // power_w))


_NO_BOOK = Book((), left=0, base_e4=0, increment_e4=0)

"""A changed lot differs from the old one in what the change is about, and in nothing else."""

from __future__ import annotations

import pytest

from etp.auction import Award, Bid, Effect, Lot, Shield, Terms
from etp.auction.lot import (
    OpenLot,
    make_entry,
    noted,
    open_lot,
    outbid,
    resized,
    sell,
    sell_all,
    with_entries,
    with_limits,
    with_shields,
    with_terms,
)

TERMS = Terms(reserve_e4=100_000, min_power_w=150)
SHIELDS = (Shield(150_000, 900),)
A, B, C = (Bid(peer, number, 120_000 + 1_000 * number, 1_000) for number, peer in enumerate("abc"))


@pytest.fixture
def lot() -> OpenLot:
    """Every field of it differs from every other of the same kind, and from what a fresh lot has."""
    lot = open_lot(Lot(lot_id=7, energy_wh=5_000, power_w=3_000, seed=b"s", terms=TERMS), SHIELDS)
    lot = with_entries(noted(lot, A), (make_entry(lot, A, 10, 410),), entered=1, improved_steps=4)
    lot = with_entries(noted(lot, B), (*lot.book.entries, make_entry(lot, B, 20, 420)), entered=1)
    lot, _ = sell(outbid(lot, "z", 111_000), lot.book.entries[0], 120_000)
    return lot


def changed(before: OpenLot, after: OpenLot) -> set[str]:
    return {name for name in OpenLot._fields if getattr(before, name) != getattr(after, name)}


def test_what_a_lot_is_after_all_that(lot: OpenLot) -> None:
    assert (lot.lot_id, lot.seed, lot.terms, lot.opening_steps, lot.shields) == (7, b"s", TERMS, 50, SHIELDS)
    assert (lot.left_steps, lot.power_w, lot.least_steps, lot.sold_steps) == (40, 2_400, 3, 10)
    assert (lot.bidders, lot.first_acceptable_e4) == (frozenset({"a", "b"}), 120_000)
    assert ([entry.peer for entry in lot.book.entries], lot.book.left, lot.due_ms) == (["b"], 40, 420)
    assert (lot.improvements, lot.improved_steps, lot.entered) == (1, 4, 2)
    assert lot.refused == (111_000, "z", 0)


def test_bids(lot: OpenLot) -> None:
    entry = make_entry(lot, C, 5, 405)
    assert changed(lot, with_entries(lot, (entry,))) == {"book", "due_ms"}
    assert changed(lot, with_entries(lot, (entry,), entered=1)) == {"book", "due_ms", "entered"}
    counted = {"improvements", "improved_steps", "entered"}
    assert changed(lot, with_entries(lot, (entry,), entered=1, improved_steps=10)) == {"book", "due_ms"} | counted
    after = with_limits(lot, [entry], {"c"})
    assert changed(lot, after) == {"book", "due_ms", "bidders", "entered"}
    assert [entry.peer for entry in after.book.entries] == ["b", "c"]


def test_size_terms_and_shields(lot: OpenLot) -> None:
    assert changed(lot, resized(lot, lot.book.entries, 20, 500)) == {"left_steps", "power_w", "least_steps", "book"}
    after = resized(lot, lot.book.entries, 40, 2_400, more_sold=-3)
    assert (changed(lot, after), after.sold_steps) == ({"sold_steps", "book"}, 7)
    assert changed(lot, with_terms(lot, Terms(reserve_e4=100_000, min_power_w=151))) == {"terms", "book"}
    assert changed(lot, with_shields(lot, (Shield(150_000, 300),))) == {"shields", "due_ms"}


def test_what_is_known(lot: OpenLot) -> None:
    assert changed(lot, noted(lot, C)) == {"bidders"}
    assert changed(lot, outbid(lot, "c", 112_000)) == {"refused"}
    assert noted(lot, A) is lot
    assert outbid(lot, "z", 111_000) is lot


def test_sales(lot: OpenLot) -> None:
    (entry,) = lot.book.entries
    size = {"left_steps", "power_w", "sold_steps"}
    after, award = sell(lot, entry, 110_000)
    assert changed(lot, after) == size | {"book", "due_ms"}
    assert award == Award("b", 1, 110_000, 1_000, 600, 7, 2, 120_000, 100_000, 1_000)
    effects: list[Effect] = []
    after = sell_all(lot, [entry], [110_000], outbid(lot, "c", 112_000).refused, effects)
    assert (changed(lot, after), effects) == (size | {"refused"}, [award])
    assert (after.left_steps, after.power_w, after.sold_steps) == (30, 1_800, 20)

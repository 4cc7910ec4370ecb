"""What quotes say about a lot that has neither number nor reserve on the wire."""

from __future__ import annotations

from aggregator.quotes import HOLDS_MS, Offer, QuoteBook


def offer(beat_e4: int, *, lot_wh: int = 5_000, own_e4: int = 0) -> Offer:
    return Offer(lot_wh, 5_000, beat_e4, own_e4)


def test_the_first_price_of_a_lot_is_taken_for_the_reserve() -> None:
    book = QuoteBook()
    assert book.quoted(offer(50_000), 0)
    assert not book.quoted(offer(52_000), 10)
    assert (book.floor_e4, book.offer) == (50_000, offer(52_000))
    assert not book.quoted(offer(51_000), 20)
    assert book.floor_e4 == 50_000


def test_a_larger_lot_or_one_after_none_is_new() -> None:
    book = QuoteBook()
    book.quoted(offer(50_000), 0)
    book.outbid(50_000, 51_000, 5)
    assert book.lost_e4 == 50_000
    assert book.quoted(offer(60_000, lot_wh=6_000), 10)
    assert (book.floor_e4, book.lost_e4) == (60_000, 0)
    book.gone()
    assert book.quoted(offer(70_000, lot_wh=100), 20)
    assert book.floor_e4 == 70_000


def test_a_price_that_falls_back_to_the_reserve_is_a_new_lot() -> None:
    book = QuoteBook()
    book.quoted(offer(50_000), 0)
    book.quoted(offer(90_000), 10)
    assert book.quoted(offer(50_000), 20)
    book.quoted(offer(90_000), 30)
    assert not book.quoted(offer(50_000, own_e4=90_000), 40)


def test_the_rest_of_a_lot_we_bought_from_is_not_new_but_its_price_is_unknown() -> None:
    book = QuoteBook()
    book.quoted(offer(50_000), 0)
    book.quoted(offer(80_000), 0)
    book.bought(2_000)
    assert book.offer is None
    assert not book.quoted(offer(70_000, lot_wh=3_000), 10)
    assert book.floor_e4 == 50_000
    book.bought(3_000)
    assert book.quoted(offer(70_000, lot_wh=100), 20)
    book.gone()
    book.bought(100)
    assert book.offer is None


def test_a_quote_is_for_the_quantity_asked_or_for_the_whole_lot() -> None:
    book = QuoteBook()
    assert not book.is_for(5_000)
    book.quoted(offer(50_000), 0)
    assert book.is_for(5_000)
    assert not book.is_for(2_000)
    book.asked(2_000)
    assert book.is_for(2_000)
    assert not book.is_for(5_000)
    book.asked(9_000)
    assert book.is_for(5_000)
    book.quoted(offer(50_000, lot_wh=1_500), 0)
    book.asked(2_000)
    assert book.is_for(2_000)


def test_a_refusal_names_the_price_to_beat_and_it_is_above_what_was_refused() -> None:
    book = QuoteBook()
    book.quoted(offer(50_000, own_e4=50_000), 0)
    book.outbid(50_000, 53_000, 1)
    assert book.offer == offer(53_000)
    book.outbid(53_000, 40_000, 2)
    assert book.offer == offer(53_100)
    book.gone()
    book.outbid(60_000, 70_000, 3)
    assert book.offer is None


def test_a_refusal_below_the_reserve_moves_the_reserve() -> None:
    book = QuoteBook()
    book.below_reserve(60_000, 0)
    assert not book.is_for(5_000)
    book.quoted(offer(50_000), 0)
    book.below_reserve(60_000, 1)
    assert (book.floor_e4, book.offer) == (60_000, offer(60_000))


def test_a_price_that_holds_longer_than_any_bid_is_the_reserve() -> None:
    book = QuoteBook()
    assert book.settles_at_ms() is None
    book.quoted(offer(50_000), 0)
    assert book.settles_at_ms() is None
    book.outbid(50_000, 60_000, 100)
    assert book.settles_at_ms() == 100 + HOLDS_MS
    book.quoted(offer(60_000), 2_000)
    assert not book.settle(99 + HOLDS_MS)
    assert book.settle(100 + HOLDS_MS)
    assert (book.floor_e4, book.lost_e4, book.settles_at_ms()) == (60_000, 0, None)
    assert not book.settle(10 * HOLDS_MS)
    book.quoted(offer(90_000, own_e4=80_000), 0)
    assert book.settles_at_ms() is None
    assert not book.settle(100 * HOLDS_MS)

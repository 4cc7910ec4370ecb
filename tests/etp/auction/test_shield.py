from __future__ import annotations

from etp.auction import (
    BookChanged,
    Lot,
    Open,
    PeerGone,
    Refuse,
    Returned,
    Shield,
    Terms,
    Unconfirmed,
    Voided,
    Withdraw,
    next_deadline,
    open_energy,
    own_price,
    quote,
    stats,
    step,
)
from etp.auction.testing import Bench

RESERVE = 100_000
TERMS = Terms(reserve_e4=RESERVE)


def opened(energy_wh: int = 5_000, power_w: int = 5_000, terms: Terms = TERMS) -> Bench:
    bench = Bench(terms=terms)
    bench.open(energy_wh, power_w)
    return bench


def test_the_price_stays_at_the_highest_bid_another_was_refused() -> None:
    bench = opened(2_000)
    bench.bid("a", 130_000, 2_000)
    bench.bid("b", 140_000, 2_000)
    bench.bid("a", 140_500, 2_000)
    bench.bid("b", 160_000, 2_000)
    bench.bid("a", 150_000, 2_000)
    bench.until(400)
    (returned,) = bench.send(Voided("b", 4, blame=True), at_ms=1_400)
    assert returned == Returned(lot_id=1, energy_wh=2_000, power_w=5_000, shield=Shield(150_000, 3_400))
    bench.open(2_000)
    assert quote(bench.auction, "b", 0, 1_400) == 150_000
    assert bench.bid("b", 149_900, 2_000) == (Refuse("b", 6, 4, 150_000),)
    assert bench.bid("b", 99_900, 2_000) == (Refuse("b", 7, 1, 150_000),)
    assert next_deadline(bench.auction) == 3_400
    assert bench.until(3_400) == (BookChanged(),)
    assert quote(bench.auction, "b", 0, 3_400) == RESERVE


def test_it_is_the_reserve_of_the_same_lot_despite_the_freeze() -> None:
    bench = opened()
    bench.bid("a", 130_000, 3_000)
    bench.bid("b", 150_000, 4_000)
    bench.until(400)
    assert bench.send(Voided("b", 2, blame=True), at_ms=1_000) == (BookChanged(),)
    assert quote(bench.auction, "c", 5_000, 1_000) == 130_000
    assert bench.bid("c", 130_000, 5_000) == (BookChanged(),)
    assert quote(bench.auction, "d", 5_000, 1_000) == 131_000


def test_nobody_refused_means_no_shield() -> None:
    bench = opened()
    bench.bid("a", 130_000, 3_000)
    bench.until(400)
    bench.send(Voided("a", 1, blame=True))
    assert quote(bench.auction, "c", 0, 400) == RESERVE


def test_the_own_refusals_do_not_count() -> None:
    bench = opened()
    bench.bid("a", 130_000, 5_000)
    bench.bid("a", 140_000, 5_000)
    bench.until(400)
    (returned,) = bench.send(Voided("a", 2, blame=True))
    assert isinstance(returned, Returned)
    assert returned.shield is None


def test_a_closed_connection_leaves_the_set_and_a_shield() -> None:
    bench = opened()
    bench.bid("a", 130_000, 5_000)
    bench.bid("b", 150_000, 5_000)
    assert bench.send(PeerGone("b"), at_ms=100) == (Unconfirmed("b", 2), BookChanged())
    assert own_price(bench.auction, "b") == 0
    assert quote(bench.auction, "a", 0, 100) == 130_000
    assert bench.send(PeerGone("b")) == ()


def test_a_closed_connection_is_not_awarded_even_when_due() -> None:
    bench = opened()
    bench.bid("a", 130_000, 5_000)
    _, effects = step(bench.auction, PeerGone("a"), 400)
    assert effects == (Unconfirmed("a", 1), BookChanged())


def test_a_lower_one_outlasts_a_higher_one() -> None:
    bench = opened()
    bench.bid("low", 120_000, 5_000)
    bench.bid("mid", 140_000, 5_000)
    bench.bid("top", 150_000, 5_000)
    bench.send(PeerGone("top"))
    bench.bid("mid", 145_000, 5_000, at_ms=100)
    bench.send(PeerGone("mid"), at_ms=200)
    assert quote(bench.auction, "d", 0, 200) == 140_000
    assert bench.until(2_000) == (BookChanged(),)
    assert quote(bench.auction, "d", 0, 2_000) == 120_000
    assert bench.until(2_200) == (BookChanged(),)
    assert quote(bench.auction, "d", 0, 2_200) == RESERVE


def test_a_higher_one_that_lasts_longer_takes_the_place_of_a_lower_one() -> None:
    bench = opened()
    bench.bid("low", 120_000, 5_000)
    bench.bid("mid", 140_000, 5_000)
    bench.send(PeerGone("mid"))
    bench.bid("top", 150_000, 5_000, at_ms=100)
    bench.bid("mid", 145_000, 5_000)
    bench.send(PeerGone("top"), at_ms=200)
    facts = stats(bench.auction)
    assert facts is not None
    assert facts.shields == (Shield(145_000, 2_200),)


def test_an_open_next_lot_is_shielded_at_once() -> None:
    bench = opened(2_000)
    bench.bid("a", 130_000, 2_000)
    bench.bid("b", 150_000, 2_000)
    bench.until(400)
    bench.open(2_000)
    effects = bench.send(Voided("b", 2, blame=True), at_ms=1_400)
    shield = Shield(130_000, 3_400)
    assert effects == (Returned(lot_id=1, energy_wh=2_000, power_w=5_000, shield=shield), BookChanged())
    assert open_energy(bench.auction) == 2_000
    assert quote(bench.auction, "c", 0, 1_400) == 130_000


def test_a_withdrawn_lot_hands_it_on() -> None:
    bench = opened()
    bench.bid("a", 130_000, 5_000)
    bench.bid("b", 150_000, 5_000)
    bench.send(PeerGone("b"))
    bench.send(Withdraw(12))
    bench.open(1_000)
    assert quote(bench.auction, "c", 0, 0) == 130_000


def test_a_sold_lot_does_not() -> None:
    bench = opened()
    bench.bid("a", 130_000, 5_000)
    bench.bid("b", 150_000, 5_000)
    bench.send(PeerGone("b"))
    bench.bid("a", 130_000, 5_000)
    bench.until(400)
    bench.open(1_000)
    assert quote(bench.auction, "c", 0, 400) == RESERVE


def test_without_blame_there_is_none() -> None:
    bench = opened()
    bench.bid("a", 130_000, 2_000)
    bench.bid("b", 150_000, 4_000)
    bench.until(400)
    assert bench.send(Voided("b", 2, blame=False)) == (BookChanged(),)
    assert quote(bench.auction, "c", 0, 400) == RESERVE


def test_one_that_waited_too_long_is_not_inherited() -> None:
    bench = opened()
    bench.bid("a", 130_000, 5_000)
    bench.bid("b", 150_000, 5_000)
    bench.send(PeerGone("b"))
    bench.send(Withdraw(12))
    bench.until(2_000)
    bench.open(1_000)
    facts = stats(bench.auction)
    assert facts is not None
    assert facts.shields == ()


def test_a_lot_can_be_opened_under_one() -> None:
    bench = Bench(terms=TERMS)
    bench.open(5_000, shield=Shield(170_000, 500))
    assert quote(bench.auction, "c", 0, 499) == 170_000
    assert quote(bench.auction, "c", 0, 500) == RESERVE


def test_one_that_is_down_is_not_put_up() -> None:
    bench = Bench(terms=TERMS)
    bench.until(500)
    bench.send(Open(Lot(lot_id=1, energy_wh=100, power_w=1, seed=b"", terms=TERMS, shield=Shield(170_000, 500))))
    facts = stats(bench.auction)
    assert facts is not None
    assert facts.shields == ()

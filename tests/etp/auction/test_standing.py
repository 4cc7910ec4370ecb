from __future__ import annotations

import hmac
from fractions import Fraction
from hashlib import sha256
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.auction import (
    Award,
    Bid,
    Bids,
    BookChanged,
    LotClosed,
    Refuse,
    Terms,
    Tick,
    next_deadline,
    open_energy,
    open_power,
    own_price,
    quote,
    standing,
    stats,
    step,
)
from etp.auction.testing import Bench, best_by_force

RESERVE = 100_000
TERMS = Terms(reserve_e4=RESERVE)


def opened(energy_wh: int = 5_000, power_w: int = 5_000, terms: Terms = TERMS) -> Bench:
    bench = Bench(terms=terms)
    assert bench.open(energy_wh, power_w) == (BookChanged(),)
    return bench


def ids(bench: Bench) -> list[int]:
    return [entry.bid_id for entry in standing(bench.auction)]


def test_a_bid_that_stands_for_the_standing_time_wins_at_its_own_price() -> None:
    bench = opened()
    assert bench.bid("a", 120_000, 5_000, at_ms=10) == (BookChanged(),)
    assert own_price(bench.auction, "a") == 120_000
    assert next_deadline(bench.auction) == 410
    assert bench.send(Tick(), at_ms=409) == ()
    award = Award("a", 1, 120_000, 5_000, 5_000, 1, 1, 120_000, RESERVE, 1_000)
    closed = LotClosed(
        lot_id=1,
        reason="sold",
        sold_wh=5_000,
        unsold_wh=0,
        entered=1,
        distinct_bidders=1,
        first_acceptable_e4=120_000,
        increment_e4=1_000,
    )
    assert bench.until(410) == (award, closed)
    assert open_energy(bench.auction) == open_power(bench.auction) == 0
    assert own_price(bench.auction, "a") == 0


def test_a_beaten_bid_is_refused_at_once_with_the_price_to_beat() -> None:
    bench = opened()
    bench.bid("a", 120_000, 5_000)
    assert quote(bench.auction, "b", 0, 0) == 121_000
    assert bench.bid("b", 121_000, 5_000, at_ms=100) == (Refuse("a", 1, 4, 122_000), BookChanged())
    assert next_deadline(bench.auction) == 500


def test_a_refusal_changes_nothing_once_it_teaches_nothing() -> None:
    bench = opened()
    bench.bid("a", 120_000, 5_000)
    bench.bid("b", 120_900, 5_000, at_ms=1)
    same, effects = step(bench.auction, Bids((Bid("b", 9, 120_900, 5_000),)), 2)
    assert same is bench.auction
    assert effects == (Refuse("b", 9, 4, 121_000),)


def test_a_late_higher_bid_only_starts_its_own_clock() -> None:
    bench = opened()
    bench.bid("a", 120_000, 5_000)
    bench.bid("b", 130_000, 5_000, at_ms=399)
    assert bench.until(798) == ()
    assert [type(effect) for effect in bench.until(799)] == [Award, LotClosed]


def test_a_bid_that_has_stood_its_time_is_not_lost_to_a_late_tick() -> None:
    bench = opened()
    bench.bid("a", 120_000, 5_000)
    auction, effects = step(bench.auction, Bids((Bid("b", 9, 200_000, 5_000),)), 431)
    assert [type(effect) for effect in effects] == [Award, LotClosed, Refuse]
    assert effects[-1] == Refuse("b", 9, 14, RESERVE)
    assert auction.lot is None


def test_an_award_leaves_the_others_and_their_clocks() -> None:
    bench = opened(energy_wh=5_000, power_w=999)
    bench.bid("a", 120_000, 2_000)
    bench.bid("b", 110_000, 1_500, at_ms=100)
    bench.bid("c", 110_000, 1_500, at_ms=200)
    (award, changed) = bench.until(400)
    assert isinstance(award, Award)
    assert (award.energy_wh, award.power_w, changed) == (2_000, 399, BookChanged())
    assert (open_energy(bench.auction), open_power(bench.auction)) == (3_000, 600)
    assert [entry.due_ms for entry in standing(bench.auction)] == [500, 600]
    effects = bench.until(600)
    assert [effect.power_w for effect in effects if isinstance(effect, Award)] == [300, 300]


def test_only_what_must_go_goes_and_ties_keep_the_older() -> None:
    bench = opened()
    for peer in "abcde":
        bench.bid(peer, 110_000, 1_000)
    effects = bench.bid("f", 130_000, 2_000, at_ms=10)
    assert effects == (Refuse("d", 4, 4, 111_000), Refuse("e", 5, 4, 111_000), BookChanged())
    assert ids(bench) == [1, 2, 3, 6]
    assert [entry.entered_ms for entry in standing(bench.auction)] == [0, 0, 0, 10]


def test_a_small_bid_is_not_held_against_the_room_beside_a_large_one() -> None:
    bench = opened()
    bench.bid("a", 120_000, 4_000)
    assert quote(bench.auction, "b", 1_000, 0) == RESERVE
    assert quote(bench.auction, "b", 1_100, 0) > RESERVE
    assert quote(bench.auction, "b", 9_000, 0) == quote(bench.auction, "b", 0, 0) == quote(bench.auction, "b", 5_000, 0)


class TestOneStandingBidPerPeer:
    def test_a_raise_restarts_the_clock_and_answers_the_old_id(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 5_000)
        assert quote(bench.auction, "a", 0, 0) == 121_000
        effects = bench.bid("a", 121_000, 5_000, at_ms=50)
        assert effects == (Refuse("a", 1, 4, 122_000), BookChanged())
        assert next_deadline(bench.auction) == 450

    @pytest.mark.parametrize(("price", "energy"), [(120_900, 5_000), (200_000, 4_900)])
    def test_less_than_an_increment_more_or_a_smaller_quantity_is_refused(self, price: int, energy: int) -> None:
        bench = opened()
        bench.bid("a", 120_000, 5_000)
        assert bench.bid("a", price, energy) == (Refuse("a", 2, 4, 121_000),)
        assert ids(bench) == [1]

    def test_the_quote_is_for_at_least_the_old_quantity(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 3_000)
        assert quote(bench.auction, "a", 100, 0) == quote(bench.auction, "a", 3_000, 0) == 121_000

    def test_growing_must_pay_for_what_it_pushes_out(self) -> None:
        bench = opened(energy_wh=2_000)
        bench.bid("a", 110_000, 1_000)
        bench.bid("b", 150_000, 1_000)
        beat = quote(bench.auction, "a", 2_000, 0)
        assert beat == 99_900 + (10_100 + 50_100) // 2 + 1_000
        assert bench.bid("a", beat - 100, 2_000) == (Refuse("a", 3, 4, beat),)
        refused = [effect for effect in bench.bid("a", beat, 2_000) if isinstance(effect, Refuse)]
        assert [(refusal.peer, refusal.bid_id) for refusal in refused] == [("a", 1), ("b", 2)]


class TestIncrement:
    def test_it_doubles_with_whole_lot_improvements(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, doubling=2))
        bench.bid("a", 100_000, 5_000)
        for turn, peer in enumerate("bababa", start=1):
            beat = quote(bench.auction, peer, 0, 0)
            expected = 1_000 << (turn - 1) // 2
            entry = standing(bench.auction)[0]
            assert beat == entry.price_e4 + expected
            bench.bid(peer, beat, 5_000)
        facts = stats(bench.auction)
        assert facts is not None
        assert facts.increment_e4 == 8_000

    def test_small_bids_cannot_pump_it(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, doubling=2))
        bench.bid("a", 100_000, 100)
        for _ in range(99):
            bench.bid("a", quote(bench.auction, "a", 100, 0), 100)
        facts = stats(bench.auction)
        assert facts is not None
        assert facts.increment_e4 == 1_000
        bench.bid("a", quote(bench.auction, "a", 100, 0), 100)
        assert stats(bench.auction) == facts._replace(increment_e4=2_000, entered=101, improvements=100)

    def test_zero_means_never(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, doubling=0))
        for turn in range(70):
            bench.bid("ab"[turn % 2], quote(bench.auction, "ab"[turn % 2], 0, 0), 5_000)
        assert quote(bench.auction, "c", 0, 0) == RESERVE + 70 * 1_000

    def test_entering_free_room_is_no_improvement(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, doubling=1))
        bench.bid("a", 100_000, 2_500)
        bench.bid("b", 100_000, 2_500)
        facts = stats(bench.auction)
        assert facts is not None
        assert facts.increment_e4 == 1_000


class TestManyBids:
    def test_the_sixty_fifth_is_told_to_come_back(self) -> None:
        bench = opened(energy_wh=7_000)
        for index in range(64):
            bench.bid(f"p{index}", 110_000, 100)
        assert bench.bid("late", 200_000, 100) == (Refuse("late", 65, 7, RESERVE),)

    def test_one_that_pushes_others_out_or_raises_its_own_needs_no_place(self) -> None:
        bench = opened(energy_wh=7_000)
        for index in range(64):
            bench.bid(f"p{index}", 110_000, 100)
        bench.bid("p0", 120_000, 100)
        assert len(standing(bench.auction)) == 64
        bench.bid("big", 120_000, 1_000)
        assert len(standing(bench.auction)) == 61

    def test_the_same_now_is_ordered_by_draw_if_anything_enters(self) -> None:
        bench = opened()
        bids = [bench.make_bid(peer, 120_000, 5_000) for peer in "abcdef"]
        drawn = sorted(
            bids, key=lambda b: hmac.new(b"bench", b.peer.encode() + b.bid_id.to_bytes(8, "little"), sha256).digest()
        )
        bench.send(Bids(tuple(bids)))
        assert ids(bench) == [drawn[0].bid_id]
        again = opened()
        again.send(Bids(tuple(reversed(bids))))
        assert standing(again.auction) == standing(bench.auction)

    def test_the_same_now_is_refused_in_any_order_if_nothing_enters(self) -> None:
        bench = opened()
        bench.bid("z", 150_000, 5_000)
        effects = bench.send(Bids((Bid("b", 1, 120_000, 5_000), Bid("a", 1, 120_000, 5_000))))
        assert effects == (Refuse("b", 1, 4, 151_000), Refuse("a", 1, 4, 151_000))


def test_the_cap_makes_a_lot_unbeatable() -> None:
    bench = opened(terms=Terms(reserve_e4=RESERVE, price_cap_e4=150_000))
    bench.bid("a", 150_000, 5_000)
    assert quote(bench.auction, "b", 0, 0) > 150_000
    assert bench.bid("b", 151_000, 5_000) == (Refuse("b", 2, 9, 151_000),)


class Held(NamedTuple):
    peer: str
    bid_id: int
    price: int
    steps: int


class Paper:
    """Rules 3 and 4 read aloud, in fractions and by brute force: what the engine is held against."""

    def __init__(self, terms: Terms, steps: int) -> None:
        self.terms = terms
        self.lot = steps
        self.held: list[Held] = []
        self.improved = Fraction(0)

    def worth(self, held: list[Held], capacity: int) -> int:
        base = self.terms.base_e4
        return best_by_force([(h.steps * (h.price - base), h.steps) for h in held], capacity)[0]

    def increment(self) -> int:
        return self.terms.increment_e4 << int(self.improved / self.terms.doubling)

    def enters(self, new: Held) -> bool:
        old = next((h for h in self.held if h.peer == new.peer), None)
        others = [h for h in self.held if h is not old]
        with_all = self.worth(self.held, self.lot)
        lost = with_all - self.worth(others, self.lot - new.steps)
        value = new.steps * (new.price - self.terms.base_e4)
        if old is not None and (new.price < old.price + self.increment() or new.steps < old.steps):
            return False
        return lost == 0 or value >= lost + new.steps * self.increment()

    def offer(self, new: Held) -> None:
        if not self.enters(new):
            return
        old = next((h for h in self.held if h.peer == new.peer), None)
        others = [h for h in self.held if h is not old]
        base = self.terms.base_e4
        kept = best_by_force([(h.steps * (h.price - base), h.steps) for h in others], self.lot - new.steps)[1]
        if old is not None or len(kept) < len(others):
            self.improved += Fraction(new.steps, self.lot)
        self.held = [*(others[index] for index in kept), new]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.integers(1_000, 1_080), st.integers(1, 12)), min_size=1, max_size=14
    ),
    st.sampled_from([0, 100, 50_000, 100_000]),
    st.integers(1, 3),
)
def test_the_engine_does_what_the_paper_says(offers: list[tuple[str, int, int]], keep: int, doubling: int) -> None:
    terms = Terms(reserve_e4=RESERVE, keep_e4=keep, doubling=doubling, increment_e4=300)
    bench, paper = opened(energy_wh=1_200, terms=terms), Paper(terms, 12)
    for peer, ticks, steps in offers:
        new = Held(peer, 0, ticks * 100, steps)
        own = next((h.steps for h in paper.held if h.peer == peer), 0)
        if steps >= own:
            beat = quote(bench.auction, peer, steps * 100, 0)
            assert paper.enters(new._replace(price=beat))
            assert beat == RESERVE or not paper.enters(new._replace(price=beat - 100))
        paper.offer(new)
        bench.bid(peer, ticks * 100, steps * 100)
        expected = [(h.peer, h.price, h.steps * 100) for h in paper.held]
        assert [(e.peer, e.price_e4, e.energy_wh) for e in standing(bench.auction)] == expected
        facts = stats(bench.auction)
        assert facts is not None
        assert facts.increment_e4 == paper.increment()

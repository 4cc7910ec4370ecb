from __future__ import annotations

import pytest

from etp.auction import (
    Award,
    Bids,
    BookChanged,
    LotClosed,
    PeerGone,
    Refuse,
    Shrink,
    Terms,
    Unconfirmed,
    Voided,
    next_deadline,
    quote,
    standing,
)
from etp.auction.testing import Bench

RESERVE = 100_000
TERMS = Terms(reserve_e4=RESERVE)
SEALED = ["sealed_first", "sealed_second", "ascending_clock"]


def opened(rule: str, energy_wh: int = 5_000, terms: Terms = TERMS) -> Bench:
    bench = Bench(rule, terms=terms)
    bench.open(energy_wh)
    return bench


def prices(bench: Bench) -> dict[str, int]:
    return {effect.peer: effect.price_e4 for _, effect in bench.said if isinstance(effect, Award)}


@pytest.mark.parametrize("rule", SEALED)
class TestCollecting:
    def test_all_are_answered_at_once_when_collecting_is_over(self, rule: str) -> None:
        bench = opened(rule)
        assert bench.bid("a", 120_000, 5_000, at_ms=100) == ()
        assert bench.bid("b", 150_000, 5_000, at_ms=499) == ()
        assert next_deadline(bench.auction) == 500
        said = bench.until(500)
        assert [type(effect) for effect in said] == [Refuse, Award, LotClosed]
        assert said[0] == Refuse("a", 1, 4, 151_000)
        assert bench.bid("c", 200_000, 5_000) == (Refuse("c", 3, 14, RESERVE),)

    def test_the_lot_is_over_even_if_some_is_left(self, rule: str) -> None:
        bench = opened(rule)
        bench.bid("a", 120_000, 1_000)
        closed = bench.until(400)[-1]
        assert isinstance(closed, LotClosed)
        assert (closed.reason, closed.sold_wh, closed.unsold_wh) == ("cleared", 1_000, 4_000)

    def test_nothing_is_told_of_other_limits(self, rule: str) -> None:
        bench = opened(rule)
        bench.bid("a", 190_000, 5_000)
        assert quote(bench.auction, "b", 0, 0) == RESERVE
        assert quote(bench.auction, "a", 0, 0) == 191_000

    def test_a_limit_can_be_raised_but_not_lowered(self, rule: str) -> None:
        bench = opened(rule)
        bench.bid("a", 120_000, 2_000)
        assert bench.bid("a", 120_900, 2_000) == (Refuse("a", 2, 4, 121_000),)
        assert bench.bid("a", 130_000, 1_900) == (Refuse("a", 3, 4, 121_000),)
        assert bench.bid("a", 121_000, 2_000, at_ms=300) == (Refuse("a", 1, 4, 122_000),)
        assert next_deadline(bench.auction) == 400
        assert len(standing(bench.auction)) == 1

    def test_places_are_bounded(self, rule: str) -> None:
        bench = opened(rule, terms=Terms(reserve_e4=RESERVE, max_standing=2))
        bench.bid("a", 120_000, 5_000)
        bench.bid("b", 120_000, 5_000)
        assert bench.bid("c", 130_000, 5_000) == (Refuse("c", 3, 7, RESERVE),)
        assert bench.bid("a", 130_000, 5_000) == (Refuse("a", 1, 4, 131_000),)

    def test_being_quick_is_worth_nothing(self, rule: str) -> None:
        winners = set()
        for seed in range(20):
            bench = Bench(rule, terms=TERMS, seed=bytes([seed]))
            bench.open(5_000)
            bench.bid("a", 120_000, 5_000)
            bench.bid("b", 120_000, 5_000, at_ms=399)
            bench.until(400)
            winners |= set(prices(bench))
        assert winners == {"a", "b"}

    def test_the_order_of_arrival_within_one_event_does_not_matter(self, rule: str) -> None:
        said = []
        for turn in (1, -1):
            bench = opened(rule)
            bids = tuple(bench.make_bid(peer, 120_000, 2_000) for peer in "abcd")
            bench.send(Bids(bids[::turn]))
            bench.until(400)
            said.append(bench.said)
        assert said[0] == said[1]

    def test_a_closed_connection_takes_its_limit_along(self, rule: str) -> None:
        bench = opened(rule)
        bench.bid("a", 120_000, 5_000)
        assert bench.send(PeerGone("a"), at_ms=100) == (Unconfirmed("a", 1),)
        assert next_deadline(bench.auction) is None
        bench.bid("b", 120_000, 5_000, at_ms=200)
        assert next_deadline(bench.auction) == 600

    def test_shrinking_drops_only_limits_for_more_than_is_left(self, rule: str) -> None:
        bench = opened(rule)
        bench.bid("a", 120_000, 5_000)
        bench.bid("b", 120_000, 3_000)
        bench.bid("c", 120_000, 2_000)
        assert bench.send(Shrink(3_000, 3_000)) == (Refuse("a", 1, 2, RESERVE), BookChanged())
        assert bench.send(Shrink(3_000, 2_000)) == (BookChanged(),)
        assert len(standing(bench.auction)) == 2

    def test_an_unconfirmed_winner_shields_the_next_lot(self, rule: str) -> None:
        bench = opened(rule)
        bench.bid("a", 120_000, 5_000)
        bench.bid("b", 150_000, 5_000)
        bench.until(400)
        bench.send(Voided("b", 2, blame=True), at_ms=1_400)
        bench.open(5_000)
        assert quote(bench.auction, "a", 0, 1_400) == 120_000


class TestSealedFirst:
    def test_the_best_set_wins_each_at_its_own_price(self) -> None:
        bench = opened("sealed_first")
        bench.bid("a", 200_000, 1_000)
        bench.bid("b", 150_000, 4_000)
        bench.bid("c", 140_000, 5_000)
        bench.until(400)
        assert prices(bench) == {"a": 200_000, "b": 150_000}

    def test_one_large_bid_beats_many_small_ones_when_it_is_worth_more(self) -> None:
        bench = opened("sealed_first")
        bench.bid("a", 200_000, 1_000)
        bench.bid("b", 150_000, 5_000)
        bench.until(400)
        assert prices(bench) == {"b": 150_000}


class TestSealedSecond:
    def test_alone_the_winner_pays_the_reserve(self) -> None:
        bench = opened("sealed_second")
        bench.bid("a", 900_000, 5_000)
        bench.until(400)
        assert prices(bench) == {"a": RESERVE}

    def test_the_winner_pays_the_second_price(self) -> None:
        bench = opened("sealed_second")
        for peer, price in zip("abc", (120_000, 180_000, 150_000), strict=True):
            bench.bid(peer, price, 5_000)
        bench.until(400)
        assert prices(bench) == {"b": 150_000}

    def test_several_winners_pay_one_price(self) -> None:
        bench = opened("sealed_second")
        for peer, price in zip("abcde", (150_000, 140_000, 130_000, 120_000, 110_000), strict=True):
            bench.bid(peer, price, 2_000)
        bench.until(400)
        assert prices(bench) == {"a": 130_000, "b": 130_000}

    def test_a_losing_price_above_the_lowest_winning_price_is_passed_over(self) -> None:
        bench = opened("sealed_second")
        bench.bid("big", 150_000, 4_000)
        bench.bid("small", 120_000, 1_000)
        bench.bid("middle", 140_000, 1_100)
        bench.bid("low", 110_000, 1_000)
        bench.until(400)
        assert prices(bench) == {"big": 110_000, "small": 110_000}

    def test_a_shield_is_the_reserve_but_never_above_a_winners_bid(self) -> None:
        for limit, paid in ((170_000, 150_000), (125_000, 125_000)):
            bench = opened("sealed_second")
            bench.bid("a", limit, 5_000)
            bench.bid("b", 150_000, 5_000)
            bench.bid("b", 160_000, 5_000)
            bench.bid("c", 190_000, 5_000)
            bench.send(PeerGone("c"))
            bench.send(PeerGone("b"))
            bench.until(400)
            assert prices(bench) == {"a": paid}


class TestAscendingClock:
    def test_alone_the_winner_pays_the_reserve(self) -> None:
        bench = opened("ascending_clock")
        bench.bid("a", 900_000, 5_000)
        bench.until(400)
        assert prices(bench) == {"a": RESERVE}

    @pytest.mark.parametrize(("second", "paid"), [(149_900, 150_000), (150_000, 151_000), (150_900, 151_000)])
    def test_the_clock_stops_one_step_above_the_second_limit(self, second: int, paid: int) -> None:
        bench = opened("ascending_clock")
        bench.bid("a", 200_000, 5_000)
        bench.bid("b", second, 5_000)
        bench.bid("c", 120_000, 5_000)
        bench.until(400)
        assert prices(bench) == {"a": paid}

    def test_the_clock_stops_at_the_highest_limit_when_a_step_ends_there(self) -> None:
        bench = opened("ascending_clock")
        bench.bid("a", 151_000, 5_000)
        bench.bid("b", 150_300, 5_000)
        bench.until(400)
        assert prices(bench) == {"a": 151_000}

    def test_when_the_next_step_would_leave_nobody_it_stops_before(self) -> None:
        bench = opened("ascending_clock")
        bench.bid("a", 150_900, 5_000)
        bench.bid("b", 150_300, 5_000)
        bench.until(400)
        assert prices(bench) == {"a": 150_000}

    def test_the_best_set_of_those_still_active_wins_there(self) -> None:
        bench = opened("ascending_clock")
        bench.bid("a", 150_900, 3_000)
        bench.bid("b", 150_300, 3_000)
        bench.bid("c", 150_200, 2_000)
        bench.until(400)
        assert prices(bench) == {"a": 150_000, "c": 150_000}

    def test_all_win_at_the_reserve_when_they_fit(self) -> None:
        bench = opened("ascending_clock")
        bench.bid("a", 150_900, 3_000)
        bench.bid("b", 150_300, 2_000)
        bench.until(400)
        assert prices(bench) == {"a": RESERVE, "b": RESERVE}

    def test_it_starts_at_the_shield_unless_nobody_reaches_it(self) -> None:
        for limit, paid in ((170_000, 160_000), (140_000, RESERVE)):
            bench = opened("ascending_clock")
            bench.bid("a", limit, 4_000)
            bench.bid("c", 160_000, 5_000)
            bench.bid("c", 165_000, 5_000)
            bench.bid("b", 190_000, 5_000)
            bench.send(PeerGone("b"))
            bench.send(PeerGone("c"))
            bench.until(400)
            assert prices(bench) == {"a": paid}

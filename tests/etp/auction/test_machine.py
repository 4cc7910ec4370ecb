from __future__ import annotations

import pytest

from etp.auction import (
    AuctionError,
    Award,
    BookChanged,
    Confirmed,
    Lot,
    LotClosed,
    PeerGone,
    Refuse,
    Retune,
    Returned,
    Shrink,
    Terms,
    Tick,
    Voided,
    Withdraw,
    least_energy,
    new_auction,
    next_deadline,
    open_energy,
    open_power,
    quote,
    standing,
    stats,
    step,
)
from etp.auction.testing import Bench

RESERVE = 100_000
TERMS = Terms(reserve_e4=RESERVE)
OTHER = Terms(reserve_e4=200_000, increment_e4=500)


def opened(energy_wh: int = 5_000, power_w: int = 5_000, terms: Terms = TERMS) -> Bench:
    bench = Bench(terms=terms)
    bench.open(energy_wh, power_w)
    return bench


class TestCodes:
    def test_without_a_lot_everything_gets_fourteen_and_the_reserve(self) -> None:
        bench = Bench(terms=TERMS)
        assert bench.bid("a", 999_900, 5_000) == (Refuse("a", 1, 14, RESERVE),)
        assert quote(bench.auction, "a", 0, 0) == RESERVE
        assert quote(new_auction("standing_bid"), "a", 0, 0) == 0
        assert (open_energy(bench.auction), open_power(bench.auction), least_energy(bench.auction)) == (0, 0, 0)
        assert (standing(bench.auction), stats(bench.auction), next_deadline(bench.auction)) == ((), None, None)

    @pytest.mark.parametrize(
        ("price", "energy", "covered", "code"),
        [
            (120_050, 9_900, False, 9),
            (120_000, 950, False, 9),
            (120_000, 0, False, 9),
            (20_300_100, 1_000, False, 9),
            (1_000, 9_900, False, 2),
            (99_900, 1_000, False, 1),
            (100_000, 1_000, False, 8),
            (100_000, 5_000, True, 4),
        ],
    )
    def test_the_first_match_wins(self, price: int, energy: int, covered: bool, code: int) -> None:
        bench = opened()
        bench.bid("z", 150_000, 5_000)
        (refusal,) = bench.bid("a", price, energy, covered=covered)
        beat = quote(bench.auction, "a", energy, 0)
        assert refusal == Refuse("a", 2, code, beat)

    def test_too_little_power_names_the_smallest_quantity(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, min_power_w=950))
        assert least_energy(bench.auction) == 1_000
        assert bench.bid("a", 150_000, 900) == (Refuse("a", 1, 2, RESERVE, 1_000),)
        assert bench.bid("a", 150_000, 9_900) == (Refuse("a", 2, 2, RESERVE),)
        assert bench.bid("a", 150_000, 1_000) == (BookChanged(),)

    def test_inadmissible_bids_are_no_competition(self) -> None:
        bench = opened()
        bench.bid("a", 99_900, 5_000)
        bench.bid("b", 120_000, 5_000, covered=False)
        bench.bid("c", 120_000, 9_000)
        bench.bid("d", 110_000, 5_000)
        bench.bid("e", 105_000, 5_000)
        facts = stats(bench.auction)
        assert facts is not None
        assert (facts.distinct_bidders, facts.first_acceptable_e4, facts.entered) == (2, 110_000, 1)

    def test_the_count_of_distinct_bidders_is_bounded(self) -> None:
        bench = opened()
        bench.bid("z", 150_000, 5_000)
        for index in range(1_030):
            bench.bid(f"p{index}", 120_000, 5_000)
        facts = stats(bench.auction)
        assert facts is not None
        assert facts.distinct_bidders == 1_024


class TestLots:
    def test_a_lot_is_rounded_down_to_a_step(self) -> None:
        assert open_energy(opened(energy_wh=5_099).auction) == 5_000

    def test_a_second_lot_is_an_error(self) -> None:
        bench = opened()
        with pytest.raises(AuctionError, match="lot 2 cannot open while lot 1"):
            bench.open(5_000)

    @pytest.mark.parametrize(
        ("energy", "power", "terms"),
        [(99, 5_000, TERMS), (5_000, 0, TERMS), (5_000, 49, Terms(reserve_e4=0, min_power_w=50))],
    )
    def test_a_lot_that_nobody_could_buy_cannot_be_made(self, energy: int, power: int, terms: Terms) -> None:
        with pytest.raises(AuctionError):
            Lot(lot_id=1, energy_wh=energy, power_w=power, seed=b"", terms=terms)

    @pytest.mark.parametrize(
        "field",
        [
            {"reserve_e4": -100},
            {"reserve_e4": 150},
            {"keep_e4": 100_100},
            {"increment_e4": 0},
            {"standing_ms": 0},
            {"price_cap_e4": 99_900},
            {"max_standing": 0},
            {"shield_ms": -1},
            {"min_power_w": -1},
            {"doubling": -1},
        ],
    )
    def test_terms_without_a_meaning_cannot_be_made(self, field: dict[str, int]) -> None:
        with pytest.raises(AuctionError, match=next(iter(field))):
            Terms(**{"reserve_e4": RESERVE, **field})

    def test_an_unknown_rule_is_an_error(self) -> None:
        with pytest.raises(AuctionError, match="standing_bid"):
            new_auction("dutch")

    def test_a_rest_with_too_little_power_closes_the_lot(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, min_power_w=150))
        bench.bid("a", 120_000, 4_900)
        effects = bench.until(400)
        assert isinstance(effects[-1], LotClosed)
        assert (effects[-1].reason, effects[-1].sold_wh, effects[-1].unsold_wh) == ("too_small", 4_900, 100)

    def test_the_shares_of_power_add_up_to_the_lot(self) -> None:
        bench = opened(energy_wh=700, power_w=1_000)
        for peer in "abcdefg":
            bench.bid(peer, 120_000, 100)
        powers = [effect.power_w for effect in bench.until(400) if isinstance(effect, Award)]
        assert sum(powers) == 1_000
        assert max(powers) - min(powers) <= 1


class TestWithdraw:
    def test_standing_bids_get_its_code_and_awards_wait_on(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 2_000)
        bench.bid("b", 120_000, 2_000, at_ms=100)
        bench.until(400)
        refused, closed = bench.send(Withdraw(11))
        assert refused == Refuse("b", 2, 11, RESERVE)
        assert isinstance(closed, LotClosed)
        assert (closed.reason, closed.sold_wh, closed.unsold_wh) == ("withdrawn", 2_000, 3_000)
        assert bench.send(Confirmed("a", 1)) == ()

    def test_it_is_stronger_than_a_bid_that_has_stood_its_time(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 5_000)
        _, effects = step(bench.auction, Withdraw(3), 450)
        assert effects[0] == Refuse("a", 1, 3, RESERVE)

    def test_without_a_lot_nothing_happens(self) -> None:
        bench = Bench(terms=TERMS)
        before = bench.auction
        for event in (Withdraw(12), Shrink(0, 0), PeerGone("a"), Tick()):
            assert bench.send(event) == ()
            assert bench.auction is before


class TestFreeze:
    def test_terms_wait_until_nothing_stands_and_nothing_is_unconfirmed(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 2_000)
        assert bench.send(Retune(OTHER)) == ()
        assert quote(bench.auction, "b", 1_000, 0) == RESERVE
        bench.until(400)
        assert quote(bench.auction, "b", 1_000, 400) == RESERVE
        assert bench.send(Confirmed("a", 1)) == (BookChanged(),)
        assert quote(bench.auction, "b", 1_000, 400) == 200_000

    def test_an_empty_lot_takes_them_at_once(self) -> None:
        bench = opened()
        assert bench.send(Retune(OTHER)) == (BookChanged(),)
        assert quote(bench.auction, "b", 0, 0) == 200_000
        assert bench.send(Retune(OTHER)) == ()

    def test_without_a_lot_they_are_what_is_quoted(self) -> None:
        bench = Bench(terms=TERMS)
        assert bench.send(Retune(OTHER)) == ()
        assert quote(bench.auction, "b", 0, 0) == 200_000

    def test_the_next_lot_brings_its_own(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 5_000)
        bench.send(Retune(OTHER))
        bench.until(400)
        bench.open(5_000)
        assert quote(bench.auction, "b", 0, 400) == RESERVE

    def test_the_doublings_of_a_lot_outlive_them(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, doubling=1))
        bench.bid("a", 110_000, 5_000)
        bench.bid("b", 120_000, 5_000)
        bench.send(Retune(OTHER))
        bench.send(PeerGone("b"))
        facts = stats(bench.auction)
        assert facts is not None
        assert (facts.terms, facts.increment_e4) == (OTHER, 500)
        bench.bid("a", 210_000, 5_000)
        assert quote(bench.auction, "c", 0, 0) == 210_500


class TestShrink:
    def test_the_best_set_stays_and_the_rest_get_two(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 3_000)
        bench.bid("b", 130_000, 2_000)
        effects = bench.send(Shrink(3_500, 3_500), at_ms=10)
        assert effects == (Refuse("b", 2, 2, quote(bench.auction, "b", 2_000, 10)), BookChanged())
        assert (open_energy(bench.auction), open_power(bench.auction)) == (3_500, 3_500)

    def test_it_comes_before_awards_that_are_due(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 3_000)
        bench.bid("b", 120_000, 2_000)
        auction, effects = step(bench.auction, Shrink(2_000, 2_000), 400)
        assert [type(effect) for effect in effects] == [Refuse, Award, LotClosed]
        assert auction.lot is None

    def test_less_power_drops_what_the_device_could_not_deliver(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, min_power_w=500))
        bench.bid("a", 120_000, 500)
        bench.bid("b", 120_000, 2_000)
        effects = bench.send(Shrink(5_000, 2_500))
        assert effects == (Refuse("a", 1, 2, RESERVE), BookChanged())

    @pytest.mark.parametrize(("energy", "power"), [(99, 5_000), (5_000, 0), (-5, -5), (0, 0)])
    def test_to_nothing_closes_the_lot(self, energy: int, power: int) -> None:
        bench = opened()
        bench.bid("a", 120_000, 5_000)
        refused, closed = bench.send(Shrink(energy, power))
        assert refused == Refuse("a", 1, 2, RESERVE)
        assert isinstance(closed, LotClosed)
        assert closed.reason == "too_small"

    def test_it_never_makes_a_lot_larger(self) -> None:
        bench = opened()
        before = bench.auction
        assert bench.send(Shrink(9_000, 9_000)) == ()
        assert bench.auction is before


class TestVoid:
    def test_quantity_and_power_return_to_the_lot(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 2_000)
        bench.until(400)
        assert bench.send(Voided("a", 1, blame=False)) == (BookChanged(),)
        assert (open_energy(bench.auction), open_power(bench.auction)) == (5_000, 5_000)
        facts = stats(bench.auction)
        assert facts is not None
        assert (facts.sold_wh, facts.shields) == (0, ())

    def test_else_to_the_next_lot(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 5_000)
        bench.until(400)
        assert bench.send(Voided("a", 1, blame=False)) == (
            Returned(lot_id=1, energy_wh=5_000, power_w=5_000, shield=None),
        )

    def test_an_award_is_voided_or_confirmed_once(self) -> None:
        bench = opened()
        bench.bid("a", 120_000, 2_000)
        bench.until(400)
        bench.send(Confirmed("a", 1))
        with pytest.raises(AuctionError, match="bid 1 of a"):
            bench.send(Voided("a", 1, blame=True))

    def test_power_that_no_longer_suffices_drops_a_standing_bid(self) -> None:
        bench = opened(terms=Terms(reserve_e4=RESERVE, min_power_w=300))
        bench.bid("a", 120_000, 2_500)
        bench.until(400)
        bench.send(Shrink(500, 2_500))
        bench.bid("b", 120_000, 100)
        assert bench.send(Voided("a", 1, blame=False)) == (Refuse("b", 2, 2, RESERVE), BookChanged())
        assert (open_energy(bench.auction), open_power(bench.auction)) == (3_000, 5_000)

"""A lot under an open book: what happens when, by hand and against the engine alone."""

from __future__ import annotations

import pytest

from market.mechanism import Buyer, Setting, play


def test_one_buyer_by_hand() -> None:
    """The opening is pushed at 0 and heard at 10.5; the bid is read at 31 and has stood for 400 ms at 431."""
    outcome = play(Setting("standing_bid", 1_000, 200_000), [Buyer(500_000, 1_000, up_ms=20, down_ms=10.5)], seed=1)
    assert outcome.awards == ((0, 1_000, 200_000, 431),)
    assert outcome == (outcome.awards, 200_000_000, 1, 0, 1, 200_000, 1_000, 431)


def test_two_buyers_by_hand() -> None:
    """Near bids 20.0 c, then 20.2; far 20.0 (refused), 20.1 once a push shows 20.0 beaten, 20.3 once refused again."""
    near, far = Buyer(202_000, 1_000, up_ms=1, down_ms=1), Buyer(203_000, 1_000, up_ms=50, down_ms=50)
    outcome = play(Setting("standing_bid", 1_000, 200_000), [near, far], seed=1)
    # read at 2: near 20.0; pushed at 20, heard by far at 70; read at 100 and 120: far 20.0 and 20.1; at 122: near 20.2,
    # of which far hears at 172; read at 222: far 20.3, which has stood at 622
    assert outcome.awards == ((1, 1_000, 203_000, 622),)
    assert (outcome.bids, outcome.improvements, outcome.distinct_bidders) == (5, 3, 2)


def test_a_lot_is_over_when_a_bid_has_stood() -> None:
    """The opening is pushed at 0: whoever hears of it after 60 ms finds a lot that stood for 60 ms sold."""
    setting = Setting("standing_bid", 1_000, 200_000, standing_ms=60)
    late = Buyer(900_000, 1_000, up_ms=0, down_ms=61)
    early = Buyer(900_000, 1_000)
    outcome = play(setting, [early, late], seed=1)
    assert (outcome.awards[0].buyer, outcome.awards[0].at_ms) == (0, 60)
    in_time = play(setting, [early, Buyer(900_000, 1_000, up_ms=0, down_ms=39)], seed=1)
    assert in_time.distinct_bidders == 2


def test_an_award_leaves_the_rest_for_sale() -> None:
    setting = Setting("standing_bid", 2_000, 200_000)
    buyers = [Buyer(500_000, 1_500), Buyer(400_000, 1_000)]
    outcome = play(setting, buyers, seed=1)
    first, second = outcome.awards
    assert (first.buyer, first.wh, second) == (0, 1_500, (1, 500, 200_000, second.at_ms))
    rivals_worth = 1_000 * (400_000 - 199_900)
    assert rivals_worth < 1_500 * (first.price_e4 - 199_900) + 1_000 * outcome.increment_end_e4
    assert 1_500 * (first.price_e4 - 199_900) < rivals_worth + 2 * 1_500 * outcome.increment_end_e4


@pytest.mark.parametrize("rule", ["standing_bid", "first_acceptable"])
def test_who_comes_too_late_gets_nothing(rule: str) -> None:
    near, far = Buyer(300_000, 1_000, up_ms=1), Buyer(900_000, 1_000, up_ms=500)
    assert [sold.buyer for sold in play(Setting(rule, 1_000, 200_000), [near, far], seed=1).awards] == [0]


def test_without_need_for_it_a_second_award_is_not_confirmed() -> None:
    """A far buyer follows an overtaken bid; where both win in turn, its need holds one of them."""
    for seed in range(40):
        setting = Setting("standing_bid", 2_000, 100_000, standing_ms=50, loss=0.4)
        buyers = [Buyer(500_000, 1_000, up_ms=200, down_ms=200), *[Buyer(400_000, 1_000, up_ms=3, down_ms=3)] * 2]
        outcome = play(setting, buyers, seed=seed)
        for index in range(3):
            assert sum(sold.wh for sold in outcome.awards if sold.buyer == index) <= 1_000


def test_the_increment_doubles_as_improvements_add_up() -> None:
    buyers = [Buyer(900_000, 1_000), Buyer(890_000, 1_000)]
    told = {
        doubling: play(Setting("standing_bid", 1_000, 0, doubling=doubling), buyers, seed=1) for doubling in (0, 8, 32)
    }
    assert told[0].increment_end_e4 == 1_000
    assert told[8].increment_end_e4 > told[32].increment_end_e4 > 1_000
    assert told[0].improvements > 800
    assert told[32].improvements < 200

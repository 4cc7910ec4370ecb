"""One buyer in an open book: when it bids, when it keeps still, and what it does when it is answered."""

from __future__ import annotations

from typing import Any

from aggregator.strategies import make_strategy
from etp.messages import ReasonCode
from market.bidder import Bidder, Placed, Quote, Refused, Won
from market.setting import Buyer

OUTBID = int(ReasonCode.OUTBID)


def bidder(strategy: str = "truthful", **fields: Any) -> Bidder:
    buyer = Buyer(**{"value_e4": 500_000, "need_wh": 1_000, **fields})
    return Bidder(buyer, make_strategy(strategy), n=2, draws=lambda _: 0.5)


def test_it_bids_the_price_to_beat_for_what_it_needs() -> None:
    assert bidder().hears(Quote(5_000, 200_000, None)) == Placed(1, 200_000, 1_000, 200_000)
    assert bidder(need_wh=9_000).hears(Quote(5_000, 200_000, None)) == Placed(1, 200_000, 5_000, 200_000)
    assert bidder().hears(Quote(5_000, 500_100, None)) is None
    assert bidder(need_wh=0).hears(Quote(5_000, 200_000, None)) is None


def test_its_own_standing_bid_is_never_displaced() -> None:
    buyer = bidder()
    assert buyer.hears(Quote(5_000, 200_000, 150_000)) is None
    assert buyer.hears(Quote(5_000, 0, 0)) is None
    assert buyer.hears(Quote(5_000, 0, None)) == Placed(1, 0, 1_000, 0)


def test_an_unanswered_bid_is_followed_only_when_a_push_shows_it_beaten() -> None:
    buyer = bidder()
    buyer.hears(Quote(1_000, 200_000, None))
    assert buyer.hears(Quote(1_000, 200_000, None)) is None
    assert buyer.hears(Quote(1_000, 201_000, 200_000)) is None
    assert buyer.hears(Quote(1_000, 203_000, None)) == Placed(2, 203_000, 1_000, 203_000)
    assert buyer.hears(Refused(1, OUTBID, 202_000)) is None
    assert buyer.hears(Refused(2, OUTBID, 204_000)) == Placed(3, 204_000, 1_000, 204_000)


def test_after_a_refusal_the_price_to_beat_is_above_the_bid_whatever_is_told() -> None:
    buyer = bidder()
    buyer.hears(Quote(1_000, 200_000, None))
    assert buyer.hears(Refused(1, OUTBID, 100_000)) == Placed(2, 200_100, 1_000, 200_100)


def test_what_others_left_is_bid_for_once_it_is_known() -> None:
    knows = bidder()
    knows.hears(Quote(1_000, 200_000, None))
    assert knows.hears(Quote(300, 200_000, None)) is None
    assert knows.hears(Refused(1, int(ReasonCode.NOT_ENOUGH_ENERGY), 200_000)) == Placed(2, 200_000, 300, 200_000)
    waits = bidder()
    waits.hears(Quote(1_000, 200_000, None))
    assert waits.hears(Refused(1, int(ReasonCode.NOT_ENOUGH_ENERGY), 200_000)) is None
    assert waits.hears(Quote(300, 200_000, None)) == Placed(2, 200_000, 300, 200_000)


def test_another_refusal_waits_for_the_next_push() -> None:
    buyer = bidder()
    buyer.hears(Quote(1_000, 200_000, None))
    assert buyer.hears(Refused(1, int(ReasonCode.NO_LOT), 200_000)) is None
    assert buyer.hears(Refused(7, OUTBID, 200_000)) is None


def test_need_and_budget_shrink_with_what_is_won() -> None:
    buyer = bidder(need_wh=2_000, budget=700_000_000)
    assert buyer.hears(Quote(1_000, 300_000, None)) == Placed(1, 300_000, 1_000, 300_000)
    assert buyer.hears(Won(1, 300_000, 1_000)) is None
    assert buyer.hears(Quote(1_000, 400_100, None)) is None
    assert buyer.hears(Quote(3_000, 400_000, None)) == Placed(2, 400_000, 1_000, 400_000)
    buyer.hears(Won(2, 400_000, 1_000))
    assert buyer.hears(Quote(3_000, 0, None)) is None


def test_a_bid_is_cut_to_what_the_budget_pays_for() -> None:
    buyer = bidder("random", budget=210_050_000)
    buyer.hears(Quote(1_000, 200_000, None))
    assert buyer.hears(Quote(1_000, 201_000, None)) == Placed(2, 210_000, 1_000, 201_000)
    assert bidder(budget=199_999_999).hears(Quote(1_000, 200_000, None)) is None


def test_what_is_never_answered_is_given_up() -> None:
    buyer = bidder()
    buyer.hears(Quote(1_000, 200_000, None))
    assert buyer.gives_up(1) == Placed(2, 200_000, 1_000, 200_000)
    assert buyer.hears(Quote(1_000, 203_000, None)) == Placed(3, 203_000, 1_000, 203_000)
    assert buyer.gives_up(2) is None
    assert buyer.hears(Refused(2, OUTBID, 203_000)) is None


def test_a_rival_is_forgotten_when_the_price_falls_back() -> None:
    """As an aggregator does: the lowest price to beat, again after a higher one, looks like a new lot."""
    buyer = bidder("aggressive")
    buyer.hears(Quote(1_000, 200_000, None))
    jump = buyer.hears(Refused(1, OUTBID, 201_000))
    assert jump == Placed(2, 499_000, 1_000, 201_000)
    buyer.hears(Refused(2, int(ReasonCode.NO_LOT), 0))
    assert buyer.hears(Quote(1_000, 200_000, None)) == Placed(3, 200_000, 1_000, 200_000)

"""Rules that clear once: who is read in time, what is paid, and what buyers learn from it."""

from __future__ import annotations

import pytest

from aggregator.strategies import NEW_MIND, Decision, Draws, LotView, Mind, Why
from aggregator.strategies import Outcome as Lesson
from market.mechanism import Buyer, Setting, play, play_lot
from market.strategies import SEALED


class Pupil:
    """Bids a price, and keeps what it is taught."""

    name = "pupil"

    def __init__(self, price_e4: int) -> None:
        self.price_e4 = price_e4
        self.lessons: list[Lesson] = []
        self.views: list[LotView] = []

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:
        self.views.append(view)
        return Decision(self.price_e4, Why.BID), mind

    def learn(self, mind: Mind, outcome: Lesson, draws: Draws) -> Mind:
        self.lessons.append(outcome)
        return mind


@pytest.mark.parametrize("rule", sorted(SEALED))
def test_a_bid_read_after_the_clearing_takes_no_part(rule: str) -> None:
    setting = Setting(rule, 1_000, 100_000)
    near, far = Buyer(300_000, 1_000, up_ms=10), Buyer(900_000, 1_000, up_ms=300, down_ms=110.5)
    outcome = play(setting, [near, far], seed=1)
    assert (outcome.bids, outcome.ended_ms, outcome.awards[0].buyer) == (1, 410, 0)
    in_time = Buyer(900_000, 1_000, up_ms=300, down_ms=109)
    assert play(setting, [near, in_time], seed=1).awards[0].buyer == 1


def test_who_is_told_nothing_learns_nothing() -> None:
    setting = Setting("sealed_first", 1_000, 100_000, price_cap_e4=800_000)
    pupils = [Pupil(300_000), Pupil(400_000), Pupil(500_000), Pupil(900_000)]
    ways = [0.0, 0.0, 200.5, 0.0]
    buyers = [Buyer(950_000, 1_000, up_ms=way, down_ms=way) for way in ways]
    outcome, _ = play_lot(setting, buyers, pupils, [NEW_MIND] * 4, seed=1, lot=0)
    assert [(sold.buyer, sold.price_e4) for sold in outcome.awards] == [(1, 400_000)]
    assert pupils[0].lessons == [Lesson(False, 300_000, 100_000, 950_000)]
    assert pupils[1].lessons == [Lesson(True, 400_000, 100_000, 950_000, 400_000)]
    assert pupils[2].lessons == pupils[3].lessons == []


def test_a_buyer_sees_its_value_and_not_its_purse() -> None:
    pupil = Pupil(900_000)
    buyer = Buyer(950_000, 1_000, budget=200_050_000)
    outcome, _ = play_lot(Setting("sealed_first", 1_000, 100_000), [buyer], [pupil], [NEW_MIND], seed=1, lot=0)
    assert (pupil.views[0].value_e4, pupil.views[0].sealed) == (950_000, True)
    assert [sold.price_e4 for sold in outcome.awards] == [200_000]


def test_a_stall_can_make_a_bid_late() -> None:
    setting = Setting("sealed_second", 1_000, 100_000, loss=0.5)
    buyers = [Buyer(900_000, 1_000), Buyer(300_000, 1_000)]
    read = [play(setting, buyers, seed=seed).bids for seed in range(200)]
    assert set(read) == {1, 2}
    assert all(play(setting, buyers[:1], seed=seed).awards for seed in range(50))


def test_nobody_there_is_an_unsold_lot() -> None:
    outcome = play(Setting("sealed_second", 1_000, 100_000), [Buyer(50_000, 1_000)], seed=1)
    assert outcome == ((), 0, 0, 0, 0, None, 1_000, 0)

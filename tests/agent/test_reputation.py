"""Reputation: who is refused, for how long, and that the table stays bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.reputation import SCORE_MAX, SCORE_START, ReputationBook

HOUR_MS = 3_600_000


def test_a_stranger_starts_in_the_middle_and_is_served() -> None:
    book = ReputationBook()
    assert book.standing("a").score_at(0) == SCORE_START
    assert not book.refuses("a", 0)
    assert not book.is_regular("a")


def test_an_unconfirmed_award_refuses_for_ten_seconds_and_doubles_to_an_hour() -> None:
    book = ReputationBook()
    now_ms = 0
    for penalty_s in (10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600):
        book.left_unconfirmed("a", now_ms)
        assert book.refuses("a", now_ms + penalty_s * 1_000 - 1)
        now_ms += penalty_s * 1_000
        assert not book.refuses("a", now_ms)


def test_a_confirmed_trade_makes_a_regular_and_forgives_the_doubling() -> None:
    book = ReputationBook()
    book.left_unconfirmed("a", 0)
    book.left_unconfirmed("a", 10_000)
    assert book.confirmed("a", 60_000).score > book.standing("b").score * 3 // 4
    assert book.is_regular("a")
    book.left_unconfirmed("a", 70_000)
    assert not book.refuses("a", 80_000)


def test_the_score_moves_by_sixteenths_up_and_eighths_down() -> None:
    book = ReputationBook()
    assert book.confirmed("a", 0).score == 5_000 + 5_000 // 16
    assert book.left_unconfirmed("b", 0).score == 5_000 - 5_000 // 8


def test_a_bad_score_recovers_by_a_hundred_an_hour_to_where_everybody_starts() -> None:
    book = ReputationBook()
    low = book.left_unconfirmed("a", 0)
    assert low.score_at(HOUR_MS) == low.score + 100
    assert low.score_at(1_000 * HOUR_MS) == SCORE_START


def test_a_floor_refuses_buyers_below_it_only() -> None:
    book = ReputationBook(score_floor=4_500)
    book.left_unconfirmed("a", 0)
    assert book.refuses("a", 20_000)
    assert not book.refuses("b", 0)
    assert not book.refuses("a", 3 * HOUR_MS)
    assert ReputationBook(score_floor=6_000).refuses("stranger", 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, HOUR_MS)), max_size=60))
def test_scores_stay_in_range(steps: list[tuple[str, bool, int]]) -> None:
    book = ReputationBook()
    now_ms = 0
    for buyer, good, wait_ms in steps:
        now_ms += wait_ms
        standing = book.confirmed(buyer, now_ms) if good else book.left_unconfirmed(buyer, now_ms)
        assert 0 <= standing.score <= SCORE_MAX
        assert standing.blocked_until_ms <= now_ms + HOUR_MS


def test_ten_thousand_strangers_do_not_fill_the_memory_nor_free_the_penalised() -> None:
    book = ReputationBook()
    book.left_unconfirmed("bad", 0)
    for i in range(10_000):
        book.confirmed(f"stranger-{i}", 1)
    assert len(book) <= 4_096
    assert book.refuses("bad", 5_000)


def test_a_remembered_standing_is_put_back() -> None:
    book = ReputationBook()
    other = ReputationBook()
    other.restore("a", book.left_unconfirmed("a", 0))
    assert other.refuses("a", 9_999)

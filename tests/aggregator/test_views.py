"""What a buyer remembers: the market, the batteries, refusals and endpoints that fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.breaker import FAILURES_MAX, PAUSE_MAX_MS, RETRY_MS, Breaker, Circuit
from aggregator.market_view import MarketView
from aggregator.reactions import REACTIONS, BackOff, Reaction, reaction_to
from aggregator.reputation import Reputation
from etp.messages import ReasonCode

HOUR_MS = 3_600_000


def test_a_fresh_market_view_says_nothing() -> None:
    view = MarketView()
    assert (view.mean_beat_e4, view.mean_paid_e4, view.win_permille, view.best_hour) == (None, None, None, None)
    assert (view.volatility_e4, view.bidders()) == (0, 2)


def test_a_market_view_follows_prices_and_knows_the_cheap_hour() -> None:
    view = MarketView()
    for day in range(30):
        for hour, beat in ((2, 50_000), (18, 200_000)):
            view.saw(beat, (day * 24 + hour) * HOUR_MS)
    assert view.best_hour == 2
    assert view.mean_beat_e4 is not None
    assert 50_000 < view.mean_beat_e4 < 200_000
    assert view.volatility_e4 > 50_000
    for _ in range(200):
        view.saw(70_000, 0)
    assert view.mean_beat_e4 == 70_000
    assert view.volatility_e4 < 1_000


def test_a_market_view_counts_lots_and_infers_rivals() -> None:
    view = MarketView()
    for _ in range(30):
        view.bid()
        view.lost_bid()
        view.lost_lot()
    for _ in range(10):
        view.won(120_000)
    assert (view.bids, view.outbid, view.lots, view.wins) == (30, 30, 40, 10)
    assert view.win_permille == 250
    assert view.mean_paid_e4 == 120_000
    assert view.bidders() == 4
    for _ in range(10_000):
        view.lost_lot()
    assert view.bidders() == 20


def test_a_battery_is_worth_what_it_delivers() -> None:
    reputation = Reputation(capacity=2)
    assert reputation.permille("a") == 1_000
    for _ in range(10):
        reputation.ended("a", agreed_wh=5_000, delivered_wh=2_500, code=ReasonCode.FAULT)
    assert reputation.trades("a") == 10
    assert 500 < reputation.permille("a") < 600
    for _ in range(100):
        reputation.ended("a", agreed_wh=5_000, delivered_wh=9_000, code=0)
    assert 900 < reputation.permille("a") <= 1_000


def test_what_the_buyer_caused_is_not_held_against_the_battery() -> None:
    reputation = Reputation()
    reputation.ended("a", agreed_wh=5_000, delivered_wh=0, code=ReasonCode.NOT_CONFIRMED)
    reputation.ended("a", agreed_wh=5_000, delivered_wh=0, code=0, stopped=True)
    reputation.ended("a", agreed_wh=0, delivered_wh=0, code=0)
    assert (reputation.trades("a"), reputation.permille("a")) == (0, 1_000)


def test_the_table_of_batteries_is_bounded() -> None:
    reputation = Reputation(capacity=2)
    for name in ("a", "b", "a", "c"):
        reputation.ended(name, agreed_wh=1_000, delivered_wh=0, code=2)
    assert [reputation.trades(name) for name in "abc"] == [2, 0, 1]


def test_every_reason_code_has_a_reaction() -> None:
    assert set(REACTIONS) == set(ReasonCode)
    assert reaction_to(200) is Reaction.MUTE


def test_back_off_doubles_by_kind_and_is_forgotten_after_a_normal_answer() -> None:
    back_off = BackOff()
    assert [back_off.wait_ms(Reaction.AVOID) for _ in range(3)] == [10_000, 20_000, 40_000]
    assert [back_off.wait_ms(Reaction.YIELD) for _ in range(8)][-1] == 60_000
    assert back_off.wait_ms(Reaction.PAUSE) == 500
    assert back_off.wait_ms(Reaction.MUTE) == 0
    assert back_off.wait_ms(Reaction.AVOID) == 80_000
    assert back_off.wait_ms(Reaction.OUTBID) == 0
    assert back_off.wait_ms(Reaction.AVOID) == 10_000


def fail(breaker: Breaker, times: int, at_ms: int) -> Breaker:
    for _ in range(times):
        breaker = breaker.dialled(at_ms).failed(at_ms)
    return breaker


def test_the_breaker_opens_after_five_failures_in_a_minute() -> None:
    breaker = fail(Breaker(), 4, 0)
    assert (breaker.circuit, breaker.wait_ms(0)) == (Circuit.CLOSED, 4 * RETRY_MS)
    assert fail(breaker, 1, 59_999).circuit is Circuit.OPEN
    assert fail(breaker, 1, 60_000).circuit is Circuit.CLOSED


def test_an_open_breaker_tries_once_after_a_pause_that_doubles_to_a_minute() -> None:
    breaker = fail(Breaker(), 5, 0)
    now_ms, pauses = 0, []
    for _ in range(8):
        pauses.append(breaker.wait_ms(now_ms))
        assert breaker.dialled(now_ms).circuit is Circuit.OPEN
        now_ms += pauses[-1]
        breaker = breaker.dialled(now_ms)
        assert breaker.circuit is Circuit.HALF_OPEN
        breaker = breaker.failed(now_ms)
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_a_valid_answer_closes_the_breaker_but_short_lives_still_count() -> None:
    breaker = fail(Breaker(), 5, 0).dialled(1_000).answered()
    assert (breaker.circuit, breaker.wait_ms(1_000)) == (Circuit.CLOSED, 0)
    assert breaker.lost(2_000, 1_000).circuit is Circuit.OPEN
    assert breaker.lost(9_000, 8_000).circuit is Circuit.CLOSED
    assert breaker.lost(9_000, 8_000).wait_ms(9_000) == RETRY_MS


@given(st.lists(st.tuples(st.sampled_from(["dial", "fail", "answer", "lose"]), st.integers(0, 90_000)), max_size=40))
def test_the_breaker_never_waits_more_than_a_minute_nor_remembers_more_than_five(moves: list[tuple[str, int]]) -> None:
    breaker, now_ms = Breaker(), 0
    for move, ms in moves:
        now_ms += ms
        match move:
            case "dial":
                breaker = breaker.dialled(now_ms)
            case "fail":
                breaker = breaker.failed(now_ms)
            case "answer":
                breaker = breaker.answered()
            case _:
                breaker = breaker.lost(now_ms, ms)
        assert 0 <= breaker.wait_ms(now_ms) <= PAUSE_MAX_MS
        assert len(breaker.failures_ms) <= FAILURES_MAX


def test_reputation_needs_no_known_code() -> None:
    reputation = Reputation()
    reputation.ended("a", agreed_wh=100, delivered_wh=100, code=99)
    assert reputation.permille("a") == pytest.approx(1_000)

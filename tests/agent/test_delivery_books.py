from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.books_types import BookedAlarm, BookedTakeOver, BookedTrade, Books
from agent.delivery_plan import TAIL_MS
from agent.delivery_resume import Away, away_wh, resume
from agent.records import Deal
from drivers.device import BatteryInfo, TakeOver

if TYPE_CHECKING:
    from agent.records import TradeKey

DEAL = Deal(peer="conn:1", bid_id=1, price_e4=1, energy_wh=1_000, power_w=4_000, lot_id=1, window_s=1_185)
WALL_MS = 1_000_000_000
AWAY = Away(
    counter_wh=500,
    counter_wall_ms=WALL_MS - 5_000,
    since_wall_ms=WALL_MS - 30_000,
    energy_wh=1_000,
    power_w=4_000,
)


def books(**more: object) -> Books:
    return Books(battery="b1", **more)  # type: ignore[arg-type]


def booked(**more: object) -> BookedTrade:
    plain = {"seq": 5, "award_seq": 4, "deal": DEAL, "confirmed_wall_ms": WALL_MS - 60_000}
    return BookedTrade(**(plain | more))  # type: ignore[arg-type]


def away_since(wall_ms: int) -> dict[TradeKey, Away]:
    """Return two trades that ran at 1 and 2 kW when the counter was last put on record, at 1,000 Wh."""
    both = replace(AWAY, counter_wh=1_000, counter_wall_ms=wall_ms, since_wall_ms=wall_ms)
    return {
        ("a", 1): replace(both, energy_wh=500, power_w=1_000),
        ("b", 2): replace(both, energy_wh=1_000, power_w=2_000),
    }


def device(*, counter_step_wh: int = 1, dead_man_ms: int | None = None) -> BatteryInfo:
    return BatteryInfo(
        family="test",
        rated_power_w=5_000,
        capacity_wh=13_500,
        min_power_w=50,
        dead_man_ms=dead_man_ms,
        counter_step_wh=counter_step_wh,
    )


def test_books_become_runs_in_the_order_of_their_confirms() -> None:
    later = booked(seq=9, deal=Deal(peer="conn:2", bid_id=2, price_e4=1, energy_wh=500, power_w=1_000, lot_id=1))
    left = resume(
        books(trades={("conn:2", 2): later, DEAL.key: booked(delivered_wh=300)}), now_ms=10_000, wall_ms=WALL_MS
    )
    assert [run.trade.key for run in left.runs] == [DEAL.key, ("conn:2", 2)]
    assert [run.before_wh for run in left.runs] == [300, 0]
    # 1,185 s and (ceil(4,500 x 0.5 / 1) + 60) s, less the minute that has passed
    assert [run.ends_by_ms for run in left.runs] == [10_000 + 1_125_000, 10_000 + 2_250_000]
    assert left.away == {}
    assert left.take_over is None


@pytest.mark.parametrize(("wall_ms", "left_ms"), [(WALL_MS - 10**9, 1_185_000), (WALL_MS + 10**9, 0)])
def test_a_clock_that_was_set_never_stretches_a_window(wall_ms: int, left_ms: int) -> None:
    left = resume(books(trades={DEAL.key: booked()}), now_ms=10_000, wall_ms=wall_ms)
    assert left.runs[0].ends_by_ms == 10_000 + left_ms


def test_a_lab_whose_time_runs_faster_has_shorter_windows() -> None:
    left = resume(books(trades={DEAL.key: booked(confirmed_wall_ms=WALL_MS)}), now_ms=0, wall_ms=WALL_MS, time_lapse=60)
    assert left.runs[0].ends_by_ms == 19_750


def test_only_what_had_started_under_a_counter_is_read_up() -> None:
    started = booked(started_wall_ms=WALL_MS - 30_000, counter_wh=500, counter_wall_ms=WALL_MS - 5_000)
    assert resume(books(trades={DEAL.key: started}), now_ms=0, wall_ms=WALL_MS).away == {DEAL.key: AWAY}
    undated = booked(started_wall_ms=WALL_MS - 30_000, counter_wh=500)
    assert resume(books(trades={DEAL.key: undated}), now_ms=0, wall_ms=WALL_MS).away == {
        DEAL.key: replace(AWAY, counter_wall_ms=WALL_MS - 30_000)
    }
    for other in (booked(started_wall_ms=WALL_MS), booked(counter_wh=500)):
        assert resume(books(trades={DEAL.key: other}), now_ms=0, wall_ms=WALL_MS).away == {}


def test_where_records_are_missing_a_trade_may_have_been_served_until_its_window_closed() -> None:
    started = booked(started_wall_ms=WALL_MS - 30_000, counter_wh=500, counter_wall_ms=WALL_MS - 5_000)
    left = resume(books(trades={DEAL.key: started}, outlived=True), now_ms=0, wall_ms=WALL_MS)
    assert left.away == {DEAL.key: replace(AWAY, until_wall_ms=WALL_MS - 60_000 + 1_185_000)}
    until = replace(AWAY, until_wall_ms=WALL_MS + 20_000)
    assert AWAY.served_ms(WALL_MS + 100_000, 10_000) == 5_000 + 10_000 + TAIL_MS
    assert until.served_ms(WALL_MS + 100_000, 10_000) == 25_000 + TAIL_MS
    assert until.served_ms(WALL_MS + 1_000, 10_000) == 6_000
    assert replace(AWAY, until_wall_ms=WALL_MS - 60_000).served_ms(WALL_MS, 10_000) == TAIL_MS


@pytest.mark.parametrize(
    ("now_ms", "wall_ms", "known"),
    [
        (110_000, WALL_MS, True),
        (114_000, WALL_MS, True),
        (106_000, WALL_MS, True),
        (116_000, WALL_MS, False),
        (104_000, WALL_MS, False),
        (40_000, WALL_MS, False),
        (40_000, WALL_MS - 70_000, False),
    ],
    ids=["one clock", "fast", "slow", "clock set back", "clock set on", "booted anew", "booted anew, clock set back"],
)
def test_monotonic_times_are_known_while_the_clock_is_the_one_they_were_taken_with(
    now_ms: int, wall_ms: int, known: bool
) -> None:
    deal = replace(DEAL, asked_at_ms=49_000, awarded_at_ms=49_400)
    trade = booked(deal=deal, confirmed_at_ms=50_000, first_setpoint_at_ms=50_100, started_wall_ms=WALL_MS - 59_900)
    [run] = resume(books(trades={DEAL.key: trade}), now_ms=now_ms, wall_ms=wall_ms).runs
    found = (run.trade.asked_at_ms, run.trade.awarded_at_ms, run.trade.confirmed_at_ms, run.first_setpoint_at_ms)
    assert found == ((49_000, 49_400, 50_000, 50_100) if known else (None, None, None, None))
    served_again = replace(run, started_at_ms=now_ms)
    assert served_again.first_setpoint_at_ms == (50_100 if known else None)


def test_a_trade_that_had_not_begun_begins_with_this_starts_first_setpoint() -> None:
    [run] = resume(books(trades={DEAL.key: booked()}), now_ms=110_000, wall_ms=WALL_MS).runs
    assert (run.trade.confirmed_at_ms, run.first_setpoint_at_ms) == (None, None)
    assert replace(run, started_at_ms=110_050).first_setpoint_at_ms == 110_050


def test_the_take_over_comes_back_as_it_was_written() -> None:
    whole = TakeOver(found={"A": 1}, recipe=(("A", 1),), addresses={"A": (40_000, 2)}, unit=3, serial="X")
    record = BookedTakeOver({"A": 1}, (("A", 1),), {**whole.to_json(), "baseline_w": 500})
    left = resume(books(take_over=record), now_ms=0, wall_ms=0)
    assert (left.take_over, left.baseline_w) == (whole, 500)
    bare = resume(books(take_over=BookedTakeOver({"A": 1}, (("A", 1),))), now_ms=0, wall_ms=0)
    assert bare.take_over == TakeOver(found={"A": 1}, recipe=(("A", 1),), addresses={})
    assert bare.baseline_w == 0
    wrong = BookedTakeOver({"A": 1}, (("A", 1),), {**whole.to_json(), "baseline_w": None})
    assert resume(books(take_over=wrong), now_ms=0, wall_ms=0).baseline_w == 0


def test_only_blocking_alarms_of_deliveries_are_restored() -> None:
    alarms = {
        "echo-failed": BookedAlarm("why", True, 0),
        "release-unanswered": BookedAlarm("why", False, 0),
        "journal": BookedAlarm("why", True, 0),
    }
    assert resume(books(alarms=alarms), now_ms=0, wall_ms=0).alarms == {"echo-failed": "why"}


@pytest.mark.parametrize(
    ("counter_wh", "elapsed_ms", "step_wh", "parts"),
    [
        (1_030, 60_000, 1, {1: 10, 2: 20}),
        (1_031, 60_000, 1, {1: 10, 2: 20}),
        (1_000, 60_000, 1, {1: 0, 2: 0}),
        (1_200, 60_000, 1, {1: None, 2: None}),
        (1_200, 600_000, 1, {1: 66, 2: 133}),
        (999, 600_000, 1, {1: None, 2: None}),
        (1_030, -60_000, 1, {1: None, 2: None}),
        (1_030, 60_000, 10, {1: 0, 2: 20}),
    ],
)
def test_what_the_counter_moved_is_split_by_power_where_it_can_be_believed(
    counter_wh: int, elapsed_ms: int, step_wh: int, parts: dict[int, int | None]
) -> None:
    left = away_since(WALL_MS - elapsed_ms)
    told = away_wh(left, counter_wh, wall_ms=WALL_MS, info=device(counter_step_wh=step_wh))
    assert {key[1]: part for key, part in told.items()} == parts


@pytest.mark.parametrize(
    ("baseline_w", "elapsed_ms", "lapse", "parts"),
    [
        (0, 72_000, 1, {1: 20, 2: 40}),
        (1_500, 72_000, 1, {1: 10, 2: 20}),
        (3_000, 72_000, 1, {1: 0, 2: 0}),
        (9_000, 72_000, 1, {1: 0, 2: 0}),
        (1_500, 7_200, 10, {1: 10, 2: 20}),
    ],
)
def test_what_ran_before_the_take_over_is_nobodys_delivery(
    baseline_w: int, elapsed_ms: int, lapse: int, parts: dict[int, int]
) -> None:
    left = away_since(WALL_MS - elapsed_ms)
    told = away_wh(left, 1_060, wall_ms=WALL_MS, info=device(), baseline_w=baseline_w, time_lapse=lapse)
    assert {key[1]: part for key, part in told.items()} == parts


@pytest.mark.parametrize(
    ("dead_man_ms", "elapsed_ms", "lapse", "parts"),
    [
        (None, 600_000, 1, {1: 166, 2: 333}),
        (12_000, 600_000, 1, {1: 5, 2: 10}),
        (12_000, 9_000, 60, {1: 150, 2: 300}),
        (12_000, 30_000, 60, {1: 166, 2: 333}),
        (12_000, 0, 600, {1: 0, 2: 0}),
    ],
)
def test_nobody_is_told_more_than_its_power_can_have_given_until_the_dead_man(
    dead_man_ms: int | None, elapsed_ms: int, lapse: int, parts: dict[int, int]
) -> None:
    began_ms = WALL_MS - 3_600_000
    left = {key: replace(each, since_wall_ms=began_ms) for key, each in away_since(WALL_MS - elapsed_ms).items()}
    told = away_wh(left, 1_500, wall_ms=WALL_MS, info=device(dead_man_ms=dead_man_ms), time_lapse=lapse)
    assert {key[1]: part for key, part in told.items()} == parts


def test_a_clock_that_was_set_back_a_little_tells_nobody_of_energy_it_cannot_date() -> None:
    left = {key: replace(each, since_wall_ms=WALL_MS - 60_000) for key, each in away_since(WALL_MS + 5_000).items()}
    assert set(away_wh(left, 1_030, wall_ms=WALL_MS, info=device()).values()) == {0}


@given(
    moved_wh=st.integers(0, 400),
    elapsed_s=st.integers(1, 900),
    baseline_w=st.integers(0, 4_000),
    powers=st.lists(st.integers(50, 5_000), min_size=1, max_size=4),
    dead_man_ms=st.none() | st.integers(1_000, 60_000),
)
def test_what_is_told_never_exceeds_what_left_beyond_the_baseline(
    moved_wh: int, elapsed_s: int, baseline_w: int, powers: list[int], dead_man_ms: int | None
) -> None:
    since_ms = WALL_MS - elapsed_s * 1_000
    left = {
        ("a", n): replace(AWAY, counter_wall_ms=since_ms, since_wall_ms=since_ms, power_w=power_w)
        for n, power_w in enumerate(powers)
    }
    told = away_wh(left, 500 + moved_wh, wall_ms=WALL_MS, info=device(dead_man_ms=dead_man_ms), baseline_w=baseline_w)
    if None in told.values():
        return
    assert sum(part or 0 for part in told.values()) * 3_600 <= max(0, moved_wh * 3_600 - baseline_w * elapsed_s)
    served_s = elapsed_s if dead_man_ms is None else min(elapsed_s, 6 + dead_man_ms / 1_000)
    assert all((told[key] or 0) * 3_600 <= each.power_w * served_s for key, each in left.items())

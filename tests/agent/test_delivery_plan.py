from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.delivery_plan import (
    CLOSE_MAX_MS,
    TAIL_MS,
    TICK_MS,
    Act,
    Closing,
    Hold,
    Measured,
    Run,
    Snapshot,
    decide,
    effect_failed,
    effect_ok,
    final_code,
    setpoint_w,
)
from agent.guardrails import Obstacle
from agent.trades import Trade
from etp.messages import ReasonCode

NOW_MS = 100_000
STALE = Obstacle(ReasonCode.OFFLINE, "stale")
FAULT = Obstacle(ReasonCode.FAULT, "fault")
FRESH = Measured(0, None, 1)


def run(
    bid_id: int = 1, *, energy_wh: int = 1_000, power_w: int = 2_000, ends_by_ms: int = 900_000, **more: Any
) -> Run:
    trade = Trade(
        battery="b1",
        peer="conn:1",
        bid_id=bid_id,
        price_e4=1,
        energy_wh=energy_wh,
        power_w=power_w,
        lot_id=1,
        award_seq=1,
        confirmed_wall_ms=0,
        window_ms=1,
    )
    return Run(trade=trade, ends_by_ms=ends_by_ms, **more)


def snapshot(*runs: tuple[Run, Measured], **more: Any) -> Snapshot:
    base = Snapshot(now_ms=NOW_MS, hold=Hold.HELD, busy=False, runs=runs, cap_w=5_000, min_power_w=50, target_w=-2_000)
    return replace(base, **more)


RUNNING = run(started_at_ms=10)
WAITING = run(2)


def closing(code: int = 0, *, cut_at_ms: int | None = NOW_MS - 500, since_ms: int = NOW_MS - 600, **more: Any) -> Run:
    return run(
        started_at_ms=10,
        closing=Closing(code, "why" if code else "", since_ms, cut_at_ms, for_energy=code == 0),
        **more,
    )


RUNS = st.builds(
    run,
    bid_id=st.integers(1, 10**6),
    energy_wh=st.integers(1, 50_000),
    power_w=st.integers(1, 10_000),
    ends_by_ms=st.integers(NOW_MS - 5_000, NOW_MS + 5_000),
    started_at_ms=st.none() | st.integers(0, NOW_MS),
    reopened=st.booleans(),
    closing=st.none()
    | st.builds(
        Closing,
        st.sampled_from([0, 2, 3, 11, 12]),
        st.just("why"),
        st.integers(NOW_MS - 5_000, NOW_MS),
        st.none() | st.integers(NOW_MS - 5_000, NOW_MS),
        st.booleans(),
    ),
)
VIEWS = st.tuples(
    RUNS,
    st.builds(Measured, st.integers(0, 50_000), st.none() | st.integers(1, NOW_MS + 1_000), st.integers(1, 500)),
)
SNAPSHOTS = st.builds(
    Snapshot,
    now_ms=st.just(NOW_MS),
    hold=st.sampled_from(Hold),
    busy=st.booleans(),
    runs=st.lists(VIEWS, max_size=5, unique_by=lambda view: view[0].trade.key).map(tuple),
    cap_w=st.integers(0, 12_000),
    min_power_w=st.integers(0, 200),
    baseline_w=st.sampled_from([0, 0, 800]),
    target_w=st.integers(-12_000, 0),
    refresh_at_ms=st.none() | st.integers(NOW_MS - 100, NOW_MS + 100),
    retry_at_ms=st.sampled_from([0, NOW_MS, NOW_MS + 1]),
    obstacle=st.sampled_from([None, None, STALE, FAULT]),
    patient=st.booleans(),
    at_floor=st.booleans(),
    read_at_ms=st.integers(NOW_MS - 5_000, NOW_MS),
)


@given(
    runs=st.lists(RUNS, max_size=6),
    cap_w=st.integers(0, 12_000),
    least_w=st.integers(0, 500),
    baseline_w=st.integers(0, 3_000),
)
def test_the_setpoint_never_charges_and_never_passes_a_limit(
    runs: list[Run], cap_w: int, least_w: int, baseline_w: int
) -> None:
    target_w = setpoint_w(runs, cap_w=cap_w, min_power_w=least_w, baseline_w=baseline_w)
    assert -cap_w <= target_w <= 0
    wanted_w = sum(each.trade.power_w for each in runs if each.closing is None)
    assert -target_w <= wanted_w + baseline_w
    assert target_w == 0 or (-target_w >= least_w and wanted_w > 0)
    if cap_w >= wanted_w + baseline_w >= max(1, least_w) and wanted_w:
        assert -target_w == wanted_w + baseline_w


@given(SNAPSHOTS)
def test_every_decision_keeps_every_run_and_only_does_what_the_hold_allows(now: Snapshot) -> None:
    plan = decide(now)
    before = {each.trade.key for each, _ in now.runs}
    kept, ended = [each.trade.key for each in plan.runs], [each.trade.key for each in plan.ended]
    assert sorted(kept + ended) == sorted(before)
    assert all(each.closing is not None for each in plan.ended)
    assert now.now_ms < plan.wake_at_ms <= now.now_ms + TICK_MS
    allowed = {
        Hold.FREE: {Act.NONE, Act.TAKE_OVER},
        Hold.HELD: {Act.NONE, Act.COMMAND, Act.REFRESH, Act.RELEASE},
        Hold.RELEASING: {Act.NONE, Act.RELEASE},
    }
    assert plan.act in allowed[now.hold]
    if now.busy or now.now_ms < now.retry_at_ms:
        assert plan.act is Act.NONE
    elif now.obstacle is not None:
        assert plan.act is (Act.NONE if now.hold is Hold.FREE else Act.RELEASE)
    elif now.hold is Hold.HELD and not any(each.closing is None for each in plan.runs):
        assert plan.act is Act.RELEASE


@given(SNAPSHOTS)
def test_an_obstacle_a_floor_and_a_window_end_close_every_run(now: Snapshot) -> None:
    plan = decide(now)
    for each in plan.runs:
        if each.closing is None:
            assert now.obstacle is None or now.patient
            assert now.patient or not now.at_floor
            assert each.ends_by_ms > now.now_ms


@given(
    start=st.lists(RUNS, min_size=1, max_size=3, unique_by=lambda each: each.trade.key),
    weather=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([None, None, None, STALE]), st.booleans()), max_size=80
    ),
)
def test_every_run_ends_exactly_once_and_soon_after_its_window(
    start: list[Run], weather: list[tuple[int, Obstacle | None, bool]]
) -> None:
    runs = [replace(each, closing=None, started_at_ms=None, reopened=False) for each in start]
    hold, target_w, now_ms = Hold.FREE, 0, NOW_MS
    received = {each.trade.key: 0 for each in runs}
    ended: list[Run] = []
    weather += [(0, None, False)] * 80
    for gained_wh, obstacle, busy in weather:
        now_ms += TICK_MS
        for each in runs:
            if each.started_at_ms is not None and hold is Hold.HELD:
                received[each.trade.key] += gained_wh
        views = tuple((each, Measured(min(received[each.trade.key], each.trade.energy_wh), None, 1)) for each in runs)
        views = tuple(
            (each, m._replace(reached_at_ms=now_ms if m.delivered_wh >= each.trade.energy_wh else None))
            for each, m in views
        )
        plan = decide(
            snapshot(
                *views, now_ms=now_ms, hold=hold, busy=busy, target_w=target_w, obstacle=obstacle, read_at_ms=now_ms
            )
        )
        runs, ended = list(plan.runs), ended + list(plan.ended)
        match plan.act:
            case Act.TAKE_OVER | Act.COMMAND:
                hold = Hold.HELD
                target_w = setpoint_w(runs, cap_w=5_000, min_power_w=50)
                runs = [
                    each.cut(now_ms) if each.closing else replace(each, started_at_ms=each.started_at_ms or now_ms)
                    for each in runs
                ]
            case Act.RELEASE:
                hold, target_w = Hold.FREE, 0
                runs = [each.cut(now_ms) for each in runs]
            case Act.NONE | Act.REFRESH:
                pass
    assert sorted(each.trade.key for each in ended) == sorted(received)
    assert (runs, hold) == ([], Hold.FREE)


def test_the_first_trade_takes_the_battery_over() -> None:
    assert decide(snapshot((WAITING, FRESH), hold=Hold.FREE)).act is Act.TAKE_OVER
    assert decide(snapshot((WAITING, FRESH), hold=Hold.FREE, cap_w=49)).act is Act.NONE
    assert decide(snapshot(hold=Hold.FREE)).act is Act.NONE


@pytest.mark.parametrize(
    ("change", "act"),
    [
        ({}, Act.NONE),
        ({"refresh_at_ms": NOW_MS}, Act.REFRESH),
        ({"refresh_at_ms": NOW_MS + 1}, Act.NONE),
        ({"cap_w": 1_999}, Act.COMMAND),
        ({"cap_w": 0}, Act.RELEASE),
        ({"target_w": -1_951}, Act.NONE),
        ({"target_w": -1_950}, Act.COMMAND),
        ({"target_w": -2_001}, Act.COMMAND),
        ({"at_floor": True}, Act.RELEASE),
        ({"obstacle": FAULT}, Act.RELEASE),
        ({"retry_at_ms": NOW_MS + 1, "cap_w": 0}, Act.NONE),
    ],
)
def test_a_held_battery_is_written_to_only_for_news(change: dict[str, Any], act: Act) -> None:
    assert decide(snapshot((RUNNING, FRESH), **change)).act is act


def test_a_waiting_run_is_worth_a_write_even_when_the_cap_is_used_up() -> None:
    assert decide(snapshot((RUNNING, FRESH), (WAITING, FRESH), cap_w=2_000)).act is Act.COMMAND


def test_when_one_of_several_closes_only_its_power_goes() -> None:
    reached = Measured(1_000, NOW_MS, 1)
    plan = decide(snapshot((RUNNING, reached), (run(2, started_at_ms=20), FRESH), target_w=-4_000))
    assert plan.act is Act.COMMAND
    assert setpoint_w(plan.runs, cap_w=5_000, min_power_w=50) == -2_000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"obstacle": STALE}, ReasonCode.OFFLINE),
        ({"obstacle": FAULT, "at_floor": True}, ReasonCode.FAULT),
        ({"at_floor": True}, ReasonCode.NOT_ENOUGH_ENERGY),
        ({"now_ms": 900_000}, ReasonCode.NOT_ENOUGH_ENERGY),
    ],
)
def test_why_a_run_closes(change: dict[str, Any], code: ReasonCode) -> None:
    [only] = decide(snapshot((RUNNING, FRESH), busy=True, **change)).runs or [None]
    if only is None:
        [only] = decide(snapshot((RUNNING, FRESH), busy=True, **change)).ended
    assert only.closing is not None
    assert only.closing.code == code


def test_trades_of_an_earlier_start_wait_for_a_battery_that_was_not_seen_yet() -> None:
    plan = decide(snapshot((WAITING, FRESH), hold=Hold.FREE, obstacle=STALE, patient=True, at_floor=True))
    assert plan.runs == (WAITING,)
    assert plan.act is Act.NONE


@pytest.mark.parametrize(
    ("each", "measured", "change", "over"),
    [
        # not cut yet: only for so long
        (closing(12, cut_at_ms=None), FRESH, {}, False),
        (closing(12, cut_at_ms=None, since_ms=NOW_MS - CLOSE_MAX_MS), FRESH, {}, True),
        # stopped: the first reading after the cut completes it
        (closing(12), FRESH, {"read_at_ms": NOW_MS - 501}, False),
        (closing(12), FRESH, {"read_at_ms": NOW_MS - 500}, True),
        (closing(12, cut_at_ms=NOW_MS - CLOSE_MAX_MS), FRESH, {"read_at_ms": 0}, True),
        # for energy: when it is all there, or the ramp is over
        (closing(0), Measured(1_000, None, 1), {"read_at_ms": 0}, True),
        (closing(0), Measured(999, None, 1), {"read_at_ms": NOW_MS}, False),
        (closing(0, cut_at_ms=NOW_MS - TAIL_MS), Measured(999, None, 1), {"read_at_ms": NOW_MS}, True),
        # a silent battery tells nothing more
        (closing(3, cut_at_ms=None), FRESH, {}, True),
        # never started
        (run(closing=Closing(12, "why", NOW_MS)), FRESH, {}, True),
        (run(closing=Closing(12, "why", NOW_MS)), FRESH, {"busy": True}, False),
        (run(closing=Closing(12, "why", NOW_MS)), FRESH, {"busy": True, "hold": Hold.RELEASING}, True),
    ],
)
def test_a_closing_run_ends_when_nothing_more_can_be_its_own(
    each: Run, measured: Measured, change: dict[str, Any], over: bool
) -> None:
    assert bool(decide(snapshot((each, measured), **change)).ended) is over


@pytest.mark.parametrize(
    ("each", "change", "again"),
    [
        (closing(0, cut_at_ms=NOW_MS - TAIL_MS), {}, True),
        (closing(0, cut_at_ms=NOW_MS - TAIL_MS, reopened=True), {}, False),
        (closing(2, cut_at_ms=NOW_MS - TAIL_MS), {}, False),
        (closing(0, cut_at_ms=NOW_MS - TAIL_MS), {"obstacle": FAULT}, False),
        (closing(0, cut_at_ms=NOW_MS - TAIL_MS), {"at_floor": True}, False),
        (closing(0, cut_at_ms=NOW_MS - TAIL_MS, ends_by_ms=NOW_MS), {}, False),
    ],
)
def test_a_run_that_closed_on_a_wrong_estimate_opens_once_more(each: Run, change: dict[str, Any], again: bool) -> None:
    plan = decide(snapshot((each, Measured(998, None, 1)), read_at_ms=NOW_MS, **change))
    assert bool(plan.runs) is again
    if again:
        [only] = plan.runs
        assert only.closing is None
        assert only.reopened
        assert only.phase == "running"


@pytest.mark.parametrize(
    ("each", "delivered_wh", "code"),
    [
        (closing(0), 1_000, ReasonCode.NONE),
        (closing(0), 999, ReasonCode.NONE),
        (closing(0), 998, ReasonCode.NOT_ENOUGH_ENERGY),
        (closing(11), 1_000, ReasonCode.NONE),
        (closing(11), 999, ReasonCode.FAULT),
        (closing(12), 0, ReasonCode.WITHDRAWN),
        (RUNNING, 1_000, ReasonCode.NONE),
    ],
)
def test_the_end_code_says_whether_all_of_it_was_delivered(each: Run, delivered_wh: int, code: ReasonCode) -> None:
    assert final_code(each, Measured(delivered_wh, None, 1))[0] == code


def test_the_first_reason_to_close_stands() -> None:
    once = RUNNING.close(12, "owner", 5).close(11, "fault", 6).cut(7).cut(8)
    assert once.closing == Closing(12, "owner", 5, 7)
    assert once.phase == "closing"
    assert RUNNING.cut(5) is RUNNING
    assert (WAITING.phase, RUNNING.phase) == ("waiting", "running")


@pytest.mark.parametrize(
    ("power_w", "allowed_w", "fine"),
    [
        (-4_000, None, True),
        (-3_750, None, True),
        (-3_749, None, False),
        (-4_251, None, False),
        (4_000, None, False),
        (-2_000, 2_000, True),
        (-1_800, 2_000, True),
        (-1_000, 2_000, False),
        (-1_000, 4_000, False),
        (0, 0, True),
        (500, 0, False),
    ],
)
def test_power_shows_the_setpoints_effect_or_the_batterys_own_limit(
    power_w: int, allowed_w: int | None, fine: bool
) -> None:
    assert effect_ok(power_w, -4_000, rated_power_w=5_000, allowed_w=allowed_w) is fine


def test_a_battery_gets_its_time_to_follow_but_not_for_ever() -> None:
    def failed(now_ms: int, changed_at_ms: int, ok_at_ms: int) -> bool:
        return effect_failed(now_ms, changed_at_ms=changed_at_ms, ok_at_ms=ok_at_ms, settle_ms=10_000)

    assert not failed(10_000, 0, 0)
    assert failed(10_001, 0, 0)
    assert not failed(20_000, 15_000, 0)
    assert failed(30_001, 29_000, 0)
    assert not failed(99_000, 0, 98_000)


@pytest.mark.parametrize("each", [run(ends_by_ms=NOW_MS - 1), run(closing=Closing(12, "stopped", NOW_MS - 9_000))])
def test_nobody_of_whom_the_counter_is_still_to_tell_ends_before_its_time(each: Run) -> None:
    unread = FRESH._replace(unread=True)
    plan = decide(snapshot((each, unread), obstacle=STALE, patient=True, awaits_counter=True, hold=Hold.FREE))
    assert (plan.runs, plan.ended, plan.act) == ((each,), (), Act.NONE)
    for measured, awaits in ((unread, False), (FRESH, True)):
        plan = decide(snapshot((each, measured), awaits_counter=awaits, hold=Hold.FREE))
        assert [ended.trade for ended in plan.ended] == [each.trade]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.metering import MJ_PER_WH, Meter, is_plausible_step, split
from drivers.device import Value

A, B = ("conn:1", 1), ("conn:2", 2)
HOUR_MS = 3_600_000


def meter(*, step_wh: int = 1, time_lapse: int = 1, counter_wh: int | None = 10_000) -> Meter:
    """A meter of a 5 kW battery that has been read once, at 0 ms."""
    made = Meter(rated_power_w=5_000, counter_step_wh=step_wh, time_lapse=time_lapse)
    made.read(power=Value(0, 0), counter=None if counter_wh is None else Value(counter_wh, 0))
    return made


def read(of: Meter, at_ms: int, *, counter_wh: int | None = None, power_w: int | None = None) -> None:
    of.read(
        power=None if power_w is None else Value(power_w, at_ms),
        counter=None if counter_wh is None else Value(counter_wh, at_ms),
    )


def run_steadily(of: Meter, *, from_s: int, to_s: int, power_w: int, counter_wh: int | None, step_wh: int = 1) -> None:
    """Read every second at a constant power; the counter starts at `counter_wh` and shows whole steps."""
    for second in range(from_s + 1, to_s + 1):
        moved_wh = -power_w * (second - from_s) // 3_600
        shown = None if counter_wh is None else (counter_wh + moved_wh) // step_wh * step_wh
        read(of, second * 1_000, counter_wh=shown, power_w=power_w)


@given(total=st.integers(0, 10**12), weights=st.lists(st.integers(0, 10**9), max_size=8))
def test_parts_sum_to_the_whole_and_the_remainder_is_the_oldest_ones(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == (total if any(weights) else 0)
    for index, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        fair = total * weight // sum(weights) if any(weights) else 0
        first = index == next((i for i, w in enumerate(weights) if w), None)
        assert part >= fair if first else part == fair


def test_a_delivery_gets_what_the_counter_moved() -> None:
    of = meter()
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=200)
    run_steadily(of, from_s=0, to_s=500, power_w=-3_600, counter_wh=10_000)
    assert of.delivered_wh(A) == 500
    done = of.close(A)
    assert (done.delivered_wh, done.derived, len(done.evidence)) == (500, False, 32)


def test_a_delivery_never_reports_more_than_was_agreed() -> None:
    of = meter()
    of.open(A, granted_w=3_600, agreed_wh=100, now_ms=0)
    run_steadily(of, from_s=0, to_s=500, power_w=-3_600, counter_wh=10_000)
    assert of.delivered_wh(A) == 100
    assert of.close(A).delivered_wh == 100


def test_parallel_deliveries_share_by_granted_power_and_time() -> None:
    of = meter()
    of.open(A, granted_w=1_200, agreed_wh=1_000, now_ms=0)
    of.open(B, granted_w=2_400, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=300, power_w=-3_600, counter_wh=10_000)
    assert (of.delivered_wh(A), of.delivered_wh(B)) == (100, 200)
    of.cut(A, 300_000)
    run_steadily(of, from_s=300, to_s=450, power_w=-2_400, counter_wh=10_300)
    assert (of.delivered_wh(A), of.delivered_wh(B)) == (100, 300)


def test_a_delivery_that_stops_between_readings_gets_its_part_of_the_interval() -> None:
    of = meter()
    of.open(A, granted_w=1_000, agreed_wh=1_000, now_ms=0)
    of.open(B, granted_w=1_000, agreed_wh=1_000, now_ms=0)
    of.cut(A, 500_000)
    read(of, 1_000_000, counter_wh=10_300)
    assert (of.delivered_wh(A), of.delivered_wh(B)) == (100, 200)


def test_energy_when_nobody_is_served_is_nobodys() -> None:
    of = meter()
    read(of, 1_000, counter_wh=10_001)
    of.open(A, granted_w=1_000, agreed_wh=1_000, now_ms=1_000)
    of.cut(A, 1_000)
    read(of, 2_000, counter_wh=10_002)
    assert of.delivered_wh(A) == 0


def test_discharge_that_was_running_before_is_the_baseline() -> None:
    of = meter()
    of.baseline_w = 720
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=500, power_w=-4_320, counter_wh=10_000)
    assert of.delivered_wh(A) == 500


def test_what_left_between_the_last_reading_and_the_first_setpoint_is_not_delivered() -> None:
    of = meter(time_lapse=20)
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=900)
    read(of, 1_000, counter_wh=10_015)
    assert of.delivered_wh(A) == 3  # 0.1 s of 3.6 kW, twenty times as fast, and a step of the counter
    read(of, 2_000, counter_wh=10_035)
    assert of.delivered_wh(A) == 23


def test_nor_is_it_where_power_is_integrated() -> None:
    of = meter(step_wh=0, counter_wh=None, time_lapse=20)
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=900)
    read(of, 1_000, power_w=-3_600)
    assert of.delivered_wh(A) == 2


def test_a_battery_that_gives_less_than_the_baseline_owes_before_it_delivers() -> None:
    of = meter()
    of.baseline_w = 3_600
    of.open(A, granted_w=1_000, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=100, power_w=0, counter_wh=10_000)
    assert of.delivered_wh(A) == 0
    run_steadily(of, from_s=100, to_s=200, power_w=-7_200, counter_wh=10_000)
    assert of.delivered_wh(A) == 0
    run_steadily(of, from_s=200, to_s=300, power_w=-7_200, counter_wh=10_200)
    assert of.delivered_wh(A) == 100


def test_time_lapse_multiplies_time() -> None:
    of = meter(time_lapse=60)
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    of.baseline_w = 0
    read(of, 1_000, counter_wh=10_060, power_w=-3_600)
    read(of, 2_000, counter_wh=10_120, power_w=-3_600)
    assert of.delivered_wh(A) == 120
    assert of.reached_at_ms(A, flow_w=3_600) == 2_000 + 880 * 3_600_000 // (3_600 * 60) + 1


def test_a_coarse_counter_leaves_the_count_to_power_and_time() -> None:
    of = meter(step_wh=100, counter_wh=10_000)
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=250, power_w=-3_600, counter_wh=10_000, step_wh=100)
    assert of.delivered_wh(A) == 249  # the first second ramps up from 0
    assert of.close(A).derived


def test_integrated_energy_beyond_a_step_of_the_counter_gives_way_to_the_lower() -> None:
    of = meter(step_wh=100, counter_wh=10_000)
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=90, power_w=-3_600, counter_wh=None)
    assert of.delivered_wh(A) == 89
    run_steadily(of, from_s=90, to_s=250, power_w=-3_600, counter_wh=10_000, step_wh=1_000)
    assert of.delivered_wh(A) == 0
    read(of, 251_000, counter_wh=10_100)
    assert of.delivered_wh(A) == 100
    read(of, 252_000, counter_wh=10_200)
    assert of.delivered_wh(A) == 249


def test_gaps_above_two_seconds_count_nothing_when_integrating() -> None:
    of = meter(counter_wh=None)
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    read(of, 1_000, power_w=-3_600)
    read(of, 3_000, power_w=-3_600)
    so_far = of.delivered_wh(A)
    read(of, 5_001, power_w=-3_600)
    assert of.delivered_wh(A) == so_far == 2
    done = of.close(A)
    assert done.derived


@pytest.mark.parametrize("jump_wh", [-1, 3, 5_000])
def test_a_counter_that_cannot_be_believed_is_absent_for_this_delivery(jump_wh: int) -> None:
    of = meter()
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=100, power_w=-3_600, counter_wh=10_000)
    assert of.delivered_wh(A) == 100
    read(of, 100_500, counter_wh=10_100 + jump_wh, power_w=-3_600)
    run_steadily(of, from_s=101, to_s=201, power_w=-3_600, counter_wh=0)
    assert of.delivered_wh(A) in {200, 201}
    assert of.close(A).derived
    of.open(B, granted_w=3_600, agreed_wh=1_000, now_ms=201_000)
    run_steadily(of, from_s=201, to_s=301, power_w=-3_600, counter_wh=100)
    done = of.close(B)
    assert (done.delivered_wh, done.derived) == (100, False)


def test_a_delivery_that_was_cut_too_early_goes_on() -> None:
    of = meter()
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    run_steadily(of, from_s=0, to_s=100, power_w=-3_600, counter_wh=10_000)
    of.cut(A, 100_000)
    of.cut(A, 999_999)
    of.resume(A, 101_000)
    of.resume(A, 999_999)
    run_steadily(of, from_s=101, to_s=201, power_w=-3_600, counter_wh=10_100)
    assert of.delivered_wh(A) == 200


def test_energy_from_before_a_restart_counts() -> None:
    of = meter()
    of.open(A, granted_w=3_600, agreed_wh=300, now_ms=0, before_wh=250)
    assert of.delivered_wh(A) == 250
    assert of.reached_at_ms(A, flow_w=3_600) == 50_000
    run_steadily(of, from_s=0, to_s=60, power_w=-3_600, counter_wh=10_000)
    assert of.reached_at_ms(A, flow_w=0) == 60_000


def test_when_the_energy_will_be_there() -> None:
    of = meter()
    of.open(A, granted_w=1_200, agreed_wh=100, now_ms=500)
    of.open(B, granted_w=2_400, agreed_wh=100, now_ms=500)
    assert of.reached_at_ms(A, flow_w=3_600) == 500 + 100 * MJ_PER_WH // 1_200
    assert of.reached_at_ms(B, flow_w=3_600) == 500 + 100 * MJ_PER_WH // 2_400
    of.cut(A, 600)
    assert of.reached_at_ms(B, flow_w=3_600) == 500 + 100_000
    assert of.reached_at_ms(B, flow_w=0) is None
    of.baseline_w = 3_600
    assert of.reached_at_ms(B, flow_w=3_600) is None


def test_a_trade_is_metered_once() -> None:
    of = meter()
    of.open(A, granted_w=1, agreed_wh=1, now_ms=0)
    with pytest.raises(ValueError, match="metered already"):
        of.open(A, granted_w=1, agreed_wh=1, now_ms=0)
    of.close(A)
    with pytest.raises(KeyError):
        of.close(A)
    assert of.delivered_wh(A) == 0


def test_evidence_depends_on_every_sample_and_on_who_shared_the_counter() -> None:
    def evidence(*, extra_wh: int = 0, shared: bool = False) -> bytes:
        of = meter()
        of.open(A, granted_w=1_000, agreed_wh=1_000, now_ms=0)
        if shared:
            of.open(B, granted_w=1_000, agreed_wh=1_000, now_ms=0)
        read(of, 1_000, counter_wh=10_000 + extra_wh, power_w=-1_000)
        return of.close(A).evidence

    assert evidence() == evidence()
    assert len({evidence(), evidence(extra_wh=1), evidence(shared=True)}) == 3


def test_a_reading_is_counted_once() -> None:
    of = meter()
    assert Meter(rated_power_w=1, counter_step_wh=1).read_at_ms == 0
    of.open(A, granted_w=3_600, agreed_wh=1_000, now_ms=0)
    for _ in range(3):
        read(of, 1_000, counter_wh=10_001, power_w=-3_600)
    assert of.delivered_wh(A) == 1
    assert of.read_at_ms == 1_000
    assert of.counter == Value(10_001, 1_000)


@given(step=st.integers(-10, 10_000), elapsed_ms=st.integers(0, HOUR_MS), resolution=st.integers(0, 100))
def test_a_plausible_step_is_forward_and_within_twice_the_rating(step: int, elapsed_ms: int, resolution: int) -> None:
    plausible = is_plausible_step(step, elapsed_ms, rated_power_w=5_000, counter_step_wh=resolution)
    assert plausible == (0 <= step <= 10_000 * elapsed_ms / HOUR_MS + resolution)


INTERVAL = st.tuples(st.integers(1, 4_000), st.integers(0, 3), st.integers(-6_000, 1_000), st.integers(0, 5))


@given(
    intervals=st.lists(INTERVAL, max_size=30),
    step_wh=st.sampled_from([0, 1, 10, 100]),
    baseline_w=st.sampled_from([0, 0, 700]),
    agreed=st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60)),
)
def test_whatever_is_read_nobody_gets_too_much_and_all_together_no_more_than_flowed(
    intervals: list[tuple[int, int, int, int]], step_wh: int, baseline_w: int, agreed: tuple[int, int, int]
) -> None:
    of = meter(step_wh=step_wh, counter_wh=10_000 if step_wh else None)
    of.baseline_w = baseline_w
    keys = [("conn", index) for index in range(3)]
    at_ms, counter_wh, discharged_mj, last_w = 0, 10_000, 0, 0
    opened: list[int] = []
    for index, (gap_ms, moved_wh, power_w, event) in enumerate(intervals):
        if event < 3 and event not in opened:
            of.open(keys[event], granted_w=1_000 * (event + 1), agreed_wh=agreed[event], now_ms=at_ms)
            opened.append(event)
        elif event == 4 and opened:
            of.cut(keys[opened[index % len(opened)]], at_ms)
        at_ms += gap_ms
        counter_wh += moved_wh
        discharged_mj += (max(0, -last_w) + max(0, -power_w)) * gap_ms // 2
        last_w = power_w
        read(of, at_ms, counter_wh=counter_wh if step_wh else None, power_w=power_w)
    delivered = {event: of.close(keys[event]).delivered_wh for event in opened}
    assert all(0 <= wh <= agreed[event] for event, wh in delivered.items())
    most_wh = max(counter_wh - 10_000, 0) + discharged_mj / MJ_PER_WH
    assert sum(delivered.values()) <= most_wh + 1e-9

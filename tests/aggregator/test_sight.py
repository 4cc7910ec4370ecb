"""What a buyer takes for seen: figures within power, time and what was reported."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.sight import Sight
from settlement.progress import Rules

HOUR_MS = 3_600_000
RULES = Rules(cosign_wait_s=0, tolerance_wh=20, tolerance_percent=2)


def sight(*, energy_wh: int = 5_000, power_w: int = 5_000, time_lapse: int = 1) -> Sight:
    return Sight(
        energy_wh=energy_wh,
        power_w=power_w,
        agreed_at_ms=0,
        seen_at_ms=0,
        ends_at_ms=2 * HOUR_MS,
        time_lapse=time_lapse,
    )


def test_before_anything_can_have_flowed_nothing_has() -> None:
    assert sight().most_wh(0) == 0
    assert not sight().takes(21, RULES, 0)
    assert sight().takes(20, RULES, 0)


def test_unseen_time_counts_at_the_power_granted_and_never_beyond_the_contract() -> None:
    assert sight().most_wh(HOUR_MS // 2) == 2_500
    assert sight().most_wh(10 * HOUR_MS) == 5_000
    assert sight(energy_wh=20_000).most_wh(10 * HOUR_MS) == 10_000  # the window ends after two hours


def test_what_is_reported_less_than_the_power_allows_is_what_was_seen() -> None:
    seen = sight().saw(1_000, HOUR_MS // 2)
    assert seen.most_wh(HOUR_MS // 2) == 1_000
    assert seen.most_wh(HOUR_MS // 2 + 3_600) == 1_005
    assert (seen.takes(1_020, RULES, HOUR_MS // 2), seen.takes(1_021, RULES, HOUR_MS // 2)) == (True, False)


def test_a_report_beyond_what_can_be_is_seen_as_what_can_be() -> None:
    assert sight().saw(4_000, HOUR_MS // 10).seen_wh == 500


def test_a_meter_that_counts_in_steps_is_believed_at_each_step() -> None:
    seen = sight(power_w=1_000)
    for minute in range(1, 61):
        step_wh = 1_000 * minute // 60 // 100 * 100
        seen = seen.saw(step_wh, minute * 60_000)
        assert seen.seen_wh == step_wh


def test_a_laboratory_runs_faster() -> None:
    assert sight(time_lapse=60).most_wh(60_000) == 5_000


@given(
    reports=st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, HOUR_MS)), max_size=20),
    later_ms=st.integers(0, 3 * HOUR_MS),
)
def test_what_is_seen_only_grows_and_stays_within_power_time_and_contract(
    reports: list[tuple[int, int]], later_ms: int
) -> None:
    seen, now_ms = sight(), 0
    for figure_wh, gap_ms in reports:
        now_ms += gap_ms
        after = seen.saw(figure_wh, now_ms)
        assert seen.seen_wh <= after.seen_wh <= max(seen.seen_wh, figure_wh)
        seen = after
        bound_wh = min(5_000, 5_000 * min(now_ms, 2 * HOUR_MS) // HOUR_MS)
        assert seen.seen_wh <= seen.most_wh(now_ms) <= bound_wh
    assert seen.most_wh(now_ms) <= seen.most_wh(now_ms + later_ms) <= 5_000


@given(watts=st.integers(100, 5_000), seconds=st.integers(1, 3_600))
def test_an_honest_battery_at_any_power_up_to_the_granted_one_is_taken(watts: int, seconds: int) -> None:
    seen = sight()
    for now_s in range(5, seconds, 5):
        seen = seen.saw(watts * now_s // 3_600, now_s * 1_000)
    assert seen.takes(watts * seconds // 3_600, RULES, seconds * 1_000)

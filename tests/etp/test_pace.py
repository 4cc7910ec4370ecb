"""Rates: the burst is let through, then the average; a minute's nonsense is counted over any minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etp.pace import BadFrames, FrameRate


def test_a_burst_and_then_the_average() -> None:
    rate = FrameRate(200, 400)
    assert sum(rate.spend(0) for _ in range(1_000)) == 400
    assert sum(rate.spend(1_000) for _ in range(1_000)) == 200
    assert sum(rate.spend(60_000) for _ in range(1_000)) == 400


@given(st.lists(st.integers(0, 50), max_size=300))
def test_never_more_than_burst_and_rate(gaps_ms: list[int]) -> None:
    rate = FrameRate(100, 10)
    now_ms = passed = 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        passed += rate.spend(now_ms)
    assert passed <= 10 + now_ms / 10
    assert passed >= min(len(gaps_ms), 10)


def test_switched_off_everything_passes() -> None:
    rate = FrameRate(0, 0)
    assert all(rate.spend(0) for _ in range(10_000))


def test_ten_bad_frames_within_a_minute() -> None:
    bad = BadFrames(10)
    assert [bad.add(0) for _ in range(10)] == [False] * 9 + [True]
    slow = BadFrames(10)
    assert not any(slow.add(at_ms) for at_ms in range(0, 600_000, 6_700))


def test_bad_frames_may_be_tolerated() -> None:
    tolerant = BadFrames(0)
    assert not any(tolerant.add(0) for _ in range(1_000))

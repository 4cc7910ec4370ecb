"""Rates: the burst is let through, then the average; a minute's nonsense is counted over any minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.limits import ADDRESSES_PACED
from etp.pace import AddressPaces, BadFrames, FrameRate, LinePace


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


def test_a_shared_rate_bounds_everybody_and_what_it_stops_costs_nobody() -> None:
    shared = FrameRate(100, 200)
    first, second = FrameRate(100, 150, shared), FrameRate(0, 0, shared)
    assert sum(first.spend(0) for _ in range(500)) == 150
    assert sum(second.spend(0) for _ in range(500)) == 50
    assert not second.is_over(0)
    assert first.is_over(0)
    assert sum(first.spend(1_000) for _ in range(500)) == 100
    assert not second.spend(1_000)


def test_an_address_is_known_again_and_another_is_not_it() -> None:
    paces = AddressPaces(1_000)
    assert paces.of("192.0.2.1", 0) is paces.of("192.0.2.1", 5)
    assert paces.of("192.0.2.1", 0) is not paces.of("192.0.2.2", 0)
    assert paces.of("", 0) is None
    assert AddressPaces(0).of("192.0.2.1", 0) is None


def test_addresses_are_forgotten_when_nothing_is_left_to_remember() -> None:
    paces = AddressPaces(1_000)
    busy = paces.of("busy", 0)
    assert busy is not None
    assert sum(busy.taken.spend(0) for _ in range(3_000)) == 2_000
    for number in range(3 * ADDRESSES_PACED):
        paces.of(str(number), 1)
    assert paces.of("busy", 1) is busy
    assert paces.of("busy", 10_000) is busy


@pytest.mark.no_cover
def test_addresses_are_bounded_even_if_all_are_busy() -> None:
    paces = AddressPaces(1_000)
    for number in range(2 * ADDRESSES_PACED):
        pace = paces.of(str(number), 0)
        assert pace is not None
        assert pace.refused.spend(0)
    assert len(paces._paces) == ADDRESSES_PACED


def test_ten_bad_frames_within_a_minute() -> None:
    bad = BadFrames(10)
    assert [bad.add(0) for _ in range(10)] == [False] * 9 + [True]
    slow = BadFrames(10)
    assert not any(slow.add(at_ms) for at_ms in range(0, 600_000, 6_700))


def test_bad_frames_may_be_tolerated() -> None:
    tolerant = BadFrames(0)
    assert not any(tolerant.add(0) for _ in range(1_000))


def test_so_many_lines_a_minute_and_the_others_are_counted() -> None:
    pace = LinePace(3)
    assert [pace.spend(now_ms) for now_ms in (70_000, 70_001, 70_002, 100_000, 129_999)] == [True] * 3 + [False] * 2
    assert [pace.spend(130_000), pace.unsaid] == [True, 2]


def test_lines_that_are_our_own_are_all_said() -> None:
    pace = LinePace(0)
    assert not pace.is_limited
    assert all(pace.spend(0) for _ in range(1_000))
    assert pace.unsaid == 0

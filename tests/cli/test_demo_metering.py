"""What each trade received by the counter: the parts sum to the whole, and follow power and time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.demo_stage.metering import Reading, Span, attribute


def test_one_trade_gets_all_that_flowed_between_rest_and_rest() -> None:
    readings = [Reading(0, 10.0), Reading(100, 10.0), Reading(200, 60.0), Reading(300, 110.0), Reading(400, 112.5)]
    assert attribute(readings, [Span(100, 300, 5_000)]) == [102.5]


def test_trades_at_the_same_time_share_by_power_and_time() -> None:
    readings = [Reading(0, 0.0), Reading(1_000, 90.0), Reading(2_000, 150.0)]
    assert attribute(readings, [Span(0, 1_000, 2_000), Span(0, 2_000, 1_000)]) == [60.0, 90.0]


def test_what_flows_after_a_trade_is_its_own_and_before_all_of_them_the_first_ones() -> None:
    readings = [Reading(0, 0.0), Reading(100, 1.0), Reading(200, 11.0), Reading(300, 12.0), Reading(500, 20.0)]
    assert attribute(readings, [Span(100, 200, 1), Span(400, 500, 1)]) == [12.0, 8.0]  # the counter never stood still


def test_one_after_the_other_each_gets_its_own_flow_whatever_the_clocks_say() -> None:
    readings = [Reading(0, 0.0), Reading(90, 50.0), Reading(190, 50.0), Reading(290, 52.0), Reading(390, 80.0)]
    assert attribute(readings, [Span(300, 380, 1), Span(10, 200, 1)]) == [30.0, 50.0]


def test_nothing_sold_and_nothing_read() -> None:
    assert attribute([Reading(0, 1.0), Reading(1, 2.0)], []) == []
    assert attribute([], [Span(0, 1, 1)]) == [0.0]
    assert attribute([Reading(5, 1.0)], [Span(0, 1, 1)]) == [0.0]


@given(
    steps=st.lists(st.tuples(st.integers(1, 500), st.integers(0, 1_000)), min_size=1, max_size=20),
    spans=st.lists(
        st.tuples(st.integers(0, 4_000), st.integers(0, 2_000), st.integers(1, 9_000)), min_size=1, max_size=5
    ),
)
def test_the_parts_sum_to_the_whole(steps: list[tuple[int, int]], spans: list[tuple[int, int, int]]) -> None:
    readings = [Reading(0, 0.0)]
    for ms, energy_wh in steps:
        readings.append(Reading(readings[-1].at_ms + ms, readings[-1].discharged_wh + energy_wh))
    parts = attribute(readings, [Span(start, start + length, power) for start, length, power in spans])
    assert sum(parts) == pytest.approx(readings[-1].discharged_wh)
    assert min(parts) >= 0

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.stats import best_us, percentile


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) <= share * len(values)


def test_of_nothing_it_is_zero() -> None:
    assert percentile([], 0.99) == 0.0


def test_work_is_done_as_often_as_asked() -> None:
    done: list[int] = []
    assert best_us(lambda: done.append(1), times=7, repeats=3) >= 0
    assert len(done) == 21


def test_the_best_repeat_counts_by_the_clock_that_is_handed_in() -> None:
    times_s = iter([0.0, 5.0, 5.0, 7.0, 7.0, 11.0])
    assert best_us(lambda: None, times=4, repeats=3, clock=lambda: next(times_s)) == 0.5e6

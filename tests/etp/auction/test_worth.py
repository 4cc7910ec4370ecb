from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.auction.testing import best_by_force
from etp.auction.worth import best_subset, worth

ITEMS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=9)
LARGE = st.lists(st.tuples(st.integers(0, 9), st.integers(15, 32)), max_size=9)


@settings(max_examples=300, deadline=None)
@given(ITEMS | LARGE, st.integers(0, 60))
def test_the_programme_agrees_with_brute_force(items: list[tuple[int, int]], capacity: int) -> None:
    value, subset = best_by_force(items, capacity)
    assert worth(items, capacity).at(capacity) == value
    assert best_subset(items, capacity) == subset


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), min_size=13, max_size=15), st.integers(10, 60))
def test_it_agrees_with_brute_force_up_to_fifteen_bids(items: list[tuple[int, int]], capacity: int) -> None:
    value, subset = best_by_force(items, capacity)
    assert worth(items, capacity).at(capacity) == value
    assert best_subset(items, capacity) == subset


@given(ITEMS.filter(bool), st.integers(1, 5))
def test_every_capacity_is_answered_from_one_table(items: list[tuple[int, int]], unit: int) -> None:
    scaled = [(value, steps * unit) for value, steps in items]
    total = sum(steps for _, steps in scaled)
    table = worth(scaled, total)
    for capacity in range(-1, total + 3):
        assert table.at(capacity) == worth(scaled, max(0, capacity)).at(capacity)
    assert table.at(total) == sum(value for value, _ in scaled)


def test_the_table_is_as_long_as_the_running_total_in_common_steps() -> None:
    table = worth([(10, 20), (12, 40)], 500)
    assert table.unit == 20
    assert table.best == [0, 10, 12, 22]


@pytest.mark.parametrize(
    ("items", "capacity", "kept"),
    [
        ([(5, 2), (5, 2), (5, 2)], 4, (0, 1)),
        ([(4, 2), (3, 2), (3, 2), (2, 2)], 4, (0, 1)),
        ([(3, 1), (2, 1), (3, 1), (2, 1)], 3, (0, 1, 2)),
        ([(4, 3), (3, 2), (2, 2), (1, 1)], 4, (0, 3)),
        ([(5, 3), (5, 3), (4, 4)], 4, (0,)),
        ([(4, 3), (5, 4), (5, 3)], 4, (1,)),
        ([(9, 5), (0, 3), (0, 4)], 4, (1,)),
        ([(9, 5)], 4, ()),
        ([(9, 5)], 0, ()),
        ([], 4, ()),
    ],
)
def test_ties_keep_the_older(items: list[tuple[int, int]], capacity: int, kept: tuple[int, ...]) -> None:
    assert best_subset(items, capacity) == kept

"""Cells on several processes: in order, and nothing left behind when one fails."""

from __future__ import annotations

import multiprocessing

import pytest

from market.cells import played


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} has no place here")
    return number * number


def test_results_come_in_the_order_of_the_cells() -> None:
    assert list(played(square, range(20))) == [number * number for number in range(20)]


def test_a_cell_that_fails_says_so_and_leaves_no_process() -> None:
    with pytest.raises(ValueError, match="-1 has no place here"):
        list(played(square, [1, -1, 2]))
    assert multiprocessing.active_children() == []


def test_leaving_early_leaves_no_process() -> None:
    results = played(square, range(1_000))
    assert next(results) == 0
    results.close()
    assert multiprocessing.active_children() == []

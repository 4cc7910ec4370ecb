"""The time of day as this machine knows it."""

from __future__ import annotations

import time

from agent.clock import is_kernel_synchronised, wall_ms


def test_the_time_of_day_is_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= wall_ms() <= time.time_ns() // 1_000_000


def test_the_kernel_says_whether_its_clock_is_disciplined() -> None:
    assert is_kernel_synchronised() in (True, False)
    assert is_kernel_synchronised() == is_kernel_synchronised()

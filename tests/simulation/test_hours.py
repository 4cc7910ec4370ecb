"""Hundreds of hours of trade under faults: no invariant breaks, and enough happens for that to mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulation.world import Options, run

if TYPE_CHECKING:
    from pathlib import Path

HOURS = 5.0
SEEDS = range(1, 42)
"""205 simulated hours. A failure names its seed; `wattbid simulate --seed N --hours 5` replays it."""


@pytest.mark.slow
@pytest.mark.hours
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_breaks_in_five_hours(seed: int, tmp_path: Path) -> None:
    summary = run(Options(seed=seed, hours=HOURS, directory=tmp_path))
    assert summary.awards >= 20 * HOURS
    assert summary.faults >= HOURS
    assert summary.crashes_at_accept >= 1
    assert summary.deliveries >= summary.trades * 9 // 10


def test_a_quarter_of_an_hour_in_the_quick_tests_too(tmp_path: Path) -> None:
    summary = run(Options(seed=5, hours=0.25, directory=tmp_path))
    assert summary.awards >= 5
    assert summary.settled >= 5

"""Hundreds of hours of trade under faults: no invariant breaks, and enough happens for that to mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulation.world import Options, run

if TYPE_CHECKING:
    from pathlib import Path

HOURS = 5.0
PAIRS = range(1, 41, 2)
"""200 simulated hours, two seeds a test. A failure names its seed; `wattbid simulate --seed N --hours 5` replays it."""


@pytest.mark.slow
@pytest.mark.hours
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", PAIRS)
def test_no_invariant_breaks_in_ten_hours(seed: int, directory: Path) -> None:
    crashes_at_accept = 0
    for each in (seed, seed + 1):
        place = directory / str(each)
        place.mkdir()
        summary = run(Options(seed=each, hours=HOURS, directory=place))
        assert summary.awards >= 20 * HOURS
        assert summary.faults >= HOURS
        assert summary.deliveries >= summary.trades * 9 // 10
        crashes_at_accept += summary.crashes_at_accept
    assert crashes_at_accept >= 1


def test_a_quarter_of_an_hour_in_the_quick_tests_too(tmp_path: Path) -> None:
    summary = run(Options(seed=5, hours=0.25, directory=tmp_path))
    assert summary.awards >= 5
    assert summary.settled >= 5


@pytest.mark.slow
@pytest.mark.hours
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, 9))
def test_every_trade_over_the_wire_is_paid_by_what_was_metered(seed: int, directory: Path) -> None:
    """Agent and buyers with `[settlement]`, on the real program, under all faults of both worlds."""
    summary = run(Options(seed=seed, hours=0.5, directory=directory, settled=True))
    assert summary.trades >= 10
    assert summary.trades - 2 <= summary.paid_trades <= summary.trades
    assert summary.paid_units > summary.fee_units > 0

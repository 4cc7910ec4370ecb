"""What a run must show for its silence to mean something."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.simulate import app
from simulation import world
from simulation.enough import Least, check_crashes, check_enough
from simulation.invariants import Breach
from simulation.world import Summary

if TYPE_CHECKING:
    from simulation.world import Options


def test_enough_is_enough_and_one_less_is_not() -> None:
    check_enough(Least(), hours=2.5, awards=50, faults=3, crashes_at_accept=0)
    with pytest.raises(Breach, match="49 awards"):
        check_enough(Least(), hours=2.5, awards=49, faults=3, crashes_at_accept=0)
    with pytest.raises(Breach, match="2 faults"):
        check_enough(Least(), hours=2.5, awards=50, faults=2, crashes_at_accept=0)


def test_a_long_run_holds_a_crash_between_an_accept_and_its_confirm() -> None:
    check_enough(Least(), hours=10, awards=200, faults=10, crashes_at_accept=1)
    with pytest.raises(Breach, match="0 crashes"):
        check_enough(Least(), hours=10, awards=200, faults=10, crashes_at_accept=0)


def test_crashes_are_counted_over_all_runs() -> None:
    check_crashes([(5, 0), (5, 1), (5, 0)])
    with pytest.raises(Breach, match="1 crashes"):
        check_crashes([(5, 0), (5, 1), (10, 0)])


def test_nothing_is_asked_of_a_short_look() -> None:
    check_enough(Least(), hours=0.5, awards=0, faults=0, crashes_at_accept=0)


def _calm(options: Options) -> Summary:
    """Return what a run without a crash at an Accept would have shown."""
    figures: dict[str, Any] = {field.name: 0 for field in fields(Summary)}
    return Summary(**{**figures, "digest": "d", "seed": options.seed, "hours": options.hours})


@pytest.mark.parametrize(("seeds", "status"), [(1, 0), (2, 1)])
def test_the_command_asks_it_of_all_seeds_together(seeds: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "run", _calm)
    done = CliRunner().invoke(app, ["--seeds", str(seeds), "--hours", "5"])
    assert done.exit_code == status
    assert ("0 crashes between an Accept and its Confirm in 10 h" in done.output) == bool(status)

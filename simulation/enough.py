"""How much must happen in a run for its silence to mean something: a world in which nobody trades breaks no rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulation.invariants import Breach

if TYPE_CHECKING:
    from collections.abc import Iterable

FROM_HOURS: Final = 1.0
"""Shorter runs are looks at a scene: nothing is asked of them."""
HOURS_PER_CRASH: Final = 10.0
"""So many hours hold a crash between an Accept and its Confirm at least."""


class Least(NamedTuple):
    """What a run must show, an hour."""

    awards_per_h: float = 20.0
    faults_per_h: float = 1.0


ASKED: Final = Least()


def check_enough(least: Least, *, hours: float, awards: int, faults: int, crashes_at_accept: int) -> None:
    """Raise Breach when a run of an hour or more shows less than `least`, or too few crashes at an Accept."""
    if hours < FROM_HOURS:
        return
    if awards < least.awards_per_h * hours:
        raise Breach("enough is sold", f"{awards} awards in {hours:g} h, at least {least.awards_per_h:g} an hour")
    if faults < least.faults_per_h * hours:
        raise Breach("enough goes wrong", f"{faults} faults in {hours:g} h, at least {least.faults_per_h:g} an hour")
    if least.faults_per_h:
        check_crashes([(hours, crashes_at_accept)])


def check_crashes(runs: Iterable[tuple[float, int]]) -> None:
    """Raise Breach when runs (hours, crashes between an Accept and its Confirm) hold fewer than one in 10 h."""
    listed = list(runs)
    hours, crashes = sum(hours for hours, _ in listed), sum(crashes for _, crashes in listed)
    if crashes < int(hours / HOURS_PER_CRASH):
        raise Breach("enough goes wrong", f"{crashes} crashes between an Accept and its Confirm in {hours:g} h")

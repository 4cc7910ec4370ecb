"""What goes wrong around settlers, when, and for how long: a schedule drawn from the seed before the run begins.

Kinds: an endpoint gets into a mood (`simulation.rpc_nodes`), a party's line to all of them is cut, for hours now and
then, a party loses power, its disk stalls or is full for a while. Apart from the schedule a settler loses power at a
step of its own (before or after a write or a request) with a given chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulation.faults import Fault
from simulation.rpc_nodes import MOODS

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

OFFLINE_MAX_S: Final = 3 * 3_600
"""Shorter than any dispute window here: who comes back still has time to say something."""
_MOOD_MS: Final = (10_000, 900_000)
_LASTS_MS: Final = {
    "cut": (5_000, 120_000),
    "offline": (1_800_000, OFFLINE_MAX_S * 1_000),
    "crash": (200, 300_000),
    "disk_stall": (500, 5_000),
    "disk_full": (1_000, 300_000),
}
_HOUR_MS: Final = 3_600_000


def _rates() -> dict[str, float]:
    return {
        **dict.fromkeys(MOODS, 0.25),
        "cut": 0.5,
        "offline": 0.06,
        "crash": 0.5,
        "disk_stall": 0.2,
        "disk_full": 0.05,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChequeFaults:
    """Faults an hour by kind, and the chance that the power goes at any one step of a settler."""

    rates: Mapping[str, float] = field(default_factory=_rates)
    crash_at_step: float = 0.001


NO_FAULTS: Final = ChequeFaults(rates={}, crash_at_step=0.0)


def schedule(rng: random.Random, faults: ChequeFaults, hours: float) -> list[Fault]:
    """Return the faults of a run in the order in which they begin."""
    found: list[Fault] = []
    for kind, rate in faults.rates.items():
        shortest_ms, longest_ms = _LASTS_MS.get(kind, _MOOD_MS)
        at_ms = 0
        while rate > 0:
            at_ms += int(rng.expovariate(rate) * _HOUR_MS) + 1
            if at_ms >= hours * _HOUR_MS:
                break
            found.append(Fault(at_ms, rng.randint(shortest_ms, longest_ms), kind, rng.random()))
    return sorted(found, key=lambda fault: (fault.at_ms, fault.kind))

"""What goes wrong, when, and for how long: a schedule drawn from the seed before the run begins.

Kinds: the device falls silent, reports a fault, gets hot, or acknowledges without following; its gauge loses its count
just when something was sold, half the time with stalled links; its owner's house draws power from it; the disk stalls,
is full until the operator has made room and restarts, or reports an error for what it has kept; links are reset; the
air gets bad (delays and stalls on every link); a gateway or a buyer loses power; the operator stops a gateway in the
middle of a trade and starts it anew. Apart from the schedule a gateway loses power between an Accept and its Confirm
with a given chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, how long it lasts, what it is, and which of its kind's victims it meets (a draw)."""

    at_ms: int
    lasts_ms: int
    kind: str
    victim: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Faults an hour by kind, and the chance that a gateway dies between an Accept and its Confirm."""

    silent: float = 1.5
    fault: float = 1.0
    hot: float = 0.5
    deaf: float = 0.5
    gauge: float = 1.0
    house: float = 0.5
    disk_stall: float = 1.0
    disk_full: float = 0.2
    commit_then_error: float = 0.2
    reset: float = 6.0
    weather: float = 1.0
    gateway_crash: float = 0.5
    graceful_stop: float = 0.6
    buyer_crash: float = 1.0
    owner_stop: float = 0.5
    crash_at_accept: float = 0.01


_LASTS_MS: Final = {
    "silent": (1_000, 60_000),
    "fault": (2_000, 120_000),
    "hot": (5_000, 120_000),
    "deaf": (5_000, 60_000),
    "gauge": (10_000, 30_000),
    "house": (20_000, 240_000),
    "disk_stall": (500, 5_000),
    "disk_full": (1_000, 60_000),
    "commit_then_error": (200, 3_000),
    "reset": (0, 0),
    "weather": (5_000, 60_000),
    "gateway_crash": (200, 60_000),
    "graceful_stop": (200, 30_000),
    "buyer_crash": (200, 60_000),
    "owner_stop": (5_000, 120_000),
}
_HOUR_MS: Final = 3_600_000


def schedule(rng: random.Random, rates: FaultRates, hours: float) -> list[Fault]:
    """Return the faults of a run in the order in which they begin."""
    faults: list[Fault] = []
    end_ms = int(hours * _HOUR_MS)
    for kind, (shortest_ms, longest_ms) in _LASTS_MS.items():
        rate = getattr(rates, kind)
        at_ms = 0
        while rate > 0:
            at_ms += int(rng.expovariate(rate) * _HOUR_MS) + 1
            if at_ms >= end_ms:
                break
            faults.append(Fault(at_ms, rng.randint(shortest_ms, longest_ms), kind, rng.random()))
    return sorted(faults, key=lambda fault: (fault.at_ms, fault.kind))

"""Which endpoint to ask next, and which to leave alone: values and functions, no clock and no chance of their own.

A score is a time in seconds that an answer may be expected to cost; the lowest is asked first. To it count the usual
answering time, failures (each as if it cost FAILURE_COST_S), how far the node lags, and the place in the owner's list,
which decides between equals. After FAILURES_MAX failures in a row the circuit opens: the endpoint is left alone, twice
as long each time, then one request tries it. A wish of its own (Retry-After) is followed at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FAILURES_MAX: Final = 3
BACK_OFF_S: Final = 1.0
BACK_OFF_MAX_S: Final = 60.0
"""A gateway comes back to its network within hours, not minutes: a minute more is nothing, a request a minute too."""
THROTTLED_S: Final = 5.0
"""Where the endpoint does not say how long."""
FOREIGN_S: Final = 300.0
"""A node of another cluster is looked at again after this: somebody may have mended the name it goes by."""
VERIFIED_S: Final = 120.0
"""A name may come to mean another cluster without a connection breaking that we see."""
FAILURE_COST_S: Final = 5.0
PLACE_COST_S: Final = 0.05
SLOT_S: Final = 0.4
_WEIGHT: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of one endpoint; times in seconds of the caller's clock."""

    failures: int = 0
    """In a row."""
    latency_s: float = 0.0
    failing: float = 0.0
    """Between 0 and 1: the share of late requests that failed, the newest counting most."""
    slot: int = 0
    """The highest it has shown."""
    closed_until_s: float = 0.0
    """Until then it is not asked."""
    verified_until_s: float = 0.0
    """It has shown the right genesis hash, and need not again before that, unless it is somebody else by then."""

    def score(self, place: int, highest_slot: int) -> float:
        """Return the seconds that an answer may be expected to cost; `place` counts from 0 in the owner's list."""
        lag_s = max(0, highest_slot - self.slot) * SLOT_S if self.slot else 0.0
        return self.latency_s + FAILURE_COST_S * self.failing + PLACE_COST_S * place + min(lag_s, BACK_OFF_MAX_S)


def answered(health: Health, latency_s: float) -> Health:
    """Return the health after an answer that took so long."""
    latency_s = latency_s if health.latency_s == 0 else _mixed(health.latency_s, latency_s)
    return replace(health, failures=0, latency_s=latency_s, failing=_mixed(health.failing, 0.0), closed_until_s=0.0)


def failed(health: Health, now_s: float, jitter: float) -> Health:
    """Return the health after a failure; `jitter` from 0 to 1 spreads those who failed together."""
    failures = health.failures + 1
    rounds = failures - FAILURES_MAX
    wait_s = 0.0 if rounds < 0 else min(BACK_OFF_MAX_S, BACK_OFF_S * 2.0 ** min(rounds, 10)) * (0.5 + jitter / 2)
    failing = _mixed(health.failing, 1.0)
    return replace(health, failures=failures, failing=failing, closed_until_s=now_s + wait_s)


def verified(health: Health, now_s: float) -> Health:
    """Return the health after the endpoint showed the right genesis hash."""
    return replace(health, verified_until_s=now_s + VERIFIED_S)


def unknown(health: Health) -> Health:
    """Return the health of an endpoint behind whose name somebody else may answer from now on."""
    return replace(health, verified_until_s=0.0)


def throttled(health: Health, now_s: float, jitter: float, retry_after_s: float | None) -> Health:
    """Return the health after the endpoint asked to be left alone; never sooner than it wishes."""
    wish_s = THROTTLED_S if retry_after_s is None else retry_after_s
    until_s = now_s + wish_s * (1 + jitter / 4) + jitter
    return replace(health, failing=_mixed(health.failing, 1.0), closed_until_s=max(until_s, health.closed_until_s))


def foreign(health: Health, now_s: float) -> Health:
    """Return the health of a node that turned out to be another cluster's."""
    failures = max(health.failures, FAILURES_MAX)
    return replace(health, failures=failures, closed_until_s=now_s + FOREIGN_S, verified_until_s=0.0)


def order(healths: list[Health], now_s: float) -> list[int]:
    """Return the places of the endpoints that may be asked, the best first."""
    highest_slot = max((health.slot for health in healths), default=0)
    may_be_asked = [place for place, health in enumerate(healths) if health.closed_until_s <= now_s]
    return sorted(may_be_asked, key=lambda place: healths[place].score(place, highest_slot))


def wait_s(healths: list[Health], now_s: float) -> float:
    """Return the seconds until one of them may be asked; 0 when one may be."""
    return max(0.0, min((health.closed_until_s for health in healths), default=now_s) - now_s)


def _mixed(old: float, new: float) -> float:
    return old + _WEIGHT * (new - old)

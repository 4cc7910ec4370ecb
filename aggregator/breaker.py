"""The circuit breaker of one endpoint: when to dial again. Pure: the time is handed in.

    CLOSED     dial when wanted, after a short pause that grows with recent failures
    OPEN       5 failures within 60 s: no dial until the pause is over; the pause doubles from 1 s to 60 s
    HALF_OPEN  one dial decides: a valid answer closes it, anything else opens it again

A connection counts as a success only with the first valid frame, so an endpoint that accepts and hangs up is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

FAILURES_MAX: Final = 5
WINDOW_MS: Final = 60_000
PAUSE_MIN_MS: Final = 1_000
PAUSE_MAX_MS: Final = 60_000
SHORT_LIFE_MS: Final = 5_000
"""A connection that ends sooner was no use, even if something was said on it."""
RETRY_MS: Final = 200
"""Pause after each failure while closed, times the failures in the window: a restart of the battery is not hammered."""


class Circuit(Enum):
    """Whether an endpoint may be dialled."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one endpoint; `failed`, `answered` and `dialled` return the next one."""

    circuit: Circuit = Circuit.CLOSED
    failures_ms: tuple[int, ...] = ()
    pause_ms: int = PAUSE_MIN_MS
    dial_at_ms: int = 0

    def wait_ms(self, now_ms: int) -> int:
        """Return how long to wait before dialling; 0 = dial now."""
        return max(0, self.dial_at_ms - now_ms)

    def dialled(self, now_ms: int) -> Breaker:
        """Note that a dial starts; an open circuit whose pause is over becomes half-open."""
        if self.circuit is Circuit.OPEN and now_ms >= self.dial_at_ms:
            return replace(self, circuit=Circuit.HALF_OPEN)
        return self

    def answered(self) -> Breaker:
        """Note a valid frame: the endpoint lives. Its recent failures still count until they are a minute old."""
        return Breaker(failures_ms=self.failures_ms)

    def failed(self, now_ms: int) -> Breaker:
        """Note a dial that failed, or a connection that ended before its first valid frame."""
        recent = (*(at for at in self.failures_ms if now_ms - at < WINDOW_MS), now_ms)[-FAILURES_MAX:]
        if self.circuit is Circuit.HALF_OPEN:
            pause = min(PAUSE_MAX_MS, self.pause_ms * 2)
            return Breaker(Circuit.OPEN, recent, pause, now_ms + pause)
        if len(recent) >= FAILURES_MAX:
            return Breaker(Circuit.OPEN, recent, PAUSE_MIN_MS, now_ms + PAUSE_MIN_MS)
        return Breaker(Circuit.CLOSED, recent, PAUSE_MIN_MS, now_ms + RETRY_MS * len(recent))

    def lost(self, now_ms: int, lived_ms: int) -> Breaker:
        """Note the end of a connection that had answered; one that lived less than 5 s counts as a failure."""
        if lived_ms < SHORT_LIFE_MS:
            return self.failed(now_ms)
        return replace(self, dial_at_ms=now_ms + RETRY_MS)

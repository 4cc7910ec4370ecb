"""How fast a peer may speak, and how often it may speak nonsense (ETP sections 1 and 5)."""

from __future__ import annotations

from collections import deque
from typing import Final

_MINUTE_MS: Final = 60_000


class FrameRate:
    """A token bucket in thousandths of a frame: `refill` once a read, `spend` once a frame. Rate 0 never refuses."""

    __slots__ = ("_capacity", "_filled_ms", "_per_ms", "_tokens")

    def __init__(self, frames_per_s: int, burst: int, now_ms: int) -> None:
        self._per_ms = frames_per_s
        self._capacity = self._tokens = burst * 1_000
        self._filled_ms = now_ms

    def refill(self, now_ms: int) -> None:
        """Credit the time since the last refill."""
        passed = now_ms - self._filled_ms
        if passed > 0:
            self._filled_ms = now_ms
            self._tokens = min(self._capacity, self._tokens + passed * self._per_ms)

    def spend(self) -> bool:
        """Take one frame's worth; False when there is none left."""
        if self._tokens >= 1_000:
            self._tokens -= 1_000
            return True
        return not self._per_ms


class BadFrames:
    """The bad frames of the last minute; `add` says when the limit is reached. Limit 0 never is."""

    __slots__ = ("_limit", "_times")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[int] = deque(maxlen=limit or 1)

    def add(self, now_ms: int) -> bool:
        """Count one bad frame; True when it is the last that is tolerated."""
        self._times.append(now_ms)
        return 0 < self._limit == len(self._times) and now_ms - self._times[0] < _MINUTE_MS

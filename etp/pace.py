"""How fast a peer may speak, and how often it may speak nonsense (ETP sections 1 and 5)."""

from __future__ import annotations

from collections import deque
from typing import Final

_MINUTE_MS: Final = 60_000


class FrameRate:
    """Lets `frames_per_s` pass on average and `burst` at once; both 0 lets everything pass.

    It keeps one number, when the frames so far would have arrived at exactly that rate, and refuses what runs too far
    ahead of it.
    """

    __slots__ = ("_due_us", "_interval_us", "_window_us")

    def __init__(self, frames_per_s: int, burst: int) -> None:
        self._interval_us = 1_000_000 // frames_per_s if frames_per_s else 0
        self._window_us = burst * self._interval_us
        self._due_us = 0

    def spend(self, now_ms: int) -> bool:
        """Count one frame; False when it comes too soon, and then it does not count."""
        now_us = now_ms * 1_000
        due_us = self._due_us
        if due_us < now_us:  # noqa: PLR1730 - a call to max() costs as much as the rest of this method
            due_us = now_us
        due_us += self._interval_us
        if due_us > now_us + self._window_us:
            return False
        self._due_us = due_us
        return True


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

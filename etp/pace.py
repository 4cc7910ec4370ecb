"""How fast a peer may speak, and how often it may speak nonsense (ETP sections 1 and 5)."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from etp.limits import ADDRESSES_PACED, BURST_S

_MINUTE_MS: Final = 60_000


class FrameRate:
    """Lets `frames_per_s` pass on average and `burst` at once; both 0 lets everything pass.

    It keeps one number, when the frames so far would have arrived at exactly that rate, and refuses what runs too far
    ahead of it. What passes must also pass `shared`, the rate of everybody at the same address, if there is one.
    """

    __slots__ = ("_due_us", "_interval_us", "_shared", "_window_us")

    def __init__(self, frames_per_s: int, burst: int, shared: FrameRate | None = None) -> None:
        self._shared = shared
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
        shared = self._shared
        if shared is not None and not shared.spend(now_ms):
            return False
        self._due_us = due_us
        return True

    def is_over(self, now_ms: int) -> bool:
        """Whether the next frame would come too soon, whatever others at its address send."""
        return max(self._due_us, now_ms * 1_000) + self._interval_us > now_ms * 1_000 + self._window_us

    def is_idle(self, now_ms: int) -> bool:
        """Whether nothing is left of what has passed."""
        return self._due_us <= now_ms * 1_000


class AddressPace(NamedTuple):
    """How fast the connections of one address may speak together, and how often they may be refused for it."""

    taken: FrameRate
    refused: FrameRate


class AddressPaces:
    """The rates of the addresses that were heard of late; they outlive the connections, so reconnecting gains nothing.

    `frames_per_s` 0 sets no bounds.
    """

    __slots__ = ("_frames_per_s", "_paces")

    def __init__(self, frames_per_s: int) -> None:
        self._frames_per_s = frames_per_s
        self._paces: dict[str, AddressPace] = {}

    def of(self, address: str, now_ms: int) -> AddressPace | None:
        """Return what the connections of an address share; None when nothing bounds them, or it is not known."""
        if not (self._frames_per_s and address):
            return None
        pace = self._paces.get(address)
        if pace is None:
            if len(self._paces) >= ADDRESSES_PACED:
                self._make_room(now_ms)
            rate = self._frames_per_s, self._frames_per_s * BURST_S
            pace = self._paces[address] = AddressPace(FrameRate(*rate), FrameRate(*rate))
        return pace

    def _make_room(self, now_ms: int) -> None:
        idle = [key for key, pace in self._paces.items() if all(rate.is_idle(now_ms) for rate in pace)]
        for address in idle or list(self._paces)[:1]:
            del self._paces[address]


class LinePace:
    """Lets `per_min` lines into a log each minute, and counts the others; 0 lets all of them."""

    __slots__ = ("_began_ms", "_per_min", "_said", "unsaid")

    def __init__(self, per_min: int) -> None:
        self._per_min = per_min
        self._began_ms = 0
        self._said = 0
        self.unsaid = 0
        """Lines held back since the start."""

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._per_min > 0

    def spend(self, now_ms: int) -> bool:
        """Whether one more line may be said."""
        if now_ms - self._began_ms >= _MINUTE_MS:
            self._began_ms = now_ms
            self._said = 0
        if 0 < self._per_min <= self._said:
            self.unsaid += 1
            return False
        self._said += 1
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

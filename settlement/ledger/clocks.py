"""The clocks of a ledger that is served: evenly running, perhaps faster, and with a head start while it is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ScaledClock:
    """UTC milliseconds, `scale` of them for each real one from `anchor_ms` on.

    Who knows scale and anchor reads the same time. Of the two clocks it is given, the wall clock is read once.
    """

    def __init__(
        self, wall_ms: Callable[[], int], monotonic_ms: Callable[[], int], *, scale: int, anchor_ms: int | None
    ) -> None:
        """Begin at the present; without an anchor this is it."""
        now_ms = wall_ms()
        self.scale = scale
        self.anchor_ms = now_ms if anchor_ms is None else anchor_ms
        self._monotonic_ms = monotonic_ms
        self._offset_ms = now_ms - monotonic_ms()

    def __call__(self) -> int:
        """Return the time."""
        real_ms = self._monotonic_ms() + self._offset_ms
        return self.anchor_ms + (real_ms - self.anchor_ms) * self.scale


class HeadStart:
    """A clock that begins in the past and is moved by whoever waits, until it has caught up or is told to.

    What sets up a new ledger waits for many blocks; nobody else looks on, so they need not last.
    """

    def __init__(
        self, clock_ms: Callable[[], int], *, ahead_ms: int, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """Begin `ahead_ms` before the present of a clock; `sleep` really waits seconds of that clock."""
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._now_ms: int | None = clock_ms() - ahead_ms

    def __call__(self) -> int:
        """Return the time: never past the present."""
        real_ms = self._clock_ms()
        return real_ms if self._now_ms is None else min(self._now_ms, real_ms)

    async def sleep(self, seconds: float) -> None:
        """Wait: at once while there is a head start."""
        if self._now_ms is not None:
            self._now_ms += round(seconds * 1_000)
            if self._now_ms <= self._clock_ms():
                return
            self.end()
        await self._sleep(seconds)

    def end(self) -> None:
        """Be the clock from now on."""
        self._now_ms = None

"""The clock of a ledger that is served: it runs on evenly whatever is done to the machine's, and may run faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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

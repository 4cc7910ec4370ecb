"""The delivery windows that a battery has quoted lately: a Bid may answer a quote that another has just superseded."""

from __future__ import annotations

from typing import Final

from settlement.terms import Windows, window_s

QUOTE_KEPT_MS: Final = 10_000
"""A Bid that is on its way so long has come to nothing: its buyer has heard of the new lot."""
_ANY_S: Final = 1 << 40


class QuotedWindows:
    """Windows in seconds, with how long each counts. A lab's time lapse allows any that is up to that much shorter."""

    def __init__(self, time_lapse: int = 1) -> None:
        self._lapse = time_lapse
        self._last: tuple[int, int] = (0, 0)
        self._now_s = 0
        self._before: dict[int, int] = {}
        """Windows that are not quoted any more, and until when (ms) they count."""

    def quoted(self, lot_wh: int, lot_power_w: int, now_ms: int) -> None:
        """A lot was quoted."""
        if (lot_wh, lot_power_w) == self._last:
            return
        self._last = lot_wh, lot_power_w
        before_s, self._now_s = self._now_s, window_s(lot_wh, lot_power_w)
        if before_s and before_s != self._now_s:
            self._before[before_s] = now_ms + QUOTE_KEPT_MS
        self._before.pop(self._now_s, None)

    def at(self, now_ms: int) -> Windows:
        """Return what a Bid may name now; before any lot was there it is refused for that, not for its window."""
        if not self._now_s:
            return Windows(0, _ANY_S)
        self._before = {length_s: until_ms for length_s, until_ms in self._before.items() if until_ms > now_ms}
        lengths_s = (self._now_s, *self._before)
        return Windows(-(-min(lengths_s) // self._lapse), max(lengths_s))

"""How late the event loop is: a timer that should fire every 100 ms tells how much later it did.

Nothing on the loop may block longer than 5 ms (architecture section 3). Every lag is counted; one above `alarm_ms` is
told at once, because frames were late with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from etp.latency import LatencyHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_MS: Final = 100
LIMIT_MS: Final = 5
ALARM_MS: Final = 100


class LoopLag:
    """Measures from `start` to `stop` on the running loop; `on_lag(lag_ms)` hears of lags above `alarm_ms`."""

    def __init__(self, on_lag: Callable[[int], None], *, alarm_ms: int = ALARM_MS) -> None:
        self._on_lag = on_lag
        self._alarm_ms = alarm_ms
        self._histogram = LatencyHistogram(LIMIT_MS)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._arm(asyncio.get_running_loop())

    def stop(self) -> None:
        """End measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def summary(self) -> dict[str, Any]:
        """Return the lags as JSON: how many measurements, percentiles and the worst in ms, how many above 5 ms."""
        histogram = self._histogram
        return {
            "count": histogram.count,
            "p50": histogram.percentile(0.50),
            "p99": histogram.percentile(0.99),
            "worst": histogram.percentile(1.0),
            "over_5_ms": histogram.late,
        }

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + INTERVAL_MS / 1_000
        self._timer = loop.call_at(due, self._fired, loop, due)

    def _fired(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        lag_ms = int((loop.time() - due) * 1_000)
        self._histogram.record(lag_ms)
        self._arm(loop)
        if lag_ms > self._alarm_ms:
            self._on_lag(lag_ms)

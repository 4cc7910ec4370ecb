"""The little arithmetic of the benches."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of them do not exceed; 0 without any."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def best_us(
    work: Callable[[], object], *, times: int, repeats: int = 5, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return microseconds a call: the best of some repeats of so many calls, which disturbances only make longer.

    `time.process_time` as the clock counts what this process computes, not what it waits for its core.
    """
    best_s = math.inf
    for _ in range(repeats):
        began_s = clock()
        for _ in range(times):
            work()
        best_s = min(best_s, clock() - began_s)
    return best_s / times * 1e6

"""How late frames were, by message type: fixed buckets, so that counting costs one addition and never grows.

A latency runs from a frame's cause to the moment the transport's write buffer was empty again (ETP section 3).
"""

from __future__ import annotations

from typing import Final

from etp.messages import MessageType
from etp.timing import LIMIT_MS

BUCKET_MS: Final[tuple[int, ...]] = (
    *range(20),
    *range(20, 100, 5),
    *range(100, 600, 20),
    *range(600, 2_000, 100),
    *range(2_000, 10_001, 1_000),
)
"""The lowest latency of each bucket; the last one holds everything from 10 s on."""

_TABLE_MS: Final = 2_000


def _bucket_of(ms: int) -> int:
    return max(index for index, lowest in enumerate(BUCKET_MS) if lowest <= ms)


_BUCKET: Final = bytes(_bucket_of(ms) for ms in range(_TABLE_MS))


class LatencyHistogram:
    """Latencies of one message type in ms; `late` counts those above the limit."""

    __slots__ = ("_buckets", "count", "late", "limit_ms", "worst_ms")

    def __init__(self, limit_ms: int) -> None:
        self._buckets = [0] * len(BUCKET_MS)
        self.limit_ms = limit_ms
        self.count = 0
        self.late = 0
        self.worst_ms = 0

    def record(self, ms: int) -> None:
        """Count one latency (below 0 counts as 0)."""
        self._buckets[_BUCKET[ms] if 0 <= ms < _TABLE_MS else _bucket_of(max(0, ms))] += 1
        self.count += 1
        if ms > self.worst_ms:  # noqa: PLR1730 - a call to max() costs as much as the rest of this method
            self.worst_ms = ms
        if ms > self.limit_ms:
            self.late += 1

    def percentile(self, quantile: float) -> int:
        """Return a latency in ms that at least `quantile` (0..1) of all frames did not exceed; 0 without any.

        The answer is the upper end of a bucket, never more than the worst latency seen.
        """
        needed = quantile * self.count
        passed = 0
        for index, count in enumerate(self._buckets[:-1]):
            passed += count
            if passed >= needed and passed:
                return min(BUCKET_MS[index + 1] - 1, self.worst_ms)
        return self.worst_ms

    def buckets(self) -> tuple[tuple[int, int], ...]:
        """Return (lowest ms, count) of every bucket that counted something."""
        return tuple((low, count) for low, count in zip(BUCKET_MS, self._buckets, strict=True) if count)


class LatencyBook:
    """One histogram for each message type; several connections may share a book."""

    __slots__ = ("by_type",)

    def __init__(self) -> None:
        self.by_type: tuple[LatencyHistogram, ...] = tuple(LatencyHistogram(LIMIT_MS[kind]) for kind in MessageType)

    def __getitem__(self, kind: int) -> LatencyHistogram:
        return self.by_type[kind]

    @property
    def late(self) -> int:
        """How many frames of any type passed their limit."""
        return sum(histogram.late for histogram in self.by_type)

"""How late frames were, by message type: fixed buckets, so that counting costs one addition and never grows.

A latency runs from a frame's cause to the moment the transport's write buffer was empty again (ETP section 3).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from etp.messages import MessageType
from etp.timing import LIMIT_MS

BUCKET_MS: Final[tuple[int, ...]] = (
    *range(21),
    *range(21, 101, 5),
    *range(101, 601, 20),
    *range(601, 2_001, 100),
    *range(2_001, 10_002, 1_000),
)
"""The lowest latency of each bucket; every limit is the highest latency of one, and the last holds all above 10 s."""

_TABLE_MS: Final = 2_001


def bucket_of(ms: int) -> int:
    """Return the bucket of a latency in ms; below 0 counts as 0."""
    return _BUCKET[ms] if 0 <= ms < _TABLE_MS else _search(ms)


def _search(ms: int) -> int:
    return max(0, bisect_right(BUCKET_MS, ms) - 1)


_BUCKET: Final = bytes(_search(ms) for ms in range(_TABLE_MS))


class LatencyHistogram:
    """Latencies of one message type in ms."""

    __slots__ = ("buckets", "limit_ms")

    def __init__(self, limit_ms: int) -> None:
        self.limit_ms = limit_ms
        self.buckets = [0] * len(BUCKET_MS)

    def record(self, ms: int, count: int = 1) -> None:
        """Count one latency, or `count` equal ones."""
        self.buckets[bucket_of(ms)] += count

    @property
    def count(self) -> int:
        """How many frames were counted."""
        return sum(self.buckets)

    @property
    def late(self) -> int:
        """How many of them passed their limit."""
        return sum(self.buckets[bucket_of(self.limit_ms) + 1 :])

    def percentile(self, quantile: float) -> int:
        """Return a latency in ms that at least `quantile` (0..1) of all frames did not exceed; 0 without any.

        It is the upper end of a bucket: at most 5 % above the truth from 100 ms on, 4 ms below.
        """
        needed = max(1.0, quantile * self.count)
        passed = 0
        for index, count in enumerate(self.buckets[:-1]):
            passed += count
            if passed >= needed:
                return BUCKET_MS[index + 1] - 1
        return BUCKET_MS[-1] if self.count else 0


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

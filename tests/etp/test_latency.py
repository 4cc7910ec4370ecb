"""Latency histograms: late is exact, percentiles are never better than the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.latency import BUCKET_MS, LatencyBook, LatencyHistogram, bucket_of
from etp.messages import MessageType
from etp.timing import LIMIT_MS

LATENCIES = st.lists(st.integers(-5, 12_000), min_size=1, max_size=50)


@given(LATENCIES, st.sampled_from(sorted(set(LIMIT_MS))))
def test_late_and_count_are_exact(latencies: list[int], limit_ms: int) -> None:
    histogram = LatencyHistogram(limit_ms)
    for ms in latencies:
        histogram.record(ms)
    assert histogram.count == len(latencies)
    assert histogram.late == sum(ms > limit_ms for ms in latencies)


@given(LATENCIES, st.floats(0, 1))
def test_a_percentile_is_close_and_never_flatters(latencies: list[int], quantile: float) -> None:
    histogram = LatencyHistogram(500)
    for ms in latencies:
        histogram.record(ms)
    needed = max(1.0, quantile * len(latencies))
    truth = next(ms for rank, ms in enumerate(sorted(latencies), 1) if rank >= needed)
    told = histogram.percentile(quantile)
    if truth <= 10_000:
        assert max(0, truth) <= told <= BUCKET_MS[bucket_of(truth) + 1] - 1
    else:
        assert told == BUCKET_MS[-1]


def test_nothing_counted_is_nothing() -> None:
    assert LatencyHistogram(500).percentile(0.99) == 0
    assert LatencyHistogram(500).late == 0


@pytest.mark.parametrize("limit_ms", sorted(set(LIMIT_MS)))
def test_every_limit_ends_a_bucket(limit_ms: int) -> None:
    assert limit_ms + 1 in BUCKET_MS


def test_a_book_counts_each_type_against_its_own_limit() -> None:
    book = LatencyBook()
    for kind in MessageType:
        book[kind].record(450)
    assert book.late == 2
    assert (book[MessageType.DEVICE_FAILURE].late, book[MessageType.TERMINATE].late) == (1, 1)

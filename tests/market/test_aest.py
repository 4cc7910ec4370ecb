"""The market's clock: half hours, days and hours of AEST."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.aest import AEST, INDEX_MAX, day_of, hour_of, index_of, until_midnight


def test_a_day_begins_at_midnight_aest_that_is_two_in_the_afternoon_of_the_day_before_in_utc() -> None:
    index = index_of(date(2025, 1, 1))
    assert index == index_of(datetime(2024, 12, 31, 14, 0, tzinfo=UTC)) == 964_252
    assert index == index_of(datetime(2025, 1, 1, tzinfo=AEST))
    assert [hour_of(index + k) for k in (-1, 0, 1, 2, 47, 48)] == [23, 0, 0, 1, 23, 0]
    assert [day_of(index + k).isoformat() for k in (-1, 0, 47, 48)] == [
        "2024-12-31",
        "2025-01-01",
        "2025-01-01",
        "2025-01-02",
    ]


def test_the_days_when_victoria_changes_its_clocks_have_48_half_hours() -> None:
    for day in (date(2025, 4, 6), date(2025, 10, 5)):
        assert index_of(day + timedelta(days=1)) - index_of(day) == 48


@given(st.integers(0, INDEX_MAX - 1))
def test_a_half_hour_lies_in_its_day_and_hour(index: int) -> None:
    begins = datetime.fromtimestamp(index * 1800, UTC)
    local = begins.astimezone(timezone(timedelta(hours=10)))
    assert (day_of(index), hour_of(index)) == (local.date(), local.hour)
    assert index_of(begins) == index_of(local) == index_of(index) == index
    midnight = (begins + timedelta(minutes=30 * until_midnight(index))).astimezone(AEST)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert 0 <= until_midnight(index) < 48


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (datetime(2025, 1, 1), "has no offset"),  # noqa: DTZ001 - what is refused
        (datetime(2025, 1, 1, 0, 10, tzinfo=UTC), "not on a half hour"),
        (-1, "half hours since 1970"),
        (INDEX_MAX, "half hours since 1970"),
        (1_735_689_600, "half hours since 1970"),
        (date(1969, 12, 31), "half hours since 1970"),
        (date(2200, 1, 2), "half hours since 1970"),
        (date(9999, 12, 31), "half hours since 1970"),
    ],
)
def test_what_is_no_half_hour_is_refused(start: int | date, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        index_of(start)

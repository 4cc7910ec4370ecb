"""The market's clock: half hours counted in UTC, days and hours in AEST.

A half hour is known by its index: how many half hours began before it since 1970-01-01 00:00 UTC. The National
Electricity Market runs on Australian Eastern Standard Time (UTC+10) all year; there is no daylight saving in it, so a
day always has 48 half hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

HALF_HOUR_MS: Final = 1_800_000
HALF_HOURS_A_DAY: Final = 48
AEST: Final = timezone(timedelta(hours=10), "AEST")
_AHEAD: Final = 20
"""Half hours that AEST is ahead of UTC."""
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_HOUR: Final = timedelta(milliseconds=HALF_HOUR_MS)
INDEX_MAX: Final = (date(2200, 1, 1).toordinal() - _EPOCH_DAY) * HALF_HOURS_A_DAY
"""Nobody means a later half hour; milliseconds or seconds in the place of an index are beyond it."""


def hour_of(index: int) -> int:
    """Return the hour of the day, 0..23 AEST, that a half hour begins in."""
    return (index + _AHEAD) % HALF_HOURS_A_DAY // 2


def day_of(index: int) -> date:
    """Return the day, AEST, that a half hour begins in."""
    return date.fromordinal(_EPOCH_DAY + (index + _AHEAD) // HALF_HOURS_A_DAY)


def until_midnight(index: int) -> int:
    """Return how many half hours lie between a half hour's beginning and the next 00:00 AEST; 0 when it begins then."""
    return -(index + _AHEAD) % HALF_HOURS_A_DAY


def index_of(start: int | date) -> int:
    """Return the index of a half hour: its index itself, an aware time on the half hour, or a day's first (00:00 AEST).

    Raises ValueError for a time without offset or between two half hours, and for what lies before 1970 or after 2199.
    """
    if isinstance(start, datetime):
        index = _index_of_time(start)
    elif isinstance(start, date):
        index = (start.toordinal() - _EPOCH_DAY) * HALF_HOURS_A_DAY - _AHEAD
    else:
        index = start
    if not 0 <= index < INDEX_MAX:
        raise ValueError(f"half hour {index} ({start}): half hours since 1970-01-01 UTC, below {INDEX_MAX} (year 2200)")
    return index


def _index_of_time(start: datetime) -> int:
    if start.tzinfo is None:
        raise ValueError(f"{start} has no offset; write +10:00 (AEST) or +00:00 (UTC) behind it")
    index, rest = divmod(start - _EPOCH, _HALF_HOUR)
    if rest:
        raise ValueError(f"{start} is not on a half hour")
    return index

"""Prices from a file: one line for each half hour, `2026-04-04T17:30:00+10:00,12.5` (when it begins, c/kWh).

The same form as an aggregator's forecast. Empty lines, lines that begin with `#`, and a first line that begins with
`start` are skipped. A line without a price is a hole. A time with an offset (or `Z`) is what it says; one without is on
the wall clock of the zone given: where that clock shows a time twice, the first line is the earlier, the second the
later one, and a time that the clock skips is refused. Prices may be negative.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.pricing.forecast import SLOT_MS, SLOTS_MAX, ForecastError, PriceList, zone_of
from agent.pricing.slices import finished

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from agent.pricing.slices import Slices

FILE_BYTES_MAX: Final = 1 << 20
PRICE_MAX_C: Final = 100_000.0
_SLICE_LINES: Final = 32


def parse_prices(
    data: bytes, *, name: str, zone: str = "UTC", changed_ms: int = 0, stale_after_ms: int = 36 * 3_600_000
) -> PriceList:
    """Return the prices in the bytes of a file. Raises ForecastError: file, line, what is wrong, what is allowed."""
    return finished(parsing(data, name=name, zone=zone, changed_ms=changed_ms, stale_after_ms=stale_after_ms))


def parsing(data: bytes, *, name: str, zone: str, changed_ms: int, stale_after_ms: int) -> Slices[PriceList]:
    """Do what `parse_prices` does, some lines a slice."""
    if len(data) > FILE_BYTES_MAX:
        raise ForecastError(f"{name}: is too large; allowed: at most {FILE_BYTES_MAX} bytes")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ForecastError(f"{name}: is not UTF-8 text") from error
    clock = zone_of(zone)
    prices: list[tuple[int, int]] = []
    last_slot: int | None = None
    for number, line in enumerate(lines, start=1):
        if number % _SLICE_LINES == 0:
            yield
        if not line.strip() or line.lstrip().startswith("#") or (number == 1 and line.lower().startswith("start")):
            continue
        try:
            slot, price_e4 = _row(line, clock, last_slot)
        except (ValueError, OverflowError) as error:  # the second: a year that no clock of the zone can show
            raise ForecastError(f"{name}:{number}: {error}") from error
        last_slot = slot
        if price_e4 is not None:
            prices.append((slot, price_e4))
        if len(prices) > SLOTS_MAX:
            raise ForecastError(f"{name}:{number}: too many half hours; allowed: at most {SLOTS_MAX}")
    if not prices:
        raise ForecastError(f"{name}: names no price; allowed: lines of start,c_per_kwh")
    return PriceList(tuple(prices), changed_ms, stale_after_ms, name)


def _row(line: str, clock: ZoneInfo, last_slot: int | None) -> tuple[int, int | None]:
    """Return the half hour and price (None = a hole) of a line that must come after the last. Raises ValueError."""
    time, comma, price = (part.strip() for part in line.partition(","))
    if not comma:
        raise ValueError(f"{line[:60]!r} is not start,c_per_kwh")
    slot = _slot(time, clock, last_slot)
    if last_slot is not None and slot <= last_slot:
        raise ValueError(f"{time} does not come after the line before it")
    if not price:
        return slot, None
    try:
        cents = float(price)
    except ValueError:
        raise ValueError(f"{price[:60]!r} is not a price in c/kWh; allowed: a number, or nothing for a hole") from None
    if not -PRICE_MAX_C <= cents <= PRICE_MAX_C:
        raise ValueError(f"{price[:60]} c/kWh; allowed: {-PRICE_MAX_C:.0f}..{PRICE_MAX_C:.0f}")
    return slot, round(cents * 10_000)


def _slot(time: str, clock: ZoneInfo, last_slot: int | None) -> int:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise ValueError(
            f"{time[:60]!r} is not a time; allowed: like 2026-04-04T17:30 or 2026-04-04T17:30+10:00"
        ) from None
    if moment.tzinfo is None:
        moment = _on_clock(moment, clock, last_slot)
    seconds = moment.timestamp()
    slot = int(seconds * 1_000 // SLOT_MS)
    if seconds * 1_000 != slot * SLOT_MS:
        raise ValueError(f"{time} is not the beginning of a half hour")
    return slot


def _on_clock(moment: datetime, clock: ZoneInfo, last_slot: int | None) -> datetime:
    """Return a wall clock's time with its offset: the earlier of two unless that has been, none when it is skipped."""
    first, second = (moment.replace(tzinfo=clock, fold=fold) for fold in (0, 1))
    if first.astimezone(UTC).astimezone(clock).replace(tzinfo=None) != moment:
        raise ValueError(f"{moment.isoformat(timespec='minutes')} is a time that the clocks of {clock.key} skip")
    if last_slot is not None and first.timestamp() * 1_000 <= last_slot * SLOT_MS:
        return second
    return first

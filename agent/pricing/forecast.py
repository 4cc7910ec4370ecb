"""What a kWh will fetch or cost, half hour by half hour: flat, by the time of day, from a file, or from own sales.

A half hour is numbered from 1970 in UTC (`wall_ms // SLOT_MS`), so none is missing or doubled when clocks change. A
table by the time of day goes by the wall clock of its zone: the hour that comes twice in autumn has its price twice,
the hour that is skipped in spring never holds, and where a clock is not on a whole half hour the price at the beginning
of the half hour counts.

Who has too little to say raises ForecastError rather than guess; what holds then is `agent.appraiser`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOT_MS: Final = 1_800_000
DAY_SLOTS: Final = 48
HORIZON_SLOTS: Final = 2 * DAY_SLOTS
AHEAD_MIN_SLOTS: Final = 12
"""A forecast that ends within six hours says nothing about what the energy is worth tonight: it counts as stale."""
BRIDGE_SLOTS: Final = 4
"""A hole of up to two hours is bridged with the dearer of its edges; a longer one ends the forecast."""
SLOTS_MAX: Final = 10_000
"""More than half a year of half hours: a longer file is a mistake."""
BANDS_MAX: Final = DAY_SLOTS
_DAY_MINUTES: Final = 1_440
_SALE_KEPT_SLOTS: Final = 14 * DAY_SLOTS
_SALES_MIN: Final = 4
_SALE_WEIGHT: Final = 16


class ForecastError(ValueError):
    """A forecast that cannot be read, or that says too little."""


class Forecast(Protocol):
    """Anything that names prices ahead."""

    def prices_e4(self, first_slot: int, slots: int, now_ms: int) -> tuple[int | None, ...]:
        """Return the prices of up to so many half hours from one on, None = no trade then. Raises ForecastError."""
        ...


@dataclass(frozen=True, slots=True)
class FlatTariff:
    """The same price always; it never goes stale."""

    price_e4: int

    def prices_e4(self, first_slot: int, slots: int, now_ms: int) -> tuple[int | None, ...]:  # noqa: ARG002
        """Return the one price for every half hour."""
        return (self.price_e4,) * slots


class Band(NamedTuple):
    """From this minute of the wall clock's day on, until the next band begins, this price."""

    from_minute: int
    price_e4: int


@dataclass(frozen=True, slots=True)
class TimeOfUse:
    """A price by the time of day in a zone; it never goes stale. A day's last band holds until the next day's first.

    Raises ForecastError for an unknown zone, no band, two from the same minute, or one outside the day.
    """

    zone: str
    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        """Refuse what is no table of a day."""
        zone_of(self.zone)
        starts = [band.from_minute for band in self.bands]
        if not 1 <= len(starts) <= BANDS_MAX or len(set(starts)) != len(starts):
            raise ForecastError(f"times of day: 1..{BANDS_MAX}, each from another time")
        if not all(0 <= start < _DAY_MINUTES for start in starts):
            raise ForecastError("times of day lie between 00:00 and 23:59")

    def prices_e4(self, first_slot: int, slots: int, now_ms: int) -> tuple[int | None, ...]:  # noqa: ARG002
        """Return the price that the wall clock shows at the beginning of each half hour."""
        zone, bands = zone_of(self.zone), sorted(self.bands)
        return tuple(_price_at(bands, _minute(slot, zone)) for slot in range(first_slot, first_slot + slots))


@dataclass(frozen=True, slots=True)
class PriceFile:
    """Where prices are read from; a file that has not changed for longer than `stale_after_ms` says nothing any more.

    `zone` is for times without an offset. The values in it are a `PriceList`.
    """

    path: str
    zone: str = "UTC"
    stale_after_ms: int = 36 * 3_600_000

    def __post_init__(self) -> None:
        """Refuse an unknown zone. Raises ForecastError."""
        zone_of(self.zone)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of some half hours, as a file named them; `changed_ms` is when it was written (wall)."""

    prices: tuple[tuple[int, int], ...]
    """Half hour and price, rising."""
    changed_ms: int
    stale_after_ms: int
    name: str = "price list"

    def __post_init__(self) -> None:
        """Refuse what is no list. Raises ForecastError."""
        if not 1 <= len(self.prices) <= SLOTS_MAX:
            raise ForecastError(f"{self.name}: {len(self.prices)} half hours; from 1 to {SLOTS_MAX}")
        if any(later[0] <= earlier[0] for earlier, later in pairwise(self.prices)):
            raise ForecastError(f"{self.name}: half hours must rise")

    def prices_e4(self, first_slot: int, slots: int, now_ms: int) -> tuple[int | None, ...]:
        """Return the prices ahead, short holes bridged, up to the end or the first long hole.

        Raises ForecastError when the list is too old, or covers less than six hours from here on.
        """
        age_ms = now_ms - self.changed_ms
        if age_ms > self.stale_after_ms:
            raise ForecastError(f"{self.name}: not renewed for {age_ms // 3_600_000} h")
        found = self._from(first_slot, slots)
        if len(found) < AHEAD_MIN_SLOTS:
            hours = len(found) / 2
            raise ForecastError(
                f"{self.name}: covers {hours:g} h from now on, at least {AHEAD_MIN_SLOTS // 2} h needed"
            )
        return tuple(found)

    def _from(self, first_slot: int, slots: int) -> list[int]:
        """Return what is known from a half hour on without a long hole."""
        found: list[int] = []
        before: tuple[int, int] | None = None
        for slot, price_e4 in self.prices:
            if slot >= first_slot:
                last_slot, last_e4 = before or (first_slot - 1, price_e4)
                if slot - last_slot - 1 > (BRIDGE_SLOTS if before else 0):
                    break
                found += [max(price_e4, last_e4)] * (slot - max(last_slot + 1, first_slot))
                found.append(price_e4)
            before = slot, price_e4
            if len(found) >= slots:
                break
        return found[:slots]


@dataclass(frozen=True, slots=True)
class OwnSales:
    """Says that the history of own sales is the forecast; the values are a `SalesHistory`."""


class Sold(NamedTuple):
    """What one half hour of the day has fetched: the running mean price, and the half hour of the last sale."""

    mean_e4: int
    last_slot: int


@dataclass(frozen=True, slots=True)
class SalesHistory:
    """What own sales have fetched by half hour of the UTC day: running means over about sixteen sales each.

    A half hour without a sale in two weeks counts as one in which nothing can be sold: if nobody has paid a price for
    so long, it is no reason to wait for it. By UTC, so after a change of clocks the habits of buyers are an hour off
    until new sales have overtaken the old.
    """

    sold: tuple[Sold | None, ...] = field(default=(None,) * DAY_SLOTS)

    def with_sale(self, wall_ms: int, price_e4: int) -> SalesHistory:
        """Return the history with one more sale."""
        slot = wall_ms // SLOT_MS
        before = self.sold[slot % DAY_SLOTS]
        mean_e4 = price_e4
        if before is not None and slot - before.last_slot <= _SALE_KEPT_SLOTS:
            mean_e4 = before.mean_e4 + (price_e4 - before.mean_e4) // _SALE_WEIGHT
        place = slot % DAY_SLOTS
        return replace(self, sold=(*self.sold[:place], Sold(mean_e4, slot), *self.sold[place + 1 :]))

    def prices_e4(self, first_slot: int, slots: int, now_ms: int) -> tuple[int | None, ...]:
        """Return what each half hour has fetched. Raises ForecastError with fewer than four half hours of the day."""
        now_slot = now_ms // SLOT_MS
        known = [None if one is None or now_slot - one.last_slot > _SALE_KEPT_SLOTS else one for one in self.sold]
        count = sum(one is not None for one in known)
        if count < _SALES_MIN:
            raise ForecastError(
                f"own sales of two weeks: in {count} half hours of the day, at least {_SALES_MIN} needed"
            )
        days = (known[slot % DAY_SLOTS] for slot in range(first_slot, first_slot + slots))
        return tuple(None if one is None else one.mean_e4 for one in days)

    def to_json(self) -> list[list[int] | None]:
        """Return the history as plain JSON."""
        return [None if one is None else list(one) for one in self.sold]

    @classmethod
    def from_json(cls, plain: Sequence[Sequence[int] | None]) -> SalesHistory:
        """Return the history in what `to_json` made. Raises ValueError or TypeError when it is not one."""
        if len(plain) != DAY_SLOTS:
            raise ValueError(f"{len(plain)} half hours in a day of sales")
        return cls(tuple(None if one is None else Sold(int(one[0]), int(one[1])) for one in plain))


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises ForecastError when the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ForecastError(f"time zone {name!r} is not known to this machine") from error


def _minute(slot: int, zone: ZoneInfo) -> int:
    at = datetime.fromtimestamp(slot * SLOT_MS // 1_000, tz=UTC).astimezone(zone)
    return at.hour * 60 + at.minute


def _price_at(bands: Sequence[Band], minute: int) -> int:
    return next((band.price_e4 for band in reversed(bands) if band.from_minute <= minute), bands[-1].price_e4)

"""Real prices: AEMO's "aggregated price and demand" files, five-minute rows averaged to half hours.

A row's SETTLEMENTDATE is the end of its five minutes in AEST, RRP is $/MWh (10 $/MWh = 1 c/kWh), a negative one
included. A file must be whole: each half hour of its six rows, none missing, none twice, in order, of one region. The
months of a series are read together and must follow on each other. The prices are AEMO's (Australian Energy Market
Operator); who publishes anything made of them names AEMO as the source.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from etp.units import PRICE_TICK_E4
from market.aest import AEST, index_of
from market.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

COLUMNS: Final = ("REGION", "SETTLEMENTDATE", "TOTALDEMAND", "RRP", "PERIODTYPE")
ROWS_MAX: Final = 10 * 366 * 288
"""Ten years of five minutes, which the market settles since October 2021; a longer series is a mistake."""
RRP_MIN: Final = Decimal(-1_000)
"""The market's price floor, $/MWh."""
RRP_MAX: Final = Decimal(50_000)
"""More than twice the market's price cap of 2025-26 (20,300 $/MWh), which rises every year."""
_LINE_CHARACTERS_MAX: Final = 1_000
_FIVE_MINUTES: Final = timedelta(minutes=5)
_ROWS_A_HALF_HOUR: Final = 6
_SHOWN: Final = 3
_TIME: Final = "%Y/%m/%d %H:%M:%S"
_NUMBER: Final = re.compile(r"-?[0-9]*\.?[0-9]+(E-?[0-9]{1,2})?")
_FIRST_YEAR: Final = 1998
"""The market's first."""
_LAST_YEAR: Final = 2199
_TICKS_A_DOLLAR: Final = Fraction(1_000, PRICE_TICK_E4)
"""1 $/MWh is 0.1 c/kWh, 1 000 e4."""


@dataclass(frozen=True, slots=True)
class RealPrices:
    """Half-hourly prices of a region from half hour `first` (since 1970-01-01 UTC) on, each on the tick of the grid."""

    region: str
    first: int
    prices_e4: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    region: str
    end: datetime
    rrp: Decimal


def load_prices(paths: Sequence[Path]) -> RealPrices:
    """Return the half-hourly prices of AEMO files that follow on each other.

    Raises DataError with file and line: at once for what cannot be read as a row; else at the end, with the first three
    holes, rows that stand there twice or in the wrong place, and how many more there are.
    """
    series = _Series()
    for path in paths:
        for row in _rows(path):
            series.add(row)
    return series.prices()


@dataclass(slots=True)
class _Series:
    """The rows so far, and what is wrong with them."""

    last: _Row | None = None
    places: dict[datetime, str] = field(default_factory=dict)
    rrp: list[Decimal] = field(default_factory=list)
    rows: int = 0
    faults: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, row: _Row) -> None:
        self.rows += 1
        if self.rows > ROWS_MAX:
            raise DataError(f"{row.place}: more than {ROWS_MAX} rows; that is no series of prices")
        if fault := self._fault(row):
            self._blame(row, fault)
            if self.last is not None and (row.region != self.last.region or row.end <= self.last.end):
                return
        self.places[row.end] = row.place
        self.rrp.append(row.rrp)
        self.last = row

    def prices(self) -> RealPrices:
        """Return the averages, or raise DataError with what was wrong."""
        if self.last is None:
            raise DataError("no row of prices in the files")
        if self.last.end.minute % 30:
            self._blame(self.last, f"the series ends within a half hour, at {self.last.end:{_TIME}}")
        if self.faults:
            more = self.faults - len(self.told)
            raise DataError("; ".join(self.told) + (f"; and {more} more" if more else ""))
        ticks = (
            round(Fraction(sum(self.rrp[at : at + _ROWS_A_HALF_HOUR])) / _ROWS_A_HALF_HOUR * _TICKS_A_DOLLAR)
            for at in range(0, len(self.rrp), _ROWS_A_HALF_HOUR)
        )
        first = index_of(next(iter(self.places)) - _FIVE_MINUTES)
        return RealPrices(self.last.region, first, tuple(tick * PRICE_TICK_E4 for tick in ticks))

    def _fault(self, row: _Row) -> str | None:
        """Return why a row is not the one that must come now."""
        last = self.last
        if last is None:
            begin = row.end - _FIVE_MINUTES
            return f"the series begins within a half hour, at {begin:{_TIME}}" if begin.minute % 30 else None
        if row.region != last.region:
            return f"region {row.region} among rows of {last.region}"
        if earlier := self.places.get(row.end):
            return f"{row.end:{_TIME}} stands there twice, first at {earlier}"
        if row.end < last.end:
            return f"{row.end:{_TIME}} after {last.end:{_TIME}}: rows must be in order of time"
        missing = (row.end - last.end) // _FIVE_MINUTES - 1
        return f"a hole before it: {missing} missing, from {last.end + _FIVE_MINUTES:{_TIME}} on" if missing else None

    def _blame(self, row: _Row, fault: str) -> None:
        self.faults += 1
        if len(self.told) < _SHOWN:
            self.told.append(f"{row.place}: {fault}")


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(_bounded(file, path), strict=True)
            header = next(lines, [])
            if tuple(header) != COLUMNS:
                raise DataError(f"{path}:1: the columns must be {','.join(COLUMNS)}, not {','.join(header)[:80]!r}")
            for cells in lines:
                yield _row(f"{path}:{lines.line_num}", cells)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV file: {error}") from error


def _bounded(file: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if len(line) > _LINE_CHARACTERS_MAX:
            raise DataError(f"{path}:{number}: a line of more than {_LINE_CHARACTERS_MAX} characters")
        yield line


def _row(place: str, cells: list[str]) -> _Row:
    if len(cells) != len(COLUMNS):
        raise DataError(f"{place}: {len(cells)} cells; a row has {len(COLUMNS)}: {','.join(COLUMNS)}")
    region, ends, _, rrp, kind = (cell.strip() for cell in cells)
    if not region:
        raise DataError(f"{place}: REGION is empty")
    if kind != "TRADE":
        raise DataError(f"{place}: PERIODTYPE {kind!r}: only TRADE rows are prices that were paid")
    return _Row(place, region, _end(place, ends), _price(place, rrp))


def _end(place: str, text: str) -> datetime:
    try:
        end = datetime.strptime(text, _TIME).replace(tzinfo=AEST)
    except ValueError as error:
        raise DataError(f"{place}: SETTLEMENTDATE {text!r}: must be like 2025/01/31 17:35:00") from error
    if end.minute % 5 or end.second:
        raise DataError(f"{place}: SETTLEMENTDATE {text!r}: must be the end of five minutes")
    if not _FIRST_YEAR <= end.year <= _LAST_YEAR:
        raise DataError(f"{place}: SETTLEMENTDATE {text!r}: the year must be from {_FIRST_YEAR} to {_LAST_YEAR}")
    return end


def _price(place: str, text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise DataError(f"{place}: RRP {text!r}: must be a price in $/MWh")
    rrp = Decimal(text)
    if not RRP_MIN <= rrp <= RRP_MAX:
        raise DataError(f"{place}: RRP {text!r}: must be from {RRP_MIN} to {RRP_MAX} $/MWh")
    return rrp

"""A forecast: what a kWh is expected to sell for, step by step; and how good now is against what comes.

Prices are `price_e4` and may be negative. A step without a price is a hole: nothing is bought then. A curve either
repeats (a typical day) or ends, after which there is no price either.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from aggregator.errors import ForecastError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAY_MS: Final = 86_400_000
_STEPS_MAX: Final = 100_000
"""A year of five-minute steps; a longer file is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A price curve: `values_e4[k]` holds from `start_ms + k * step_ms` on, None = no price."""

    values_e4: tuple[int | None, ...]
    step_ms: int
    start_ms: int = 0
    repeat: bool = True
    horizon_ms: int = DAY_MS
    """How far ahead `better_later_permille` looks."""
    _ranks: dict[int, int] = field(default_factory=dict, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse what is no curve. Raises ForecastError."""
        if not self.values_e4:
            raise ForecastError("a forecast needs at least one value")
        if len(self.values_e4) > _STEPS_MAX:
            raise ForecastError(f"a forecast has at most {_STEPS_MAX} values")
        if self.step_ms <= 0:
            raise ForecastError("a forecast's step must be positive")

    @classmethod
    def flat(cls, price_e4: int) -> Forecast:
        """Return a forecast that is the same at all times."""
        return cls(values_e4=(price_e4,), step_ms=DAY_MS)

    @classmethod
    def day(cls, values_c: Sequence[float | None], *, step_ms: int | None = None, utc_offset_ms: int = 0) -> Forecast:
        """Return a curve that repeats, its first value at local midnight; the step divides a day by default."""
        if not values_c:
            raise ForecastError("a forecast needs at least one value")
        return cls(
            values_e4=tuple(None if value is None else round(value * 10_000) for value in values_c),
            step_ms=DAY_MS // len(values_c) if step_ms is None else step_ms,
            start_ms=-utc_offset_ms,
        )

    @classmethod
    def from_file(cls, path: Path) -> Forecast:
        """Read lines `2026-01-31T17:30:00+10:00,12.5` (time, c/kWh; empty price = hole), evenly spaced.

        A time without offset is UTC. Raises ForecastError with the line at fault.
        """
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                rows = [_row(number, row) for number, row in enumerate(csv.reader(lines), 1) if row]
        except (OSError, UnicodeDecodeError) as error:
            raise ForecastError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
        if len(rows) < 2:
            raise ForecastError(f"{path}: needs at least two lines of time,price")
        step_ms = rows[1][0] - rows[0][0]
        for number, (before, after) in enumerate(pairwise(rows), 2):
            if after[0] - before[0] != step_ms:
                raise ForecastError(
                    f"{path}:{number}: times must be evenly spaced and rising; leave a hole's price empty"
                )
        return cls(values_e4=tuple(price for _, price in rows), step_ms=step_ms, start_ms=rows[0][0], repeat=False)

    def step_of(self, wall_ms: int) -> int:
        """Return the number of the step that a time lies in, counted from `start_ms`; it may lie outside the curve."""
        return (wall_ms - self.start_ms) // self.step_ms

    def at(self, wall_ms: int) -> int | None:
        """Return the price at a time, or None in a hole or outside the curve."""
        return self._value(self.step_of(wall_ms))

    def better_later_permille(self, wall_ms: int) -> int:
        """Return the share of the horizon, in permille of its priced steps, that is worth more than now."""
        step = self.step_of(wall_ms)
        place = step % len(self.values_e4) if self.repeat else step
        if place not in self._ranks:
            if len(self._ranks) >= _STEPS_MAX:
                self._ranks.clear()
            self._ranks[place] = self._rank(step)
        return self._ranks[place]

    def _rank(self, step: int) -> int:
        now = self._value(step)
        ahead = max(1, self.horizon_ms // self.step_ms)
        steps = range(step, step + min(ahead, len(self.values_e4)))
        later = [value for value in map(self._value, steps) if value is not None]
        if now is None or not later:
            return 0
        return 1_000 * sum(value > now for value in later) // len(later)

    def _value(self, step: int) -> int | None:
        if self.repeat:
            return self.values_e4[step % len(self.values_e4)]
        return self.values_e4[step] if 0 <= step < len(self.values_e4) else None


def _row(number: int, row: list[str]) -> tuple[int, int | None]:
    try:
        moment = datetime.fromisoformat(row[0].strip())
        price = row[1].strip()
        value = round(float(price) * 10_000) if price else None
    except (IndexError, ValueError, OverflowError) as error:
        raise ForecastError(f"line {number}: expected time,c_per_kwh; found {','.join(row)[:60]!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000, value

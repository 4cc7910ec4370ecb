"""How private values are spread over the buyers of a market: what a shading buyer must believe.

Each distribution is a frozen value with `low_e4`, `high_e4` (a range that holds all but a negligible part) and a
cumulative distribution. `declared` makes one from the fields that studies and configuration files use.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Protocol

from aggregator.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAIL: Final = 8.0
"""Standard deviations after which a normal tail is treated as empty: 6e-16 of the mass."""
_MASS_MIN: Final = 1e-15
_STANDARD: Final = NormalDist()


class Distribution(Protocol):
    """A distribution of private values in 1/10 000 c/kWh."""

    @property
    def low_e4(self) -> float:
        """No value lies below this."""
        ...

    @property
    def high_e4(self) -> float:
        """No value lies above this."""
        ...

    def cdf(self, value_e4: float) -> float:
        """Return the probability of a value at or below this one."""
        ...

    def quantile(self, share: float) -> float:
        """Return the value at or below which a share of the values lies; `share` is above 0 and below 1."""
        ...

    def __hash__(self) -> int:
        """Frozen values only: bids are remembered by distribution."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every value between low and high is equally likely."""

    low_e4: float
    high_e4: float

    def cdf(self, value_e4: float) -> float:
        """Return the probability of a value at or below this one."""
        if self.high_e4 <= self.low_e4:
            return float(value_e4 >= self.low_e4)
        return min(1.0, max(0.0, (value_e4 - self.low_e4) / (self.high_e4 - self.low_e4)))

    def quantile(self, share: float) -> float:
        """Return the value at or below which a share of the values lies."""
        return self.low_e4 + share * (self.high_e4 - self.low_e4)


@dataclass(frozen=True, slots=True)
class Normal:
    """Gaussian values; `floor_e4` and `ceiling_e4` cut it off (truncated normal) where given."""

    mean_e4: float
    sd_e4: float
    floor_e4: float | None = None
    ceiling_e4: float | None = None

    @property
    def low_e4(self) -> float:
        """The cut, or eight standard deviations below the mean."""
        return self.mean_e4 - _TAIL * self.sd_e4 if self.floor_e4 is None else self.floor_e4

    @property
    def high_e4(self) -> float:
        """The cut, or eight standard deviations above the mean."""
        return self.mean_e4 + _TAIL * self.sd_e4 if self.ceiling_e4 is None else self.ceiling_e4

    def cdf(self, value_e4: float) -> float:
        """Return the probability of a value at or below this one."""
        if value_e4 < self.low_e4:
            return 0.0
        if value_e4 >= self.high_e4:
            return 1.0
        if self.sd_e4 <= 0:
            return float(value_e4 >= self.mean_e4)
        below, above = self._kept()
        return (self._mass(value_e4) - below) / (above - below)

    def quantile(self, share: float) -> float:
        """Return the value at or below which a share of the values lies, within the cuts."""
        if self.sd_e4 <= 0:
            return self.mean_e4
        below, above = self._kept()
        mass = min(1.0 - _MASS_MIN, max(_MASS_MIN, below + share * (above - below)))
        return min(self.high_e4, max(self.low_e4, self.mean_e4 + self.sd_e4 * _STANDARD.inv_cdf(mass)))

    @property
    def is_empty(self) -> bool:
        """Whether the cuts leave nothing: they lie too far out in one tail."""
        if self.sd_e4 <= 0:
            return not self.low_e4 <= self.mean_e4 <= self.high_e4
        below, above = self._kept()
        return above - below <= _MASS_MIN

    def _kept(self) -> tuple[float, float]:
        below = 0.0 if self.floor_e4 is None else self._mass(self.floor_e4)
        above = 1.0 if self.ceiling_e4 is None else self._mass(self.ceiling_e4)
        return below, above

    def _mass(self, value_e4: float) -> float:
        return _STANDARD.cdf((value_e4 - self.mean_e4) / self.sd_e4)


@dataclass(frozen=True, slots=True)
class Triangular:
    """Values between low and high, most likely at the mode."""

    low_e4: float
    mode_e4: float
    high_e4: float

    def cdf(self, value_e4: float) -> float:
        """Return the probability of a value at or below this one."""
        width = self.high_e4 - self.low_e4
        if value_e4 <= self.low_e4:
            return float(width <= 0 and value_e4 >= self.low_e4)
        if value_e4 >= self.high_e4:
            return 1.0
        if value_e4 <= self.mode_e4:
            return (value_e4 - self.low_e4) ** 2 / (width * (self.mode_e4 - self.low_e4))
        return 1.0 - (self.high_e4 - value_e4) ** 2 / (width * (self.high_e4 - self.mode_e4))

    def quantile(self, share: float) -> float:
        """Return the value at or below which a share of the values lies."""
        width, rise = self.high_e4 - self.low_e4, self.mode_e4 - self.low_e4
        if share * width <= rise:
            return self.low_e4 + math.sqrt(share * width * rise)
        return self.high_e4 - math.sqrt((1.0 - share) * width * (self.high_e4 - self.mode_e4))


@dataclass(frozen=True, slots=True)
class Table:
    """The empirical distribution of sorted observations."""

    values_e4: tuple[float, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep the hash: bids are remembered by distribution, and there may be many observations."""
        object.__setattr__(self, "_hash", hash(self.values_e4))

    def __hash__(self) -> int:
        """Return the hash of the observations."""
        return self._hash

    @property
    def low_e4(self) -> float:
        """The lowest observation."""
        return self.values_e4[0]

    @property
    def high_e4(self) -> float:
        """The highest observation."""
        return self.values_e4[-1]

    def cdf(self, value_e4: float) -> float:
        """Return the share of observations at or below this value."""
        return bisect_right(self.values_e4, value_e4) / len(self.values_e4)

    def quantile(self, share: float) -> float:
        """Return the observation at or below which a share of them lies."""
        return self.values_e4[min(len(self.values_e4) - 1, int(share * len(self.values_e4)))]


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "uniform": ("low_e4", "high_e4"),
    "normal": ("mean_e4", "sd_e4"),
    "truncnorm": ("mean_e4", "sd_e4", "low_e4", "high_e4"),
    "triangular": ("low_e4", "mode_e4", "high_e4"),
}


def declared(fields: Mapping[str, Any]) -> Distribution:
    """Return the distribution that `{"kind": ..., ...}` declares.

    Kinds: uniform, normal, truncnorm, triangular with their `_e4` fields, table with `values_e4`. Raises StrategyError
    naming the key for an unknown kind, a missing, unknown or non-numeric field, or an impossible order.
    """
    kind = fields.get("kind")
    given = {key: value for key, value in fields.items() if key != "kind"}
    if kind == "table":
        return _table(given)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise StrategyError("kind", f"{kind!r} is not one of {', '.join([*_FIELDS, 'table'])}")
    wanted = _FIELDS[kind]
    for key in [*given, *wanted]:
        if key not in wanted:
            raise StrategyError(key, f"unknown; {kind} takes {', '.join(wanted)}")
        if not _is_number(given.get(key)):
            raise StrategyError(key, "must be a number")
    numbers = [float(given[key]) for key in wanted]
    match kind:
        case "uniform":
            made: Distribution = Uniform(*numbers)
        case "triangular":
            made = Triangular(*numbers)
            if not made.low_e4 <= made.mode_e4 <= made.high_e4:
                raise StrategyError("mode_e4", "must lie between low_e4 and high_e4")
        case _:
            made = Normal(*numbers)
            if made.sd_e4 < 0:
                raise StrategyError("sd_e4", "must not be negative")
    if made.low_e4 > made.high_e4:
        raise StrategyError("low_e4", "must not be above high_e4")
    if isinstance(made, Normal) and made.is_empty:
        raise StrategyError("low_e4", "no value of this mean and spread lies between low_e4 and high_e4")
    return made


def _table(given: Mapping[str, Any]) -> Table:
    values = given.get("values_e4")
    if set(given) != {"values_e4"} or not isinstance(values, list | tuple) or not values:
        raise StrategyError("values_e4", "table takes values_e4, a list of at least one number, and nothing else")
    if not all(_is_number(value) for value in values):
        raise StrategyError("values_e4", "must hold numbers only")
    return Table(tuple(sorted(float(value) for value in values)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15

"""Reads the statistics behind the synthetic spot price: JSON to checked tables, or one line with file and key.

The file that comes with the product holds our own statistics of prices that AEMO (Australian Energy Market Operator)
published for the region VIC1; its `description` tells the recipe. Nothing here knows what the tables are used for.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from market.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")

BUNDLED: Final = Path(__file__).parent / "data" / "spot-vic1.json"
SEASONS: Final = ("winter", "summer")
SPIKE_C_MAX: Final = 1660.0
"""The dearest half hour of 2023-2025 in VIC1, c/kWh; the spike sizes of the file end there."""
HOURS_MAX: Final = 200.0
"""The longest time constant that a path takes up anew without a seam; see `market.spot`."""
_FILE_BYTES_MAX: Final = 1_000_000
_PRICE_C_MIN: Final = -100.0
"""The market's floor, -1,000 $/MWh."""
_KEYS: Final = {
    "description", "check", "quantile_levels", "quantiles", "spike_hazard_per_halfhour", "spike_stay_prob",
    "spike_size_levels", "spike_size_c", "w_fast", "tau_fast_h", "tau_slow_h", "cap",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotTables:
    """The statistics, prices in c/kWh, hours 0..23 AEST; winter = April to September.

    `quantiles[season][hour]` are the prices at `levels`, without spikes; `hazard[season][hour]` is the probability that
    a spike starts in a half hour that follows one without. `real` are figures of the prices that the statistics are of.
    """

    description: str
    real: Mapping[str, float]
    levels: tuple[float, ...]
    quantiles: Mapping[str, tuple[tuple[float, ...], ...]]
    hazard: Mapping[str, tuple[float, ...]]
    stay: float
    spike_levels: tuple[float, ...]
    spike_c: tuple[float, ...]
    fast_weight: float
    fast_hours: float
    slow_hours: float
    threshold_c: float
    """Above it a price is a spike's, never an ordinary one."""


def read_tables(path: Path) -> SpotTables:
    """Return the tables of a statistics file. Raises DataError with file and key."""
    return _Reader(str(path), _parse(path)).tables()


def _parse(path: Path) -> dict[str, Any]:
    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        body = dict(pairs)
        if len(body) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path}: {twice}: stands there twice")
        return body

    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES_MAX + 1)
        if len(raw) > _FILE_BYTES_MAX:
            raise DataError(f"{path}: larger than {_FILE_BYTES_MAX} bytes; this is another file")
        body = json.loads(raw, object_pairs_hook=object_of)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise DataError(f"{path}: must be a JSON object")
    if missing := sorted(_KEYS - body.keys()):
        raise DataError(f"{path}: {missing[0]}: is missing")
    if unknown := sorted(body.keys() - _KEYS):
        raise DataError(f"{path}: {unknown[0]}: is unknown; known are {', '.join(sorted(_KEYS))}")
    return body


class _Reader:
    """Takes the values out of a parsed file, and says which key is at fault."""

    def __init__(self, file: str, body: dict[str, Any]) -> None:
        self._file = file
        self._body = body

    def tables(self) -> SpotTables:
        description = self._body["description"]
        if not isinstance(description, str) or not description:
            self._refuse("description", "must be a text that says what the statistics are of, and whose")
        threshold_c = self._number("cap", self._body["cap"], above=0, most=SPIKE_C_MAX)
        levels = self._levels("quantile_levels")
        spike_levels = self._levels("spike_size_levels")
        return SpotTables(
            description=description,
            real=self._real(),
            levels=levels,
            quantiles=self._seasons("quantiles", lambda key, row: self._prices(key, row, len(levels), threshold_c)),
            hazard=self._seasons("spike_hazard_per_halfhour", lambda key, one: self._number(key, one, most=1)),
            stay=self._number("spike_stay_prob", self._body["spike_stay_prob"], most=0.99),
            spike_levels=spike_levels,
            spike_c=self._sizes(len(spike_levels), threshold_c),
            fast_weight=self._number("w_fast", self._body["w_fast"], most=1),
            fast_hours=self._number("tau_fast_h", self._body["tau_fast_h"], above=0, most=HOURS_MAX),
            slow_hours=self._number("tau_slow_h", self._body["tau_slow_h"], above=0, most=HOURS_MAX),
            threshold_c=threshold_c,
        )

    def _real(self) -> dict[str, float]:
        check = self._body["check"]
        if not isinstance(check, dict) or not {"columns", "actual"} <= check.keys():
            self._refuse("check", "must be an object with columns and actual")
        columns = self._list("check.columns", check["columns"])
        if not all(isinstance(column, str) for column in columns) or len(set(columns)) < len(columns):
            self._refuse("check.columns", "must be names, each once")
        actual = self._list("check.actual", check["actual"], len(columns))
        return {
            column: self._number(f"check.actual[{at}]", value, least=-math.inf)
            for at, (column, value) in enumerate(zip(columns, actual, strict=True))
        }

    def _levels(self, key: str) -> tuple[float, ...]:
        values = tuple(
            self._number(f"{key}[{at}]", value, above=0, most=0.9999)
            for at, value in enumerate(self._list(key, self._body[key]))
        )
        if len(values) < 2 or any(after <= before for before, after in pairwise(values)):
            self._refuse(key, "must be two or more probabilities that rise")
        return values

    def _seasons(self, key: str, read: Callable[[str, Any], _T]) -> dict[str, tuple[_T, ...]]:
        seasons = self._body[key]
        if not isinstance(seasons, dict) or seasons.keys() != set(SEASONS):
            self._refuse(key, f"must be an object with {' and '.join(SEASONS)}")
        return {
            season: tuple(
                read(f"{key}.{season}[{hour}]", value)
                for hour, value in enumerate(self._list(f"{key}.{season}", seasons[season], 24))
            )
            for season in SEASONS
        }

    def _prices(self, key: str, row: Any, count: int, most_c: float) -> tuple[float, ...]:
        values = tuple(
            self._number(key, value, least=_PRICE_C_MIN, most=most_c) for value in self._list(key, row, count)
        )
        if any(after < before for before, after in pairwise(values)):
            self._refuse(key, "quantiles must not fall")
        return values

    def _sizes(self, count: int, threshold_c: float) -> tuple[float, ...]:
        key = "spike_size_c"
        row = self._list(key, self._body[key], count)
        values = tuple(self._number(key, value, above=threshold_c, most=SPIKE_C_MAX) for value in row)
        if any(after <= before for before, after in pairwise(values)):
            self._refuse(key, "sizes must rise")
        return values

    def _list(self, key: str, value: Any, count: int | None = None) -> list[Any]:
        if not isinstance(value, list) or (count is not None and len(value) != count):
            self._refuse(key, f"must be a list of {count} values" if count is not None else "must be a list")
        return list(value)

    def _number(
        self, key: str, value: Any, *, least: float = 0.0, above: float | None = None, most: float = math.inf
    ) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self._refuse(key, f"must be a number, not {value!r}")
        if value > most or (value < least if above is None else value <= above):
            bound = f"at least {least:g}" if above is None else f"above {above:g}"
            self._refuse(key, f"{value!r} is out of range: {bound}, at most {most:g}")
        return float(value)

    def _refuse(self, key: str, reason: str) -> NoReturn:
        raise DataError(f"{self._file}: {key}: {reason}")

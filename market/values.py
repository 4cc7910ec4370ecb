"""Private values drawn for studies: each buyer's value in each lot is a hash's quantile in the declared distribution.

{"kind": "uniform", "low_e4": ..., "high_e4": ...}
{"kind": "normal", "mean_e4": ..., "sd_e4": ...}
{"kind": "truncnorm", "mean_e4": ..., "sd_e4": ..., "low_e4": ..., "high_e4": ...}
{"kind": "triangular", "low_e4": ..., "mode_e4": ..., "high_e4": ...}
{"kind": "table", "rows": [[...], ...]}      row k mod len(rows) holds the values of lot k, one a buyer
{"kind": "table", "values_e4": [...]}        each buyer draws one of these
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from market.draws import uniform
from market.errors import StudyError, shown
from market.setting import PRICE_MAX_E4, on_grid
from market.strategies import distribution_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aggregator.strategies import Distribution


class Values(Protocol):
    """Where the buyers of a lot get their values from."""

    def of_lot(self, seed: int, lot: int, n: int) -> list[int]:
        """Return the values of the first `n` buyers, on the grid; a further buyer changes no other's."""
        ...


class Drawn:
    """Independent draws from one distribution."""

    def __init__(self, distribution: Distribution) -> None:
        self._quantile = distribution.quantile

    def of_lot(self, seed: int, lot: int, n: int) -> list[int]:
        """Return the values of the first `n` buyers."""
        quantile = self._quantile
        return [on_grid(quantile(uniform(seed, lot, buyer, "value"))) for buyer in range(n)]


class Rows:
    """Values as given."""

    def __init__(self, rows: list[list[int]]) -> None:
        self._rows = rows

    def of_lot(self, seed: int, lot: int, n: int) -> list[int]:  # noqa: ARG002 - the protocol's signature
        """Return the values of the first `n` buyers; the rows are taken in turn."""
        return self._rows[lot % len(self._rows)][:n]


def values_of(fields: object, n: int) -> Values:
    """Return what a request declares, for markets of `n` buyers. Raises StudyError naming the key."""
    if not isinstance(fields, dict):
        raise StudyError("values", "must be an object with a kind")
    if fields.get("kind") == "table" and "rows" in fields:
        return Rows(_rows_of(fields, n))
    distribution = distribution_of(fields)
    if max(abs(distribution.low_e4), abs(distribution.high_e4)) > PRICE_MAX_E4:
        raise StudyError("values", f"reach beyond {PRICE_MAX_E4}, which is no price_e4")
    return Drawn(distribution)


def _rows_of(fields: Mapping[str, Any], n: int) -> list[list[int]]:
    for key in fields:
        if key not in {"kind", "rows"}:
            raise StudyError(f"values.{key}", "unknown; a table takes rows or values_e4")
    rows = fields["rows"]
    if not isinstance(rows, list) or not rows:
        raise StudyError("values.rows", "must be a list of at least one row of values")
    made: list[list[int]] = []
    for index, row in enumerate(rows):
        key = f"values.rows[{index}]"
        if not isinstance(row, list) or len(row) < n:
            raise StudyError(key, f"must be a list of at least {n} values, one a buyer")
        for value in row:
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= PRICE_MAX_E4:
                raise StudyError(key, f"{shown(value)} is no price_e4")
        made.append([on_grid(value) for value in row])
    return made

"""The figures: what was measured, against which target, and the table and the JSON that say so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    `sense` says on which side of the target it must lie; without a target it is told for comparison only. A figure that
    is not `valid` (the server was not busy, a part is missing) is never ok, and `note` says why.
    """

    key: str
    value: float
    unit: str = ""
    target: float | None = None
    sense: Literal[">=", "<="] = "<="
    valid: bool = True
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        met = self.value >= self.target if self.sense == ">=" else self.value <= self.target
        return met and self.valid


def to_json(figures: Iterable[Figure]) -> dict[str, float | bool | str]:
    """Return the figures as flat keys: `a.b`, and beside it `a.b.target`, `a.b.ok`, `a.b.note` where there are any."""
    flat: dict[str, float | bool | str] = {}
    for figure in figures:
        flat[figure.key] = round(figure.value, 4)
        if figure.target is not None and figure.ok is not None:
            flat[f"{figure.key}.target"] = round(figure.target, 4)
            flat[f"{figure.key}.ok"] = figure.ok
        if figure.note:
            flat[f"{figure.key}.note"] = figure.note
    return flat


def write_json(path: Path, figures: Iterable[Figure]) -> None:
    """Write the figures as JSON, in place of an older report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(figures), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as lines of equal columns: key, value, target, verdict, note."""
    rows = [(figure.key, _number(figure.value, figure.unit), _aim(figure), _verdict(figure)) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
    lines = []
    for row, figure in zip(rows, figures, strict=True):
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3].ljust(widths[3])]
        lines.append("  ".join([*cells, figure.note]).rstrip())
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 1_000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 0.1 else 4
    return f"{value:,.{digits}f} {unit}".rstrip()


def _aim(figure: Figure) -> str:
    return "" if figure.target is None else f"{figure.sense} {_number(figure.target, figure.unit)}"


def _verdict(figure: Figure) -> str:
    return {None: "", True: "ok", False: "MISSED" if figure.valid else "NOT VALID"}[figure.ok]

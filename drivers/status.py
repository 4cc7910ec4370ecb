"""State registers to ready, fault and grid, by a family's status rules. Pure.

A rule takes part when the device implements its register. If a register that takes part cannot be read now, what it
would decide is unknown (None), never assumed to be good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.declaration import Status
    from drivers.device import Value


class StatusView(NamedTuple):
    """What the rules say together; `at_ms` is the age of the oldest register, None where none could be read."""

    ready: bool | None
    fault: str | None
    grid_ok: bool | None
    at_ms: int | None
    words: tuple[str, ...]


def evaluate(rules: Sequence[Status], values: Mapping[str, Value | None], *, may_wake: bool) -> StatusView:
    """Return the view; `values` holds each rule's register, `may_wake` says that standby counts as ready."""
    ready: list[bool | None] = []
    grid: list[bool | None] = []
    faults: list[str] = []
    fault_known = True
    words: list[str] = []
    for rule in rules:
        read = values.get(rule.point)
        value = None if read is None else read.value
        if rule.ready:
            ready.append(None if value is None else value in rule.ready or (may_wake and value in rule.wake))
            if value is not None and not ready[-1]:
                words.append(rule.words.get(value, f"{rule.point} is {value}"))
        if rule.faults or rule.fault_bits:
            fault_known = fault_known and value is not None
            faults += [] if value is None else _faults(rule, value)
        if rule.grid or rule.grid_lost_bits or rule.grid_range:
            grid.append(None if value is None else _grid(rule, value))
    times = [read.at_ms for rule in rules if (read := values.get(rule.point)) is not None]
    return StatusView(
        ready=_all(ready),
        fault=", ".join(faults) if faults or fault_known else None,
        grid_ok=_all(grid),
        at_ms=min(times) if times else None,
        words=tuple(words),
    )


def _faults(rule: Status, value: int) -> list[str]:
    found = [text for bit, text in rule.fault_bits.items() if value >> bit & 1]
    return [*found, *([rule.faults[value]] if value in rule.faults else [])]


def _grid(rule: Status, value: int) -> bool:
    low, high = rule.grid_range or (value, value)
    listed = not rule.grid or value in rule.grid
    return listed and low <= value <= high and not any(value >> bit & 1 for bit in rule.grid_lost_bits)


def _all(known: Sequence[bool | None]) -> bool | None:
    """Return False if any is false, else None if any is unknown or there is none, else True."""
    if False in known:
        return False
    return None if None in known or not known else True

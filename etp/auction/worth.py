"""What a set of bids is worth within a capacity: the 0/1 choice, exact, by dynamic programme in 0.1 kWh steps.

An item is `(value, steps)`. W(c) grows item by item, and only as far as the running total of the items so far (or the
capacity), because beyond it nothing changes: a standing set always fits its lot, so its table is rarely half full.
Steps are divided by their greatest common divisor first. Ties keep the older: of equally good subsets the one that
keeps the oldest item is taken, then the one that keeps the next oldest, and so on.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Item: TypeAlias = tuple[int, int]


class Worth(NamedTuple):
    """W(c): the best total value within c steps."""

    unit: int
    best: list[int]

    def at(self, capacity: int) -> int:
        """Return W(capacity); zero or less holds nothing."""
        if capacity <= 0:
            return 0
        best = self.best
        index = capacity // self.unit
        return best[index] if index < len(best) else best[-1]


def worth(items: Sequence[Item], capacity: int) -> Worth:
    """Return W over `items` for every capacity up to `capacity`; steps are positive, no value is negative."""
    if len(items) <= 1:
        value, steps = items[0] if items else (0, 1)
        return Worth(steps, [0, value])
    unit = gcd(*(steps for _, steps in items)) or 1
    room = capacity // unit
    best = [0]
    for value, steps in sorted(items, key=_by_steps):
        best = _with(best, value, steps // unit, room)
    return Worth(unit, best)


def best_subset(items: Sequence[Item], capacity: int) -> tuple[int, ...]:
    """Return the indices of the best subset within `capacity`, ascending; `items` are oldest first."""
    if capacity <= 0:
        return ()
    sizes = [steps for _, steps in items]
    if sum(sizes) <= capacity:
        return tuple(range(len(items)))
    if 2 * min(sizes) > capacity:
        return _best_alone(items, capacity)
    unit = gcd(*sizes)
    room = capacity // unit
    tables = [[0]]
    for value, steps in reversed(items):
        tables.append(_with(tables[-1], value, steps // unit, room))
    kept: list[int] = []
    for index, (value, steps) in enumerate(items):
        size = steps // unit
        with_it, without_it = tables[-index - 1], tables[-index - 2]
        if size <= room and value + _clip(without_it, room - size) == _clip(with_it, room):
            kept.append(index)
            room -= size
    return tuple(kept)


def _best_alone(items: Sequence[Item], capacity: int) -> tuple[int, ...]:
    """Return the best subset where no two items fit together: the one of most value, the older of equals."""
    best = -1
    kept: tuple[int, ...] = ()
    for index, (value, steps) in enumerate(items):
        if value > best and steps <= capacity:
            best, kept = value, (index,)
    return kept


def _by_steps(item: Item) -> int:
    return item[1]


def _clip(table: list[int], capacity: int) -> int:
    return table[capacity] if capacity < len(table) else table[-1]


def _with(best: list[int], value: int, size: int, room: int) -> list[int]:
    """Return the table `best` after one more item may be taken."""
    if size > room:
        return best
    length = min(len(best) + size, room + 1)
    without = best + [best[-1]] * (length - len(best))
    taken = [a if a > (b := c + value) else b for a, c in zip(without[size:], best, strict=False)]
    return without[:size] + taken

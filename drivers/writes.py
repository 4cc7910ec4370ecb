"""How often each register was written, and whether one more is allowed. Pure.

Stored registers wear out (edge.md, finding 5): a declared budget is a number of writes in 24 hours. A release and one
retry are always allowed, and counted. Volatile registers (no budget) are counted only.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

DAY_MS: Final = 86_400_000


class WriteBook:
    """Counts of writes by register name."""

    def __init__(self) -> None:
        self._total: Counter[str] = Counter()
        self._times: dict[str, deque[int]] = {}

    @property
    def total(self) -> dict[str, int]:
        """Return the writes since this book was opened, by register name."""
        return dict(self._total)

    def left(self, register: str, budget_per_day: int | None, now_ms: int) -> int | None:
        """Return how many writes are left in this 24 h, None = no limit."""
        if budget_per_day is None:
            return None
        times = self._times.get(register)
        while times and now_ms - times[0] >= DAY_MS:
            times.popleft()
        return max(0, budget_per_day - len(times or ()))

    def count(self, register: str, budget_per_day: int | None, now_ms: int) -> None:
        """Note one write."""
        self._total[register] += 1
        if budget_per_day is not None:
            self._times.setdefault(register, deque(maxlen=budget_per_day)).append(now_ms)

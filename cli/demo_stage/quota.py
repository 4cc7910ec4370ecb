"""Which sites may sell, so that a run has exactly the trades that were asked for. Pure: the time is handed in.

A site sells whole lots at full power, so it makes one trade at a time, and never more sites may sell than trades are
missing. A site with a lot on offer goes before one that delivers, that before one that was told to stop, and last come
those that have had nothing to sell for a while.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATIENCE_MS: Final = 3_000


class Doing(IntEnum):
    """What a site does, as far as its next trade is concerned."""

    OFFERING = 0
    DELIVERING = 1
    RESTING = 2


class Orders(NamedTuple):
    """Who must stop selling, and then who may sell again."""

    stop: list[str]
    resume: list[str]


class Quota:
    """The sites that may sell; all of them at first."""

    def __init__(self, sites: Iterable[str], now_ms: int) -> None:
        self._active_ms = dict.fromkeys(sites, now_ms)
        self._selling = set(self._active_ms)

    def orders(self, missing: int, doing: Mapping[str, Doing], now_ms: int) -> Orders:
        """Return what must change while `missing` trades are to be made."""
        for name in self._active_ms:
            if doing[name] is not Doing.RESTING or name not in self._selling:
                self._active_ms[name] = now_ms
        best = sorted(self._active_ms, key=lambda name: self._rank(name, doing[name], now_ms))
        chosen = set(best[: max(0, missing)])
        orders = Orders(stop=sorted(self._selling - chosen), resume=sorted(chosen - self._selling))
        self._selling = chosen
        return orders

    def _rank(self, name: str, doing: Doing, now_ms: int) -> int:
        if name not in self._selling:
            return 2
        if doing is Doing.RESTING and now_ms - self._active_ms[name] >= PATIENCE_MS:
            return 3
        return 0 if doing is not Doing.DELIVERING else 1

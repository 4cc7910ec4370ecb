"""What batteries deliver of what they agreed, and what that does to the worth of their offers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from etp.messages import ReasonCode

_PRIOR_WH: Final = 5_000
"""A battery starts with this much delivered in full, so that one early failure does not end its business."""
_KEEP: Final = 0.98
"""What is left of old experience with each new trade: about the last fifty count."""
_BUYERS_FAULT: Final = frozenset({ReasonCode.NOT_CONFIRMED})


class Record(NamedTuple):
    """Agreed and delivered energy, fading, and the number of trades behind it."""

    agreed_wh: float = 0.0
    delivered_wh: float = 0.0
    trades: int = 0


class Reputation:
    """Delivered over agreed energy per battery, for at most `capacity` batteries (the longest unused is forgotten)."""

    def __init__(self, capacity: int = 1_024) -> None:
        self._capacity = capacity
        self._records: OrderedDict[str, Record] = OrderedDict()

    def ended(self, battery: str, *, agreed_wh: int, delivered_wh: int, code: int, stopped: bool = False) -> None:
        """Note the end of a trade; one the buyer stopped or did not confirm says nothing about the battery."""
        if stopped or code in _BUYERS_FAULT or agreed_wh <= 0:
            return
        old = self._records.pop(battery, Record())
        self._records[battery] = Record(
            old.agreed_wh * _KEEP + agreed_wh,
            old.delivered_wh * _KEEP + min(max(0, delivered_wh), agreed_wh),
            old.trades + 1,
        )
        while len(self._records) > self._capacity:
            self._records.popitem(last=False)

    def permille(self, battery: str) -> int:
        """Return what a promised Wh of this battery is expected to deliver, in permille; 1,000 for an unknown one."""
        record = self._records.get(battery)
        if record is None:
            return 1_000
        return round(1_000 * (record.delivered_wh + _PRIOR_WH) / (record.agreed_wh + _PRIOR_WH))

    def trades(self, battery: str) -> int:
        """Return the number of trades that count."""
        record = self._records.get(battery)
        return 0 if record is None else record.trades

"""How signed buyers' trades and awards ended, kept until each buyer says that it knows.

A connection may be dead without anybody having noticed, and a buyer may be away over a restart of ours; so an end is
told on every connection there is, and again whenever its buyer registers (ETP section 7). Bounded: the oldest make
room, those without energy first, because whoever has many keys can leave as many awards unconfirmed as it likes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.records import TradeKey
    from etp.messages import Body

ENDS_MAX: Final = 1_024
TOLD_AT_ONCE_MAX: Final = 32
"""Ends told to a buyer that comes back: half of what its connection may hold."""


class Ends:
    """Ends by the trade's name: peer and the bid's message id."""

    def __init__(self) -> None:
        self._ends: OrderedDict[TradeKey, Body] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def remember(self, peer: str, end: Body) -> None:
        """Keep an end until its buyer knows it."""
        self._ends[peer, end.message_id] = end
        if len(self._ends) > ENDS_MAX:
            del self._ends[_least_missed(self._ends)]

    def get(self, key: TradeKey) -> Body | None:
        """Return how a trade ended, None if it is not known here."""
        return self._ends.get(key)

    def known(self, key: TradeKey) -> bool:
        """A buyer answered an end: it need not be told again; False when there was nothing to know."""
        return self._ends.pop(key, None) is not None

    def of(self, peer: str) -> list[Body]:
        """Return what a buyer that registers is told: the newest ends it has not answered, oldest first."""
        return [end for (name, _), end in self._ends.items() if name == peer][-TOLD_AT_ONCE_MAX:]


def _least_missed(ends: OrderedDict[TradeKey, Body]) -> TradeKey:
    oldest = next(iter(ends))
    return next((key for key, end in ends.items() if not end.energy_wh), oldest)

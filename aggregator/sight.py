"""What a buyer has seen of a delivery, and which figure of the battery it can stand for.

A buyer has no meter at the battery. It sees the BESSStatus every 5 s, and it knows the power that was granted: nothing
flows faster. While it sees nothing (a lost connection, a restart of its own) that power bounds what may have flowed, so
a battery is not disputed for a network that failed; and whatever it says, it gets no more than was agreed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from settlement.progress import plausible_wh

if TYPE_CHECKING:
    from settlement.progress import Rules

_MS_PER_H: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One delivery as it was seen. Times in ms of the buyer's own clock; `power_w` is positive."""

    energy_wh: int
    power_w: int
    agreed_at_ms: int
    seen_wh: int = 0
    seen_at_ms: int
    ends_at_ms: int
    """The end of the delivery's window: nothing is delivered later."""
    time_lapse: int = 1

    def most_wh(self, now_ms: int) -> int:
        """Return the most that can have been delivered: within what was agreed, the power granted and what was seen."""
        until_ms = min(now_ms, self.ends_at_ms)
        since_start_wh = self._flow_wh(until_ms - self.agreed_at_ms)
        since_seen_wh = self.seen_wh + self._flow_wh(until_ms - self.seen_at_ms)
        return max(self.seen_wh, min(self.energy_wh, since_start_wh, since_seen_wh))

    def saw(self, figure_wh: int, now_ms: int) -> Sight:
        """Return the sight after a BESSStatus; of a figure that cannot be, what can be is seen."""
        until_ms = min(now_ms, self.ends_at_ms)
        believed_wh = min(figure_wh, self.energy_wh, self._flow_wh(until_ms - self.agreed_at_ms))
        return replace(self, seen_wh=max(self.seen_wh, believed_wh), seen_at_ms=max(now_ms, self.seen_at_ms))

    def takes(self, figure_wh: int, rules: Rules, now_ms: int) -> bool:
        """Whether a figure may be signed: by the tolerance with which the settler takes claims."""
        return figure_wh <= plausible_wh(self.most_wh(now_ms), rules)

    def _flow_wh(self, ms: int) -> int:
        return self.power_w * self.time_lapse * max(0, ms) // _MS_PER_H

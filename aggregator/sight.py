"""What a buyer has seen of a delivery, and which figure of the battery it can stand for.

A buyer has no meter at the battery. It sees the BESSStatus every 5 s, and it knows the power that was granted: nothing
flows faster. While it can hear nothing (a lost connection, a restart of its own) that power bounds what may have
flowed, so a battery is not disputed for a network that failed. One that can be heard and reports nothing delivers
nothing, but for what may have flowed since its last report; and whatever it says, it gets no more than was agreed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from settlement.progress import plausible_wh

if TYPE_CHECKING:
    from settlement.progress import Rules

_MS_PER_H: Final = 3_600_000
STATUS_MS: Final = 10_000
"""A battery that delivers reports every 5 s; one report may be on its way for as long again."""
UNHEARD_MS: Final = 120_000
"""A connection that is lost is noticed within this; silence beyond it, on one that stands, is the battery's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Since when a battery can be heard, and for how long it could not be before, in ms of the buyer's own clock."""

    heard_at_ms: int
    """When its last frame came."""
    is_up: bool = True
    dark_ms: int = 0

    def heard(self, now_ms: int) -> Link:
        """Return the link after a frame: on one connection none is lost, between two what came last was not heard."""
        gap_ms = 0 if self.is_up else max(0, now_ms - self.heard_at_ms) + STATUS_MS
        return Link(heard_at_ms=now_ms, dark_ms=self.dark_ms + gap_ms)

    def dark_until(self, now_ms: int) -> int:
        """Return for how long in all the battery cannot have been heard."""
        silent_ms = max(0, now_ms - self.heard_at_ms)
        return self.dark_ms + (min(silent_ms, UNHEARD_MS) if self.is_up else silent_ms)


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
    link: Link | None = None
    """None: nothing was heard since `seen_at_ms`."""
    dark_before_ms: int = 0
    """How much of the link's dark time was before `seen_at_ms`."""

    def most_wh(self, now_ms: int) -> int:
        """Return the most that can have been delivered: within what was agreed, the power granted and what was seen."""
        until_ms = min(now_ms, self.ends_at_ms)
        since_start_wh = self._flow_wh(until_ms - self.agreed_at_ms)
        since_seen_wh = self.seen_wh + self._flow_wh(self._unseen_ms(until_ms, now_ms))
        return max(self.seen_wh, min(self.energy_wh, since_start_wh, since_seen_wh))

    def saw(self, figure_wh: int, now_ms: int) -> Sight:
        """Return the sight after a BESSStatus; of a figure that cannot be, what can be is seen."""
        until_ms = min(now_ms, self.ends_at_ms)
        believed_wh = min(figure_wh, self.energy_wh, self._flow_wh(until_ms - self.agreed_at_ms))
        return replace(
            self,
            seen_wh=max(self.seen_wh, believed_wh),
            seen_at_ms=max(now_ms, self.seen_at_ms),
            dark_before_ms=0 if self.link is None else self.link.heard(now_ms).dark_ms,
        )

    def dark_since_seen(self, link: Link, now_ms: int) -> Sight:
        """Return the sight on a link that begins: nothing was heard from the last report until now."""
        dark_ms = max(0, now_ms - self.seen_at_ms)
        return replace(self, link=link, dark_before_ms=link.dark_until(now_ms) - dark_ms)

    def takes(self, figure_wh: int, rules: Rules, now_ms: int) -> bool:
        """Whether a figure may be signed: by the tolerance with which the settler takes claims."""
        return figure_wh <= plausible_wh(self.most_wh(now_ms), rules)

    def _unseen_ms(self, until_ms: int, now_ms: int) -> int:
        """Return for how long energy may have flowed that was not reported."""
        since_ms = max(0, until_ms - self.seen_at_ms)
        if self.link is None:
            return since_ms
        return min(since_ms, max(0, self.link.dark_until(now_ms) - self.dark_before_ms) + STATUS_MS)

    def _flow_wh(self, ms: int) -> int:
        return self.power_w * self.time_lapse * max(0, ms) // _MS_PER_H

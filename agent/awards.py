"""The life of an award between the auction and the delivery, as a table (ETP section 7).

```
                 ON_DISK            CONFIRM             CONFIRM_ON_DISK
   JOURNALING ------------> OFFERED --------> CONFIRMING --------------> TRADE
       |                       |                   |
       +--- LATE, GONE, VOID --+---- LAPSED -------+--- VOID ----------> VOID
```

An Accept leaves only in OFFERED, so only after its record is on disk; a trade exists only after its Confirm is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from agent.paper import Paper
    from agent.records import Deal
    from etp.io.link import Link


class Phase(Enum):
    """Where an award stands."""

    JOURNALING = auto()
    OFFERED = auto()
    CONFIRMING = auto()
    TRADE = auto()
    VOID = auto()


class Happening(Enum):
    """What can happen to an award."""

    ON_DISK = auto()
    TOO_LATE = auto()
    LINK_GONE = auto()
    CONFIRM = auto()
    CONFIRM_ON_DISK = auto()
    LAPSED = auto()
    WITHDRAWN = auto()
    JOURNAL_FAILED = auto()


_NEXT: Final[dict[tuple[Phase, Happening], Phase]] = {
    (Phase.JOURNALING, Happening.ON_DISK): Phase.OFFERED,
    (Phase.JOURNALING, Happening.TOO_LATE): Phase.VOID,
    (Phase.JOURNALING, Happening.LINK_GONE): Phase.VOID,
    (Phase.JOURNALING, Happening.WITHDRAWN): Phase.VOID,
    (Phase.JOURNALING, Happening.JOURNAL_FAILED): Phase.VOID,
    (Phase.OFFERED, Happening.TOO_LATE): Phase.VOID,
    (Phase.OFFERED, Happening.LINK_GONE): Phase.VOID,
    (Phase.OFFERED, Happening.LAPSED): Phase.VOID,
    (Phase.OFFERED, Happening.WITHDRAWN): Phase.VOID,
    (Phase.OFFERED, Happening.JOURNAL_FAILED): Phase.VOID,
    (Phase.OFFERED, Happening.CONFIRM): Phase.CONFIRMING,
    (Phase.CONFIRMING, Happening.CONFIRM_ON_DISK): Phase.TRADE,
    (Phase.CONFIRMING, Happening.JOURNAL_FAILED): Phase.VOID,
    # Nothing else moves a CONFIRMING award: the buyer has bound itself, and only the disk decides.
}


@dataclass(slots=True, kw_only=True)
class OpenAward:
    """An award that is neither a trade nor void yet; the desk owns it."""

    deal: Deal
    link: Link
    """Where it was bid for, and from the Confirm on where that came."""
    paper: Paper | None = None
    """The contract, where the trade is to be paid on a ledger."""
    offered: tuple[Link, ...] = ()
    """Where the Accept went."""
    decided_at_ms: int = 0
    seq: int = 0
    confirmed_at_ms: int | None = None
    phase: Phase = Phase.JOURNALING
    is_sent: bool = False
    """The Accept was handed to the kernel."""
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, int]:
        """The trade's name: peer and the bid's message id."""
        return self.deal.key

    def advance(self, happening: Happening) -> bool:
        """Move on if the table knows the step; False (and nothing moves) when the award is past it already."""
        following = _NEXT.get((self.phase, happening))
        if following is None:
            return False
        self.phase = following
        if self.timer is not None and following is not Phase.OFFERED:
            self.timer.cancel()
            self.timer = None
        return True

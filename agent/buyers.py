"""The buyers connected to one battery: who registered for pushes, what each asked for, and when the next push is due.

A push round goes out at most every 20 ms, so no peer gets more than that whatever happens to the best set (ETP
section 6, rule 2). A need counts for the size of lots only when its buyer has confirmed a trade here before and has bid
on this connection; otherwise one stranger asking for 0.1 kWh would shrink every lot, with his own name or (a Query is
not signed) with one that he has overheard.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etp.io.sockets import site_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.reputation import ReputationBook
    from etp.io.link import Link

PUSH_INTERVAL_S: Final = 0.020
NEED_COUNTS_MS: Final = 60_000
"""A need shapes lots for this long after it was heard: a buyer that has what it wanted must not keep them small."""


@dataclass(slots=True)
class Buyer:
    """One connection's buyer: its name for reputation, what it last asked for, and when."""

    link: Link
    peer: str = ""
    key: str = ""
    need_wh: int = 0
    need_at_ms: int = 0
    has_bid: bool = False
    has_returned: bool = False
    next_push_s: float = 0.0


class BuyerTable:
    """The connected buyers of one battery, by connection."""

    def __init__(self) -> None:
        self._buyers: dict[Link, Buyer] = {}

    def __len__(self) -> int:
        return len(self._buyers)

    def add(self, link: Link) -> None:
        """A connection opened; its name is known once it has spoken."""
        self._buyers[link] = Buyer(link)

    def remove(self, link: Link) -> None:
        """A connection closed."""
        self._buyers.pop(link, None)

    def heard(self, link: Link, peer: str, device_id: int) -> Buyer:
        """Return the buyer behind a frame, named for reputation by signer, address, or (loopback) connection."""
        buyer = self._buyers.get(link)
        if buyer is not None and buyer.peer == peer:
            return buyer
        if buyer is None:
            buyer = Buyer(link)
            if link.is_open:  # nobody would remove one whose link is over
                self._buyers[link] = buyer
        buyer.peer = peer
        buyer.has_bid = buyer.has_returned = False
        buyer.key = buyer_key(peer=peer, remote=link.remote, device_id=device_id)
        return buyer

    def links(self) -> list[Link]:
        """Every open connection."""
        return list(self._buyers)

    def registered(self) -> Iterator[Buyer]:
        """The buyers that asked for pushes on their connection."""
        return (buyer for buyer in self._buyers.values() if buyer.link.registered)

    def links_of(self, peer: str) -> list[Link]:
        """Return every open connection of a peer, the oldest first; some may be of who has overheard its Register."""
        return [link for link in self._buyers if link.peer == peer and link.is_open]

    def smallest_regular_need_wh(self, reputation: ReputationBook, now_ms: int) -> int | None:
        """Return the smallest quantity that a connected regular buyer asked for of late; None when nobody did."""
        since_ms = now_ms - NEED_COUNTS_MS
        needs = (b for b in self._buyers.values() if b.has_bid and b.need_wh > 0 and b.need_at_ms >= since_ms)
        return min((b.need_wh for b in needs if reputation.is_regular(b.key)), default=None)


def buyer_key(*, peer: str, remote: str, device_id: int) -> str:
    """Name a buyer for reputation and limits (ETP section 2): signer, or address, or on loopback the connection.

    An IPv6 host chooses freely within its /64, so that counts as its address, as it does for connections.
    """
    if peer.startswith("key:"):
        return peer
    host = remote.rsplit(":", 1)[0].strip("[]")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return f"{peer}/{device_id:016x}" if loopback else f"addr:{site_of(host)}"


class PushPacer:
    """Runs a push round at once when the last is 20 ms old, else once when it is; never two for one change."""

    def __init__(self, push_round: Callable[[], None]) -> None:
        self._push_round = push_round
        self._next_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """The best set changed."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if now_s >= self._next_at_s:
            self._next_at_s = now_s + PUSH_INTERVAL_S
            self._push_round()
        else:
            self._timer = loop.call_at(self._next_at_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self.changed()

    def close(self) -> None:
        """Forget what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

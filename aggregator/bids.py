"""The bids of one session that have no answer: the latest one, and those it overtook.

A bid is overtaken when a push shows neither it nor a price that it beats: it has been outbid, or will be when it
arrives, and its refusal is on the way. The next bid does not wait for that: a far buyer who waits loses the lot to a
near one. Both are one claim on need and budget, because a lot takes one standing bid of a buyer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from etp.extensions import Contract

ANSWER_MS: Final = 5_000
"""A bid is answered within 500 ms and the ways there and back; after this its late Accept is not confirmed either."""
OVERTAKEN_MAX: Final = 16
"""Overtaken bids without an answer; a battery that leaves more unanswered gets no further ones."""


class BidSent(NamedTuple):
    """A bid on its way, with the price to beat and the value it was decided on."""

    bid_id: int
    price_e4: int
    energy_wh: int
    beat_e4: int
    value_e4: int
    sent_ms: int
    contract: Contract | None = None
    """What a settled bid carries."""


class Bids:
    """At most one latest bid, and a bounded number of overtaken ones."""

    __slots__ = ("_overtaken", "latest")

    def __init__(self) -> None:
        self.latest: BidSent | None = None
        self._overtaken: dict[int, BidSent] = {}

    @property
    def is_full(self) -> bool:
        """Whether too many overtaken bids wait for their answers."""
        return len(self._overtaken) >= OVERTAKEN_MAX

    def place(self, bid: BidSent) -> None:
        """Make a bid the latest."""
        self.latest = bid

    def overtake(self) -> None:
        """Set the latest bid aside."""
        if self.latest is not None:
            self._overtaken[self.latest.bid_id] = self.latest
            self.latest = None

    def answered(self, bid_id: int) -> BidSent | None:
        """Return, and forget, the bid that an answer belongs to; None when there is none."""
        if self.latest is not None and self.latest.bid_id == bid_id:
            bid, self.latest = self.latest, None
            return bid
        return self._overtaken.pop(bid_id, None)

    def given_up(self, now_ms: int) -> list[BidSent]:
        """Return, and forget, the bids that were not answered in time."""
        late = [bid for bid in self._all() if now_ms >= bid.sent_ms + ANSWER_MS]
        for bid in late:
            self.answered(bid.bid_id)
        return late

    def drop(self) -> list[BidSent]:
        """Return, and forget, all of them."""
        dropped = self._all()
        self.latest = None
        self._overtaken.clear()
        return dropped

    def next_deadline(self) -> int | None:
        """Return when `given_up` has something to return."""
        return min((bid.sent_ms + ANSWER_MS for bid in self._all()), default=None)

    def _all(self) -> list[BidSent]:
        return [*self._overtaken.values(), *([] if self.latest is None else [self.latest])]

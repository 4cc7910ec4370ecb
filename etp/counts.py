"""What happened on one connection, or on all that share these counts, in numbers that only grow."""

from __future__ import annotations


class Counts:
    """Frames by what became of them; what was sent is counted by the latency book.

    `bad` ones were undecodable, misdirected or forged; `dropped` ones fine but without a second effect; `repeated` ones
    got the same answer again; `superseded` ones were ours and gave way to newer ones before they left. `unanswered`
    ones wanted an answer (Query, Bid, Confirm) and got none: they were expired or came after too many others, or their
    answer could not leave any more.
    """

    __slots__ = ("bad", "dropped", "expired", "over_rate", "received", "repeated", "superseded", "unanswered")

    def __init__(self) -> None:
        self.received = 0
        self.bad = 0
        self.dropped = 0
        self.expired = 0
        self.over_rate = 0
        self.repeated = 0
        self.superseded = 0
        self.unanswered = 0

    def summary(self) -> dict[str, int]:
        """Return every count by its name."""
        return {name: getattr(self, name) for name in self.__slots__}

"""What happened on one connection, in numbers that only grow."""

from __future__ import annotations


class Counts:
    """Frames by what became of them; what was sent is counted by the latency book.

    `bad` ones were undecodable, misdirected or forged; `dropped` ones fine but without a second effect; `repeated` ones
    got the same answer again; `superseded` ones were ours and gave way to newer ones before they left.
    """

    __slots__ = (
        "bad",
        "bytes_received",
        "dropped",
        "expired",
        "over_rate",
        "received",
        "repeated",
        "sent",
        "superseded",
    )

    def __init__(self) -> None:
        self.received = 0
        self.bad = 0
        self.dropped = 0
        self.expired = 0
        self.over_rate = 0
        self.repeated = 0
        self.superseded = 0

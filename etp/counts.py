"""What happened on one connection, in numbers that only grow."""

from __future__ import annotations


class Counts:
    """Plain counters; `bad` frames are undecodable, misdirected or forged, `dropped` ones valid but without effect."""

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
        self.bytes_received = 0
        self.sent = 0
        self.bad = 0
        self.dropped = 0
        self.expired = 0
        self.over_rate = 0
        self.repeated = 0
        self.superseded = 0

"""How late and how orderly the traffic of one party is: what all its connections count together.

It outlives the connections and never grows: one histogram for each message type, and one set of counts.
"""

from __future__ import annotations

from typing import Any

from etp.counts import Counts
from etp.latency import LatencyBook
from etp.messages import MessageType
from etp.timing import TIMINGS


class Traffic:
    """Latencies of what a party sent, by message type, and counts of what it received."""

    __slots__ = ("counts", "latency")

    def __init__(self) -> None:
        self.latency = LatencyBook()
        self.counts = Counts()

    def summary(self) -> dict[str, Any]:
        """Return both as JSON; a message type that was never sent is left out.

        `latency_ms`: by name, `count` of the frames, how many were `late`, the `p99` and the `limit` in ms.
        `connections`: the counts by name.
        """
        return {
            "latency_ms": {
                TIMINGS[kind].name: {
                    "count": count,
                    "late": sent.late,
                    "p99": sent.percentile(0.99),
                    "limit": sent.limit_ms,
                }
                for kind in MessageType
                if (count := (sent := self.latency[kind]).count)
            },
            "connections": self.counts.summary(),
        }

"""Who may send which message, how urgent it is and how late it may be: the table of ETP section 3.

The tuples below it hold the same numbers by message type, for code that runs once a frame.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from etp.messages import MessageType


class Role(Enum):
    """The side of a conversation: a battery sells, an aggregator buys."""

    BATTERY = "battery"
    AGGREGATOR = "aggregator"


class Lateness(Enum):
    """What becomes of a frame whose limit passes while it waits."""

    REFUSE = "not sent, the bid gets Reject 5"
    SEND = "sent and counted"
    SUPERSEDE = "dropped for the newest of its type"


class Timing(NamedTuple):
    """One row of the table: priority 0 is the most urgent; the limit runs from the frame's cause, in ms."""

    name: str
    senders: frozenset[Role]
    cast: str
    priority: int
    limit_ms: int
    when_late: Lateness


_BATTERY: Final = frozenset({Role.BATTERY})
_AGGREGATOR: Final = frozenset({Role.AGGREGATOR})
_EITHER: Final = _BATTERY | _AGGREGATOR

TIMINGS: Final[dict[MessageType, Timing]] = {
    MessageType.REGISTER: Timing("Register", _EITHER, "multicast, TCP", 80, 5000, Lateness.SUPERSEDE),
    MessageType.QUERY: Timing("Query", _AGGREGATOR, "multicast or TCP", 70, 3000, Lateness.SEND),
    MessageType.QUERY_RESPONSE: Timing("QueryResponse", _BATTERY, "unicast", 70, 500, Lateness.SUPERSEDE),
    MessageType.BID: Timing("Bid", _AGGREGATOR, "TCP", 10, 500, Lateness.SEND),
    MessageType.BID_ACCEPT: Timing("BidAccept", _BATTERY, "TCP", 5, 500, Lateness.REFUSE),
    MessageType.BID_CONFIRM: Timing("BidConfirm", _AGGREGATOR, "TCP", 5, 500, Lateness.SEND),
    MessageType.BID_REJECT: Timing("BidReject", _BATTERY, "TCP", 15, 500, Lateness.SEND),
    MessageType.TERMINATE: Timing("Terminate", _EITHER, "TCP", 10, 400, Lateness.SEND),
    MessageType.DEVICE_FAILURE: Timing("DeviceFailure", _BATTERY, "TCP + multicast", 0, 200, Lateness.SEND),
    MessageType.BESS_STATUS: Timing("BESSStatus", _EITHER, "TCP", 60, 2000, Lateness.SUPERSEDE),
}
"""BESSStatus goes back from the aggregator only with a Receipt, answering one; a connection checks that itself."""

PRIORITY: Final[tuple[int, ...]] = tuple(TIMINGS[kind].priority for kind in MessageType)
LIMIT_MS: Final[tuple[int, ...]] = tuple(TIMINGS[kind].limit_ms for kind in MessageType)
SHORTEST_LIMIT_MS: Final = min(LIMIT_MS)
WHEN_LATE: Final[tuple[Lateness, ...]] = tuple(TIMINGS[kind].when_late for kind in MessageType)

HEARD_BY: Final[dict[Role, frozenset[int]]] = {
    Role.BATTERY: frozenset(int(kind) for kind, row in TIMINGS.items() if Role.AGGREGATOR in row.senders),
    Role.AGGREGATOR: frozenset(int(kind) for kind, row in TIMINGS.items() if Role.BATTERY in row.senders),
}
"""The message types that each role may receive; anything else goes the wrong way."""

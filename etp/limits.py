"""Every size, count and wait of this room, each with its reason. No other module of `etp` holds such a number.

`FRAME_*` and `REASON_BYTES_MAX` belong to the protocol and are the same everywhere; `Limits` is what a site may choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FRAME_BYTES_MIN: Final = 84
"""A body alone; anything shorter cannot be a frame (ETP section 2)."""
FRAME_BYTES_MAX: Final = 1024
"""A body with every extension is 752 bytes; more is not ours and would only fill memory (ETP section 2)."""
LENGTH_PREFIX_BYTES: Final = 4
REASON_BYTES_MAX: Final = 120
"""One line on a terminal; the text is for people and decides nothing (ETP section 2)."""
AUTH_SKEW_MS: Final = 30_000
"""How far an Auth's time may be from ours: a gateway's clock without NTP for a week (ETP section 2)."""
PENDING_MS: Final = 1_000
"""A Bid or Confirm unanswered for twice its limit has lost its asker; the same frame then counts anew."""
STARTED_SLACK_MS: Final = 1_000
"""How far the clock of a buyer who speaks right after our start may be behind: a host with NTP is within 100 ms."""
MEMORIES_PER_CONNECTION: Final = 4
"""Signers remembered of one address for each connection that it may hold: keys cost nothing, and are kept a minute."""
ADDRESSES_PACED: Final = 1_024
"""Addresses whose rate is remembered: four times the connections; one forgotten in mid-burst starts afresh."""
BURST_S: Final = 2
"""An address may send two seconds of its rate at once, as a connection may."""
DECIDED_MAX: Final = 4_096
"""Refusals the connection has decided and its handler has not yet spoken: one read's worth of frames, and some."""
WAKE_UP_FRAMES_MAX: Final = 16_384
"""Answers to one read (at most 256 KiB, 2,978 frames) while the transport is free; more is a handler that runs away."""

ENDS_LOGGED_PER_MIN: Final = 60
"""Links without a trade whose ends one battery tells in its log: enough to see who fails and why, 20 MB a day."""

_MAY_BE_OFF: Final = frozenset(
    {
        "connections",
        "per_address",
        "frames_per_s",
        "burst",
        "address_frames_per_s",
        "bad_frames_per_min",
        "half_frame_ms",
        "stalled_ms",
        "idle_ms",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server or client allows its peers; where 0 is allowed it switches the limit off.

    Raises ValueError on a negative number, or on 0 where a bound must exist.
    """

    connections: int = 256
    """Open connections of one gateway, its batteries together: a quarter of the usual 1,024 file descriptors."""
    per_address: int = 64
    """Open connections from one address: one aggregator host at 32 batteries, twice; not the whole table."""
    frames_per_s: int = 200
    """Frames a second that one buyer's connection may send on average; above it Bids get code 7."""
    burst: int = 400
    """Frames one buyer's connection may send at once: two seconds of its rate."""
    address_frames_per_s: int = 2_000
    """Frames a second from one address, over all of its connections: ten buyers at their full rate."""
    outbox_frames: int = 64
    """Frames that may wait for a slow reader: the pushes and answers of one lot."""
    outbox_bytes: int = 65_536
    """Bytes that may wait for a slow reader."""
    reply_ids: int = 1_024
    """Message ids remembered for a peer and message type (ETP section 1)."""
    reply_ms: int = 60_000
    """How long an id is remembered: an Auth from 30 s ahead of our clock is valid for 60 s (ETP section 1)."""
    bad_frames_per_min: int = 10
    """Undecodable, misdirected or forged frames a minute that close a connection (ETP section 5)."""
    half_frame_ms: int = 10_000
    """How long the rest of a begun frame may take: one TCP retransmission back-off, not more."""
    stalled_ms: int = 10_000
    """How long a peer may leave our bytes unread before it counts as gone."""
    idle_ms: int = 300_000
    """How long a buyer may be silent that has neither registered for pushes nor a trade."""
    signers: int = 1_024
    """Signed peers whose ids and signatures are remembered at once: four times the connections."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            lowest = 0 if name in _MAY_BE_OFF else 1
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"limit {name} = {value!r}: a whole number, at least {lowest}")
        if bool(self.frames_per_s) != bool(self.burst):
            raise ValueError("limits frames_per_s and burst are switched off together (0) or not at all")

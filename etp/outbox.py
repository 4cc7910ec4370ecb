"""Frames that wait to leave, the most urgent first (ETP section 3).

While nothing is in flight the outbox only collects what one wake-up says. While it is `blocked` (bytes are with the
transport, or a signed peer has not registered yet) it is bounded, and a newer push, status or Register replaces an
older one.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from etp.limits import FRAME_BYTES_MAX, WAKE_UP_FRAMES_MAX, Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType
from etp.timing import WHEN_LATE, Lateness

if TYPE_CHECKING:
    from etp.counts import Counts

Waiting: TypeAlias = tuple[int, int, int, bytes, Body | None]
"""(priority, message type, cause ms, unsigned TCP frame, body or None when nobody asks for it again)"""

FIRST: Final = -1
"""Before every priority: the Register that introduces a signed conversation."""
_ID: Final = slice(5, 13)
_PLAIN_TCP_BYTES: Final = 88
_LONGEST_TCP_BYTES: Final = FRAME_BYTES_MAX + 4
_urgency: Final = itemgetter(0)


class Outbox:
    """A bounded priority queue of unsigned frames; frames of one priority leave in the order they came."""

    __slots__ = ("_counts", "_limits", "blocked", "waiting")

    def __init__(self, limits: Limits, counts: Counts) -> None:
        self._counts = counts
        self._limits = limits
        self.waiting: list[Waiting] = []
        self.blocked = False

    def add(self, item: Waiting) -> str:
        """Queue a frame; return "" or why the connection must close."""
        waiting = self.waiting
        if not self.blocked:
            waiting.append(item)
            return "" if len(waiting) <= WAKE_UP_FRAMES_MAX else f"{len(waiting)} answers to one read"
        if WHEN_LATE[item[1]] is Lateness.SUPERSEDE:
            item = self._supersede(item)
        waiting.append(item)
        limits = self._limits
        if len(waiting) <= limits.outbox_frames and len(waiting) * _LONGEST_TCP_BYTES <= limits.outbox_bytes:
            return ""
        size = sum(len(frame) for _, _, _, frame, _ in waiting)
        if len(waiting) > limits.outbox_frames or size > limits.outbox_bytes:
            return f"the peer does not read: {len(waiting)} frames, {size} bytes wait"
        return ""

    def take(self, only: frozenset[int] | None = None) -> list[Waiting]:
        """Remove and return what may leave, in order; `only` holds back every other message type."""
        waiting = self.waiting
        if only is None:
            self.waiting = []
        else:
            self.waiting = [item for item in waiting if item[1] not in only]
            waiting = [item for item in waiting if item[1] in only]
        if len(waiting) > 1:
            waiting.sort(key=_urgency)
        return waiting

    def holds(self, frame: bytes) -> bool:
        """Whether the same bytes wait."""
        return any(item[3] == frame for item in self.waiting)

    def take_back(self, kind: int, message_id: int) -> None:
        """Remove what waits of one type about one message."""
        wire_id = message_id.to_bytes(8, "little")
        self.waiting = [item for item in self.waiting if item[1] != kind or item[3][_ID] != wire_id]

    def _supersede(self, newer: Waiting) -> Waiting:
        """Remove what a newer frame makes needless; it inherits the right to leave first."""
        old = [item for item in self.waiting if item[1] == newer[1] and _replaces(newer[1], newer[3], item[3])]
        for item in old:
            self.waiting.remove(item)
        self._counts.superseded += len(old)
        return min((newer, *old), key=_urgency)[:1] + newer[1:]


def _replaces(kind: int, newer: bytes, older: bytes) -> bool:
    """Whether a newer frame says everything that an older one of its type said."""
    if kind == MessageType.REGISTER:
        return True
    if kind == MessageType.QUERY_RESPONSE:
        return all(int.from_bytes(frame[_ID], "little") >= FIRST_BATTERY_ID for frame in (newer, older))
    return newer[_ID] == older[_ID] and len(older) == _PLAIN_TCP_BYTES

"""Frames that wait to leave, the most urgent first (ETP section 3).

While nothing is in flight the outbox only collects what one wake-up says. While it is `blocked` (bytes are with the
transport, or a signed peer has not registered yet) it is bounded, and a newer push, status or Register replaces an
older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from etp.limits import WAKE_UP_BYTES_MAX, Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType
from etp.timing import PRIORITY, WHEN_LATE, Lateness

if TYPE_CHECKING:
    from etp.counts import Counts

Waiting: TypeAlias = tuple[int, int, int, int, bytes, Body | None]
"""(priority, order, message type, cause ms, unsigned TCP frame, body or None for a repeated answer)"""

FIRST: Final = -1
"""Before every priority: the Register that introduces a signed conversation."""
_ID: Final = slice(5, 13)
_PLAIN_TCP_BYTES: Final = 88


class Outbox:
    """A bounded priority queue of unsigned frames."""

    __slots__ = ("_bytes", "_counts", "_limits", "_order", "_waiting", "blocked")

    def __init__(self, limits: Limits, counts: Counts) -> None:
        self._counts = counts
        self._limits = limits
        self._waiting: list[Waiting] = []
        self._bytes = 0
        self._order = 0
        self.blocked = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, kind: int, cause_ms: int, frame: bytes, body: Body | None, *, first: bool = False) -> str:
        """Queue a frame; return "" or why the connection must close. `first` puts it before every priority."""
        self._order += 1
        if self.blocked and WHEN_LATE[kind] is Lateness.SUPERSEDE:
            first |= self._supersede(kind, frame)
        self._waiting.append((FIRST if first else PRIORITY[kind], self._order, kind, cause_ms, frame, body))
        self._bytes += len(frame)
        if self.blocked:
            if len(self._waiting) > self._limits.outbox_frames or self._bytes > self._limits.outbox_bytes:
                return f"the peer does not read: {len(self._waiting)} frames, {self._bytes} bytes wait"
        elif self._bytes > WAKE_UP_BYTES_MAX:
            return f"{self._bytes} bytes of answers to one read"
        return ""

    def take(self, only: frozenset[int] | None = None) -> list[Waiting]:
        """Remove and return what may leave, in order; `only` holds back every other message type."""
        waiting = self._waiting
        if only is None:
            self._waiting = []
            self._bytes = 0
        else:
            self._waiting = [item for item in waiting if item[2] not in only]
            waiting = [item for item in waiting if item[2] in only]
            self._bytes = sum(len(item[4]) for item in self._waiting)
        if len(waiting) > 1:
            waiting.sort(key=_urgency)
        return waiting

    def _supersede(self, kind: int, frame: bytes) -> bool:
        """Remove what a newer frame makes needless; return whether that was to leave first."""
        old = [item for item in self._waiting if item[2] == kind and _replaces(kind, frame, item[4])]
        for item in old:
            self._waiting.remove(item)
            self._bytes -= len(item[4])
        self._counts.superseded += len(old)
        return any(item[0] == FIRST for item in old)


def _urgency(item: Waiting) -> tuple[int, int]:
    return item[0], item[1]


def _replaces(kind: int, newer: bytes, older: bytes) -> bool:
    """Whether a newer frame says everything that an older one of its type said."""
    if kind == MessageType.REGISTER:
        return True
    if kind == MessageType.QUERY_RESPONSE:
        return all(int.from_bytes(frame[_ID], "little") >= FIRST_BATTERY_ID for frame in (newer, older))
    return newer[_ID] == older[_ID] and len(older) == _PLAIN_TCP_BYTES

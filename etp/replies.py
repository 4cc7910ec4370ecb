"""What a peer has already asked, and what it was answered: nothing takes effect twice (ETP section 1, "Who is who").

Ids are remembered for Bid and Confirm, the two messages whose effect must happen once. Everything else a peer sends
either has no effect of its own (Query, Register on its connection) or speaks again of a trade under the bid's id with
other bytes (Terminate, BESSStatus); there a signed frame counts once by its signature.

An unsigned peer is its connection and so is its memory. A signer's memory is shared by all of its connections.
"""

from __future__ import annotations

from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from etp.limits import PENDING_MS, TRADE_MS, Limits
from etp.messages import MessageType, ReasonCode

if TYPE_CHECKING:
    from etp.extensions import Auth


class Verdict(Enum):
    """What an id that cannot be taken as new is."""

    PENDING = "the same frame, not answered yet"
    DIFFERENT = "the id is taken by other bytes"
    FULL = "too many frames of this peer are unanswered"


class IdTable:
    """The last ids of one message type: `look` before `take`, then `answer`. Pinned ids stay taken until unpinned.

    It keeps at least `limits.reply_ids` ids and a sixteenth more, so that forgetting happens in batches.
    """

    __slots__ = ("_keep_ms", "_limit", "known", "most", "pinned")

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.reply_ids
        self._keep_ms = limits.reply_ms
        self.most = limits.reply_ids + (limits.reply_ids >> 4)
        self.known: dict[int, tuple[bytes, bytes | None, int]] = {}
        """id -> (what was asked, the answer or None, when asked or answered in ms), oldest first."""
        self.pinned: set[int] = set()

    def look(self, message_id: int, image: bytes, now_ms: int) -> bytes | Verdict | None:
        """Return None for a new id, the answer to repeat, or why the id cannot be taken."""
        known = self.known.get(message_id)
        if known is not None:
            asked, answer, at_ms = known
            keep_ms = PENDING_MS if answer is None else self._keep_ms
            if now_ms - at_ms < keep_ms or message_id in self.pinned:
                if asked != image:
                    return Verdict.DIFFERENT
                return Verdict.PENDING if answer is None else answer
            del self.known[message_id]
        if message_id in self.pinned:
            return Verdict.DIFFERENT
        if len(self.known) >= self.most and not self.forget_oldest(now_ms):
            return Verdict.FULL
        return None

    def take(self, message_id: int, image: bytes, now_ms: int) -> None:
        """Remember a new id as asked and not answered."""
        self.known[message_id] = (image, None, now_ms)

    def is_pending(self, message_id: int) -> bool:
        """Whether an id waits for its answer."""
        known = self.known.get(message_id)
        return known is not None and known[1] is None

    def answer(self, message_id: int, frame: bytes, now_ms: int) -> None:
        """Remember the answer to an id, or a later word on it; an unknown id stays unknown."""
        known = self.known.get(message_id)
        if known is not None:
            self.known[message_id] = (known[0], frame, now_ms)

    def forget(self, message_id: int) -> None:
        """Let an id be asked again with other bytes."""
        self.known.pop(message_id, None)

    def forget_oldest(self, now_ms: int) -> bool:
        """Make room; what is pinned or waits for its answer stays. Return whether there is room."""
        old = (
            message_id
            for message_id, (_, answer, at_ms) in self.known.items()
            if (answer is not None or now_ms - at_ms >= PENDING_MS) and message_id not in self.pinned
        )
        for message_id in list(islice(old, len(self.known) - self._limit)):
            del self.known[message_id]
        return len(self.known) < self.most


class PeerMemory:
    """What one peer asked and was answered, and which of its signatures were seen."""

    __slots__ = ("_floor_ms", "_limits", "_seen", "bids", "confirms", "touched_ms")

    def __init__(self, limits: Limits, now_ms: int = 0) -> None:
        self._limits = limits
        self._seen: dict[bytes, int] = {}
        self._floor_ms = -1
        self.bids = IdTable(limits)
        self.confirms = IdTable(limits)
        self.touched_ms = now_ms

    def pin(self, bid_id: int) -> None:
        """Keep a trade's bid id taken until `unpin`, whatever else the peer asks; for trades of an earlier process."""
        self.bids.pinned.add(bid_id)

    def unpin(self, bid_id: int) -> None:
        """Let an id live on only as long as any other; for trades that end without a word to the peer."""
        self.bids.pinned.discard(bid_id)

    def is_replay(self, auth: Auth) -> bool:
        """Whether a verified signature was seen before; if not, it is seen now.

        Signatures that no longer fit leave their timestamp behind: whatever is not younger counts as seen.
        """
        seen = self._seen
        if auth.timestamp_ms <= self._floor_ms or auth.signature in seen:
            return True
        seen[auth.signature] = auth.timestamp_ms
        if len(seen) > self._limits.reply_ids:
            self._floor_ms = max(self._floor_ms, seen.pop(next(iter(seen))))
        return False

    def said(self, kind: int, message_id: int, code: int, frame: bytes, now_ms: int) -> None:
        """Remember a frame that answers a Bid or a Confirm, or takes back an earlier answer.

        An Accept pins the bid's id; the Reject or Terminate that ends the trade lets it go.
        """
        confirms = self.confirms
        if kind == MessageType.BID_REJECT and confirms.known and confirms.is_pending(message_id):
            if code == ReasonCode.MALFORMED:
                confirms.forget(message_id)
                return
            confirms.answer(message_id, frame, now_ms)
            if code != ReasonCode.NOT_CONFIRMED:
                return
        elif kind == MessageType.BESS_STATUS:
            if confirms.is_pending(message_id):
                confirms.answer(message_id, frame, now_ms)
            return
        elif kind == MessageType.TERMINATE:
            confirms.answer(message_id, frame, now_ms)
        self.bids.answer(message_id, frame, now_ms)
        if kind == MessageType.BID_ACCEPT:
            self.pin(message_id)
        else:
            self.unpin(message_id)


class PeerMemories:
    """The memories of all peers of one battery or one aggregator, bounded by `limits.signers`."""

    __slots__ = ("_by_signer", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_signer: dict[bytes, PeerMemory] = {}

    def __len__(self) -> int:
        return len(self._by_signer)

    def for_connection(self) -> PeerMemory:
        """Return a fresh memory for an unsigned connection; it lives as long as that."""
        return PeerMemory(self._limits)

    def for_signer(self, public_key: bytes, now_ms: int) -> PeerMemory | None:
        """Return a signer's memory, or None when the table is full of peers that must not be forgotten yet.

        To be asked for at each signed frame: a memory idle for `reply_ms` may be given up, one with a trade in it for
        a day.
        """
        memory = self._by_signer.get(public_key)
        if memory is None:
            if len(self._by_signer) >= self._limits.signers and not self._make_room(now_ms):
                return None
            memory = self._by_signer[public_key] = PeerMemory(self._limits)
        memory.touched_ms = now_ms
        return memory

    def _make_room(self, now_ms: int) -> bool:
        for public_key, memory in self._by_signer.items():
            if now_ms - memory.touched_ms >= (TRADE_MS if memory.bids.pinned else self._limits.reply_ms):
                del self._by_signer[public_key]
                return True
        return False

"""What a peer has already asked, and what it was answered: nothing takes effect twice (ETP section 1, "Who is who").

Ids are remembered for Bid and Confirm, the two messages whose effect must happen once. Everything else a peer sends
either has no effect of its own (Query, Register on its connection) or speaks again of a trade under the bid's id with
other bytes (Terminate, BESSStatus); there a signed frame counts once by its signature.

An unsigned peer is its connection and so is its memory. A signer's memory is shared by all of its connections; it is
given up when nothing in it can matter any more. What outlives it are pins, the bid ids of trades that have not ended.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from etp.frame import encode_plain_tcp
from etp.limits import AUTH_SKEW_MS, MEMORIES_PER_CONNECTION, PENDING_MS, STARTED_SLACK_MS, Limits
from etp.messages import MessageType, ReasonCode

if TYPE_CHECKING:
    from etp.extensions import Auth
    from etp.messages import Body


class Verdict(Enum):
    """What an id that cannot be taken as new is."""

    PENDING = "the same frame, not answered yet"
    DIFFERENT = "the id is taken by other bytes"
    FULL = "too many frames of this peer are unanswered"


class IdTable:
    """The last ids of one message type: `look` before `take`, then `answer`. Pinned ids stay taken until unpinned.

    It keeps at least `limits.reply_ids` ids and a quarter more, so that forgetting happens in batches: a dictionary
    looks for its oldest entry behind all that were deleted before.

    An entry is one `bytes`, because a busy battery keeps a hundred thousand of them and the garbage collector need not
    know: how long the image of what was asked is (one byte), when it was asked or last spoken of (ms, eight), the
    image, and the answer if there is one.
    """

    __slots__ = ("_full_at_ms", "_keep_ms", "_limit", "known", "most", "pinned")

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.reply_ids
        self._keep_ms = limits.reply_ms
        self._full_at_ms: int | None = None
        """When it was last found that nothing can be forgotten, unless something was answered since."""
        self.most = limits.reply_ids + (limits.reply_ids >> 2)
        self.known: dict[int, bytes] = {}
        """id -> entry, oldest first."""
        self.pinned: dict[int, None] = {}
        """The ids of trades, oldest first."""

    def look(self, message_id: int, image: bytes, now_ms: int) -> bytes | Verdict | None:
        """Return None for a new id, the answer to repeat, or why the id cannot be taken."""
        entry = self.known.get(message_id)
        if entry is not None:
            keep_ms = PENDING_MS if _is_unanswered(entry) else self._keep_ms
            if now_ms - _at_ms(entry) < keep_ms or message_id in self.pinned:
                stop = _HEAD.size + entry[0]
                if entry[_HEAD.size : stop] != image:
                    return Verdict.DIFFERENT
                return entry[stop:] or Verdict.PENDING
            del self.known[message_id]
        if message_id in self.pinned:
            return Verdict.DIFFERENT
        if len(self.known) >= self.most and not self.forget_oldest(now_ms):
            return Verdict.FULL
        return None

    def take(self, message_id: int, image: bytes, now_ms: int) -> None:
        """Remember a new id as asked and not answered; an image has at most 255 bytes."""
        self.known[message_id] = _HEAD.pack(len(image), now_ms) + image

    def is_pending(self, message_id: int) -> bool:
        """Whether an id waits for its answer."""
        entry = self.known.get(message_id)
        return entry is not None and _is_unanswered(entry)

    def answer(self, message_id: int, frame: bytes, now_ms: int) -> None:
        """Remember the answer to an id, or a later word on it; an unknown id stays unknown.

        An answer is kept as long as what was asked may be asked again; a later word begins its time anew, unless the
        time of an id that is not pinned is over: that id is free.
        """
        entry = self.known.get(message_id)
        if entry is None:
            return
        self._full_at_ms = None
        size = entry[0]
        if len(entry) > _HEAD.size + size:
            if now_ms - _at_ms(entry) >= self._keep_ms and message_id not in self.pinned:
                del self.known[message_id]
                return
            entry = _HEAD.pack(size, now_ms) + entry[_HEAD.size : _HEAD.size + size]
        self.known[message_id] = entry + frame

    def forget(self, message_id: int) -> None:
        """Let an id be asked again with other bytes."""
        self.known.pop(message_id, None)

    def pin(self, message_id: int) -> None:
        """Keep an id taken; of more ids than one buyer can have trades, the oldest is given up."""
        self.pinned[message_id] = None
        if len(self.pinned) > self._limit // 2 + 1:
            del self.pinned[next(iter(self.pinned))]

    def forget_expired(self, now_ms: int) -> None:
        """Give back the room of ids whose time is over, until the first that has some left."""
        expired: list[int] = []
        for message_id, entry in self.known.items():
            if message_id in self.pinned or now_ms - _at_ms(entry) < self._keep_ms:
                break
            expired.append(message_id)
        for message_id in expired:
            del self.known[message_id]

    def forget_oldest(self, now_ms: int) -> bool:
        """Make room; what is pinned or waits for its answer stays. Return whether there is room.

        Of many ids that come at once into a full table, only the first looks for room.
        """
        if self._full_at_ms == now_ms:
            return False
        known, pinned = self.known, self.pinned
        excess = len(known) - self._limit
        gone: list[int] = []
        for message_id, entry in known.items():
            if len(gone) >= excess:
                break
            if message_id not in pinned and (not _is_unanswered(entry) or now_ms - _at_ms(entry) >= PENDING_MS):
                gone.append(message_id)
        for message_id in gone:
            del known[message_id]
        has_room = len(known) < self.most
        self._full_at_ms = None if has_room else now_ms
        return has_room


_HEAD: Final = struct.Struct("<Bq")


def _is_unanswered(entry: bytes) -> bool:
    return len(entry) == _HEAD.size + entry[0]


def _at_ms(entry: bytes) -> int:
    return int.from_bytes(entry[1 : _HEAD.size], "little", signed=True)


class PeerMemory:
    """What one peer asked and was answered, and which of its signatures were seen."""

    __slots__ = ("__weakref__", "_floor_ms", "_limits", "_seen", "address", "bids", "confirms", "touched_ms")

    def __init__(self, limits: Limits, now_ms: int = 0, address: str = "") -> None:
        self._limits = limits
        self._seen: dict[bytes, int] = {}
        self._floor_ms = -1
        self.address = address
        """Where its peer was first heard."""
        self.bids = IdTable(limits)
        self.confirms = IdTable(limits)
        self.touched_ms = now_ms

    def pin(self, bid_id: int) -> None:
        """Keep a trade's bid id taken until `unpin`, whatever else the peer asks."""
        self.bids.pin(bid_id)

    def unpin(self, bid_id: int) -> None:
        """Let an id live on only as long as any other."""
        self.bids.pinned.pop(bid_id, None)

    def forget_expired(self, now_ms: int) -> None:
        """Give back the room of what can no longer be asked again."""
        self.bids.forget_expired(now_ms)
        self.confirms.forget_expired(now_ms)

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

    __slots__ = ("_by_connection", "_by_signer", "_keep_ms", "_limits", "_opened_ms", "_parked", "_per_address")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._keep_ms = max(limits.reply_ms, 2 * AUTH_SKEW_MS)
        self._per_address = limits.per_address * MEMORIES_PER_CONNECTION or limits.signers
        self._opened_ms: int | None = None
        self._by_connection: WeakValueDictionary[str, PeerMemory] = WeakValueDictionary()
        self._by_signer: dict[bytes, PeerMemory] = {}
        self._parked: dict[bytes, dict[int, None]] = {}
        """The pins of signers whose memory was given up, or is not there yet; the longest parked first."""

    def __len__(self) -> int:
        return len(self._by_signer)

    def opened(self, now_ms: int) -> None:
        """Note that connections can come from now on; what was signed before may have been heard by an earlier process.

        Without it nothing counts as signed too early. The first call decides.
        """
        if self._opened_ms is None:
            self._opened_ms = now_ms

    def was_signed_before(self, auth: Auth, wall_ms: int, now_ms: int) -> bool:
        """Whether a frame is older than this process, which cannot know whether it took effect already."""
        if self._opened_ms is None:
            return False
        return auth.timestamp_ms < wall_ms - (now_ms - self._opened_ms) - STARTED_SLACK_MS

    def for_connection(self, peer: str = "") -> PeerMemory:
        """Return a fresh memory for an unsigned connection of this name; it lives as long as that."""
        memory = PeerMemory(self._limits)
        self._by_connection[peer] = memory
        return memory

    def for_signer(self, public_key: bytes, now_ms: int, address: str = "") -> PeerMemory | None:
        """Return a signer's memory, or None when it or its address would be one too many.

        To be asked for at each signed frame: a memory that was not asked for while any Auth in it can be repeated is
        given up.
        """
        memory = self._by_signer.get(public_key)
        if memory is None:
            self._forget_idle(now_ms)
            if len(self._by_signer) >= self._limits.signers or self._is_crowded(address):
                return None
            memory = self._by_signer[public_key] = PeerMemory(self._limits, now_ms, address)
            memory.bids.pinned = self._parked.pop(public_key, memory.bids.pinned)
        memory.touched_ms = now_ms
        return memory

    def memory_of(self, peer: str) -> PeerMemory | None:
        """Return what is remembered of a peer by its name: of a signer for a while, of a connection while it lives."""
        key = _key_of(peer)
        return self._by_connection.get(peer) if key is None else self._by_signer.get(key)

    def pin(self, peer: str, bid_id: int) -> None:
        """Keep a trade's bid id taken until `unpin`, also when its buyer is not here: for trades of an earlier process.

        An unsigned buyer that is gone cannot come back, and needs no pin.
        """
        memory, key = self.memory_of(peer), _key_of(peer)
        if memory is not None:
            memory.pin(bid_id)
        elif key is not None:
            self._park(key, {**self._parked.pop(key, {}), bid_id: None})

    def unpin(self, peer: str, bid_id: int) -> None:
        """Let go the bid id of a trade or award that has ended, whether or not its buyer could be told."""
        memory, key = self.memory_of(peer), _key_of(peer)
        if memory is not None:
            memory.unpin(bid_id)
        elif key is not None:
            pins = self._parked.get(key, {})
            pins.pop(bid_id, None)
            if not pins:
                self._parked.pop(key, None)

    def note(self, peer: str, end: Body, now_ms: int) -> None:
        """Remember how an award ended that its buyer could not be told: its Bid, sent again, is not accepted again."""
        memory = self.memory_of(peer)
        if memory is not None:
            memory.said(end.message_type, end.message_id, end.termination_code, encode_plain_tcp(end), now_ms)

    def _is_crowded(self, address: str) -> bool:
        """Whether one address has brought as many signers as it may, so that it cannot shut out the others."""
        if not address or self._per_address >= self._limits.signers:
            return False
        return sum(memory.address == address for memory in self._by_signer.values()) >= self._per_address

    def _forget_idle(self, now_ms: int) -> None:
        idle = [key for key, memory in self._by_signer.items() if now_ms - memory.touched_ms > self._keep_ms]
        for key in idle:
            pins = self._by_signer.pop(key).bids.pinned
            if pins:
                self._park(key, pins)

    def _park(self, key: bytes, pins: dict[int, None]) -> None:
        self._parked[key] = pins
        if len(self._parked) > self._limits.signers:
            del self._parked[next(iter(self._parked))]


def _key_of(peer: str) -> bytes | None:
    return bytes.fromhex(peer[4:]) if peer.startswith("key:") else None

"""The receiving half of a connection: bytes in, events out, and the codes of ETP section 5 that need no auction.

Every frame passes the same gates, in the order of the codes: it decodes, is not expired, goes the right way, is on the
grid (9), has a free id (13), is from whom it claims to be (6) and keeps to the rate (7). Above the rate signatures are
not looked at, so that a flood costs no elliptic curve; and only as many frames are refused as are taken, then the
connection closes: saying no ten thousand times would make the other peers wait.

`plain_bid` is the fast lane for the commonest frame there is, one new and well-formed unsigned Bid in one read;
whatever it does not take goes through the gates, and a test holds the two to the same result.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from etp.bids import PRICE_MAX, checked_bid, is_fit_as_it_is
from etp.errors import AuthError, EtpError
from etp.extensions import NO_EXTENSIONS, Extensions
from etp.frame import FrameReader, decode_frame
from etp.identity import Refusal
from etp.limits import DECIDED_MAX, Limits
from etp.messages import BODY_BYTES, Body, MessageType, ReasonCode
from etp.pace import BadFrames, FrameRate
from etp.replies import PeerMemories, PeerMemory, Verdict
from etp.timing import HEARD_BY, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.counts import Counts
    from etp.identity import Identity
    from etp.pace import AddressPace

_REGISTER: Final = int(MessageType.REGISTER)
_QUERY: Final = int(MessageType.QUERY)
_BID: Final = int(MessageType.BID)
_CONFIRM: Final = int(MessageType.BID_CONFIRM)
_STATUS: Final = int(MessageType.BESS_STATUS)
_ANSWERED: Final = frozenset({_BID, _CONFIRM})
"""The types whose refusal is said aloud with a Reject."""
_WANTS_ANSWER: Final = _ANSWERED | {_QUERY}

_PLAIN_BID: Final = struct.Struct("<IBQQBd24sd26s")
"""Length, type, id, device, ttl, price, three fields that a Bid does not use, quantity, five more."""
_PLAIN_PREFIX: Final = BODY_BYTES.to_bytes(4, "little")
_UNUSED_EARLY: Final = bytes(24)
_UNUSED_LATE: Final = bytes(26)
_new: Final = tuple.__new__


class _Proof(NamedTuple):
    """What a signature has shown: whose it is, and whether it, or one that could be it, was seen before."""

    signer: bytes | None = None
    is_replay: bool = False


_UNPROVED: Final = _Proof()
_REPLAYED: Final = "a signature that was used before"


class Received(NamedTuple):
    """One frame that the handler must deal with; with `code` other than 0 it has only to say so."""

    body: Body
    extensions: Extensions
    peer: str
    """ "key:<64 hex>" for a signer, "conn:<n>" for an unsigned connection."""
    signer: bytes | None
    """The key that verifiably signed this frame."""
    code: int
    """0, or the refusal this connection has decided (9, 13, 6 or 7): answer with it."""
    reason: str
    """For people; empty when `code` is 0."""
    cause_ms: int
    """When the loop could first have read the frame's last byte."""


class Intake:
    """Turns what one peer sends into `Received` values; never raises on input."""

    __slots__ = (
        "_address",
        "_bad",
        "_cap",
        "_cause_ms",
        "_counts",
        "_framed_ms",
        "_has_fast_lane",
        "_hears",
        "_is_battery",
        "_limits",
        "_memories",
        "_now_ms",
        "_rate",
        "_reader",
        "_refused",
        "_wall_ms",
        "_wanting",
        "close_reason",
        "decided",
        "identity",
        "memory",
        "repeats",
    )

    def __init__(
        self,
        *,
        role: Role,
        identity: Identity,
        limits: Limits,
        memories: PeerMemories,
        counts: Counts,
        now_ms: int,
        wall_ms: Callable[[], int],
        address: str = "",
        shared: AddressPace | None = None,
        price_cap: float = PRICE_MAX,
    ) -> None:
        self._address = address
        self._cap = price_cap
        self._is_battery = role is Role.BATTERY
        self._has_fast_lane = self._is_battery and not identity.needs_auth
        self._hears = HEARD_BY[role]
        self._wanting = _WANTS_ANSWER & self._hears
        self._limits = limits
        self._memories = memories
        self._counts = counts
        self._wall_ms = wall_ms
        self._reader = FrameReader()
        self._framed_ms = self._now_ms = self._cause_ms = now_ms
        pace = (limits.frames_per_s, limits.burst) if self._is_battery else (0, 0)
        self._rate = FrameRate(*pace, None if shared is None else shared.taken)
        self._refused = FrameRate(*pace, None if shared is None else shared.refused)
        self._bad = BadFrames(limits.bad_frames_per_min)
        self.decided: dict[tuple[int, int], int] = {}
        """Refusals decided here and still to be spoken: (id, code) -> how often."""
        self.identity = identity
        self.memory: PeerMemory = memories.for_connection(identity.peer)
        self.repeats: list[bytes] = []
        """Answers to be given again; the connection queues and clears them."""
        self.close_reason: str | None = None

    def receive(self, data: bytes, now_ms: int, cause_ms: int) -> list[Received]:
        """Return the events of one read."""
        reader = self._reader
        frames = reader.feed(data)
        events: list[Received] = []
        if frames:
            self._framed_ms = self._now_ms = now_ms
            self._cause_ms = cause_ms
            self._counts.received += len(frames)
            waiting = iter(frames)
            for frame in waiting:
                event = self._take(frame)
                if event is not None:
                    events.append(event)
                if self.close_reason is not None:
                    self._counts.unanswered += sum(unread[0] in self._wanting for unread in waiting)
                    return events
        elif len(reader.tail) == len(data):
            self._framed_ms = now_ms
        if reader.bad_length is not None:
            self.close_reason = f"frame length {reader.bad_length} is outside 84..1024"
        return events

    def silence(self, now_ms: int) -> str | None:
        """Why a peer that says nothing, or not the rest of what it began, should be closed by now."""
        limits = self._limits
        self.memory.forget_expired(now_ms)
        silent_ms = now_ms - self._framed_ms
        if self._reader.tail and 0 < limits.half_frame_ms <= silent_ms:
            return f"half a frame for {silent_ms} ms"
        listens = not self._is_battery or self.identity.registered or self.memory.bids.pinned
        if not listens and 0 < limits.idle_ms <= silent_ms:
            return f"silent for {silent_ms} ms without having registered"
        return None

    def was_decided(self, message_id: int, code: int) -> bool:
        """Whether a Reject only speaks a refusal decided here, which takes no id; each decision is spoken once."""
        count = self.decided.pop((message_id, code), 0)
        if count > 1:
            self.decided[message_id, code] = count - 1
        return count > 0

    def overrule(self, message_id: int, code: int, instead: int) -> None:
        """A refusal decided here will be spoken with another code."""
        if self.was_decided(message_id, code):
            key = message_id, instead
            self.decided[key] = self.decided.get(key, 0) + 1

    def plain_bid(self, data: bytes, now_ms: int, cause_ms: int) -> Received | None:
        """Take one read of 88 bytes that is one plain Bid with nothing to object to; None for anything else."""
        size, kind, bid_id, device_id, ttl, price, early, energy, late = _PLAIN_BID.unpack(data)
        table = self.memory.bids
        known = table.known
        if (
            kind != _BID
            or size != BODY_BYTES
            or early != _UNUSED_EARLY
            or late != _UNUSED_LATE
            or not ttl
            or not self._has_fast_lane
            or self._reader.tail
            or bid_id in known
            or bid_id in table.pinned
            or (len(known) >= table.most and not table.forget_oldest(now_ms))
            or not is_fit_as_it_is(bid_id, price, energy, self._cap)
            or not self._rate.spend(now_ms)
        ):
            return None
        table.take(bid_id, data, now_ms)
        self._framed_ms = now_ms
        self._counts.received += 1
        identity = self.identity
        identity.trades_unsigned = True
        body = _new(Body, (_BID, bid_id, device_id, ttl, price, 0.0, 0.0, 0.0, energy, 0, 0.0, 0, 0.0, 0.0))
        return _new(Received, (body, NO_EXTENSIONS, identity.peer, None, 0, "", cause_ms))

    def _take(self, frame: bytes) -> Received | None:
        in_rate = self._rate.spend(self._now_ms)
        if not in_rate and not self._refused.spend(self._now_ms):
            limits = self._limits
            self.close_reason = (
                f"more than twice {limits.frames_per_s} frames/s"
                if self._refused.is_over(self._now_ms)
                else f"more than twice {limits.address_frames_per_s} frames/s from its address"
            )
            self._counts.unanswered += frame[0] in self._wanting
            return None
        try:
            body, extensions = decode_frame(frame)
        except EtpError as error:
            return self._take_malformed(frame, str(error))
        kind = body[0]
        if body[3] == 0:
            self._counts.expired += 1
            self._counts.unanswered += kind in self._wanting
            return None
        if kind not in self._hears or (kind == _STATUS and self._is_battery and extensions.receipt is None):
            self._count_bad()
            return None
        return self._take_rightful(frame, body, extensions, in_rate)

    def _take_rightful(self, frame: bytes, body: Body, extensions: Extensions, in_rate: bool) -> Received | None:
        """A decodable frame of a type that we may receive."""
        kind = body[0]
        if kind == _BID:
            checked = checked_bid(body, signed=extensions.auth is not None, cap=self._cap)
            if isinstance(checked, str):
                return self._decide(body, extensions, ReasonCode.MALFORMED, checked)
            body = checked
        proof = _UNPROVED
        if extensions.auth is not None or self.identity.needs_auth:
            proved = self._guard(kind, frame, extensions, in_rate)
            if isinstance(proved, Refusal):
                return self._refuse(frame, body, extensions, proved)
            proof = proved
        if kind in _ANSWERED:
            return self._take_once(frame, body, extensions, proof, in_rate)
        return self._take_again(body, extensions, proof, in_rate)

    def _guard(self, kind: int, frame: bytes, extensions: Extensions, in_rate: bool) -> _Proof | Refusal:
        """Return what the Auth proves, nothing when there is none (or no time to look), or why the frame is refused.

        Every signature that holds is remembered, whatever becomes of its frame: one that was overheard, and comes again
        on a connection that belongs to nobody, is forged.
        """
        identity, auth = self.identity, extensions.auth
        refusal = identity.claim(kind, extensions)
        if refusal is not None:
            return refusal
        if not in_rate or auth is None or identity.is_open_to_all(kind):
            return _UNPROVED
        wall_ms = self._wall_ms()
        try:
            signer = identity.prove(kind, frame, auth, extensions.rest, wall_ms)
        except AuthError as error:
            return Refusal(str(error), forged=True)
        memory = self._memories.for_signer(signer, self._now_ms, self._address)
        if memory is None:
            identity.turned_away = Refusal("too many peers at once", code=ReasonCode.BUSY)
            return identity.turned_away
        is_replay = memory.is_replay(auth) or self._memories.was_signed_before(auth, wall_ms, self._now_ms)
        if identity.signer is None:
            if is_replay:
                return Refusal(_REPLAYED, forged=True)
            identity.bind(signer)
            self._has_fast_lane = False
        if not is_replay:
            identity.heard(auth)
        self.memory = memory
        return _Proof(signer, is_replay)

    def _take_once(
        self, frame: bytes, body: Body, extensions: Extensions, proof: _Proof, in_rate: bool
    ) -> Received | None:
        """A Bid or a Confirm: it takes effect unless it did already, its id is taken, or there are too many."""
        table = self.memory.bids if body[0] == _BID else self.memory.confirms
        image = _image(frame, extensions)
        known = table.look(body[1], image, self._now_ms)
        if known is Verdict.DIFFERENT:
            return self._decide(body, extensions, ReasonCode.DUPLICATE_ID, known.value)
        if known is Verdict.PENDING or (known is not None and not in_rate and extensions.auth is not None):
            self._counts.dropped += 1
            return None
        if isinstance(known, bytes):
            self._counts.repeated += 1
            self.repeats.append(known)
            return None
        if known is Verdict.FULL or not in_rate:
            self._counts.over_rate += 1
            return self._decide(body, extensions, ReasonCode.BUSY, "too many frames")
        if proof.is_replay:
            return self._decide(body, extensions, ReasonCode.NOT_TRUSTED, _REPLAYED)
        self.identity.trades_unsigned = proof.signer is None
        table.take(body[1], image, self._now_ms)
        return Received(body, extensions, self.identity.peer, proof.signer, 0, "", self._cause_ms)

    def _take_again(self, body: Body, extensions: Extensions, proof: _Proof, in_rate: bool) -> Received | None:
        """Every type that may take effect more than once. A Query is answered even above the rate."""
        kind = body[0]
        code, reason = 0, ""
        if not in_rate:
            self._counts.over_rate += 1
            if kind != _QUERY:
                return None
            code, reason = int(ReasonCode.BUSY), "too many frames"
        if proof.is_replay:
            self._counts.dropped += 1
            return None
        if kind == _REGISTER:
            self.identity.registered = True
        return Received(body, extensions, self.identity.peer, proof.signer, code, reason, self._cause_ms)

    def _take_malformed(self, frame: bytes, reason: str) -> Received | None:
        kind, message_id = frame[0], int.from_bytes(frame[1:9], "little")
        self._count_bad()
        if kind not in _ANSWERED or not self._is_battery:
            return None
        return self._decide(Body(kind, message_id, 0), NO_EXTENSIONS, ReasonCode.MALFORMED, reason)

    def _refuse(self, frame: bytes, body: Body, extensions: Extensions, refusal: Refusal) -> Received | None:
        kind = body[0]
        if refusal.forged or kind not in _ANSWERED:
            self._count_bad()
        if kind not in _ANSWERED:
            return None
        table = self.memory.bids if kind == _BID else self.memory.confirms
        if table.look(body[1], _image(frame, extensions), self._now_ms) is Verdict.DIFFERENT:
            return self._decide(body, extensions, ReasonCode.DUPLICATE_ID, Verdict.DIFFERENT.value)
        return self._decide(body, extensions, refusal.code, refusal.reason)

    def _decide(self, body: Body, extensions: Extensions, code: ReasonCode, reason: str) -> Received:
        """Refuse a frame here and now. Its id is not taken, and the Reject that says so answers nothing else."""
        decided = self.decided
        key = body.message_id, int(code)
        decided[key] = decided.get(key, 0) + 1
        if len(decided) > DECIDED_MAX:
            del decided[next(iter(decided))]
        return Received(body, extensions, self.identity.peer, None, int(code), reason, self._cause_ms)

    def _count_bad(self) -> None:
        self._counts.bad += 1
        if self._bad.add(self._now_ms):
            self.close_reason = f"{self._limits.bad_frames_per_min} bad frames in a minute"


def _image(frame: bytes, extensions: Extensions) -> bytes:
    """What a duplicate must repeat: the body, as a plain frame on TCP has it, and the hash of other extensions."""
    image = _PLAIN_PREFIX + frame[:BODY_BYTES]
    return image + sha256(extensions.rest).digest() if extensions.rest else image

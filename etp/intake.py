"""The receiving half of a connection: bytes in, events out, and the codes of ETP section 5 that need no auction.

Every frame passes the same gates: it decodes, is not expired, goes the right way, is from whom it claims to be (6), is
on the grid (9), has a free id (13) and keeps to the rate (7). A frame above the rate is answered before its signature is
looked at, so that a flood costs no elliptic curve; a signature that does not hold hides whatever else is wrong.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from etp.bids import checked_bid
from etp.errors import EtpError
from etp.extensions import NO_EXTENSIONS, Extensions
from etp.frame import FrameReader, decode_frame
from etp.limits import DECIDED_MAX, Limits
from etp.messages import BODY_BYTES, Body, MessageType, ReasonCode
from etp.pace import BadFrames, FrameRate
from etp.replies import PeerMemories, PeerMemory, Verdict
from etp.timing import HEARD_BY, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.counts import Counts
    from etp.identity import Identity, Refusal

_REGISTER: Final = int(MessageType.REGISTER)
_QUERY: Final = int(MessageType.QUERY)
_BID: Final = int(MessageType.BID)
_CONFIRM: Final = int(MessageType.BID_CONFIRM)
_STATUS: Final = int(MessageType.BESS_STATUS)
_ANSWERED: Final = frozenset({_BID, _CONFIRM})
"""The types whose refusal is said aloud with a Reject."""


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
        "_bad",
        "_cause_ms",
        "_counts",
        "_decided",
        "_framed_ms",
        "_hears",
        "_is_battery",
        "_limits",
        "_memories",
        "_now_ms",
        "_rate",
        "_reader",
        "_wall_ms",
        "close_reason",
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
    ) -> None:
        self._is_battery = role is Role.BATTERY
        self._hears = HEARD_BY[role]
        self._limits = limits
        self._memories = memories
        self._counts = counts
        self._wall_ms = wall_ms
        self._reader = FrameReader()
        self._framed_ms = self._now_ms = self._cause_ms = now_ms
        self._rate = FrameRate(
            limits.frames_per_s if self._is_battery else 0, limits.burst if self._is_battery else 0, now_ms
        )
        self._bad = BadFrames(limits.bad_frames_per_min)
        self._decided: Counter[tuple[int, int]] = Counter()
        self.identity = identity
        self.memory: PeerMemory = memories.for_connection()
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
            self._rate.refill(now_ms)
            for frame in frames:
                event = self._take(frame)
                if event is not None:
                    events.append(event)
                if self.close_reason is not None:
                    return events
        elif reader.waiting == len(data):
            self._framed_ms = now_ms
        if reader.bad_length is not None:
            self.close_reason = f"frame length {reader.bad_length} is outside 84..1024"
        return events

    def silence(self, now_ms: int) -> str | None:
        """Why a peer that says nothing, or not the rest of what it began, should be closed by now."""
        limits = self._limits
        silent_ms = now_ms - self._framed_ms
        if self._reader.waiting and 0 < limits.half_frame_ms <= silent_ms:
            return f"half a frame for {silent_ms} ms"
        if not self.identity.registered and 0 < limits.idle_ms <= silent_ms:
            return f"silent for {silent_ms} ms without having registered"
        return None

    def was_decided(self, message_id: int, code: int) -> bool:
        """Whether a Reject only speaks a refusal decided here, which takes no id; each decision is spoken once."""
        key = (message_id, code)
        if key not in self._decided:
            return False
        self._decided[key] -= 1
        if not self._decided[key]:
            del self._decided[key]
        return True

    def _take(self, frame: bytes) -> Received | None:
        try:
            if len(frame) == BODY_BYTES:
                body, extensions = Body.decode(frame), NO_EXTENSIONS
            else:
                body, extensions = decode_frame(frame)
        except EtpError as error:
            return self._take_malformed(frame, str(error))
        kind = body[0]
        if body[3] == 0:
            self._counts.expired += 1
            return None
        if kind not in self._hears or (kind == _STATUS and self._is_battery and extensions.receipt is None):
            self._count_bad()
            return None
        if extensions.auth is not None or self.identity.needs_auth:
            return self._take_guarded(frame, body, extensions)
        return self._take_admitted(frame, body, extensions, None, self._rate.spend())

    def _take_guarded(self, frame: bytes, body: Body, extensions: Extensions) -> Received | None:
        """A frame that is signed, or ought to be."""
        if not self._rate.spend():
            return self._take_admitted(frame, body, extensions, None, False)
        refusal = self.identity.admit(body[0], frame, extensions, self._wall_ms())
        if refusal is not None:
            return self._refuse(body, extensions, refusal)
        signer = None if extensions.auth is None else self.identity.signer
        if signer is not None:
            memory = self._memories.for_signer(signer, self._now_ms)
            if memory is None:
                return self._decide(body, extensions, ReasonCode.BUSY, "too many peers at once")
            self.memory = memory
        return self._take_admitted(frame, body, extensions, signer, True)

    def _take_admitted(
        self, frame: bytes, body: Body, extensions: Extensions, signer: bytes | None, in_rate: bool
    ) -> Received | None:
        kind = body[0]
        identity = self.identity
        if kind == _BID:
            checked = checked_bid(body, signed=extensions.auth is not None)
            if isinstance(checked, str):
                return self._decide(body, extensions, ReasonCode.MALFORMED, checked)
            body = checked
            table = self.memory.bids
        elif kind == _CONFIRM:
            table = self.memory.confirms
        else:
            return self._take_other(body, extensions, signer, in_rate)
        image = frame if len(frame) == BODY_BYTES else _image(frame, extensions)
        known = table.look(body[1], image, self._now_ms)
        if known is not None or not in_rate:
            return self._take_known(body, extensions, known, in_rate)
        if signer is not None and self._is_replay(extensions):
            return self._decide(body, extensions, ReasonCode.NOT_TRUSTED, "a signature that was used before")
        identity.trades_unsigned = signer is None
        table.take(body[1], image, self._now_ms)
        return Received(body, extensions, identity.peer, signer, 0, "", self._cause_ms)

    def _take_known(
        self, body: Body, extensions: Extensions, known: bytes | Verdict | None, in_rate: bool
    ) -> Received | None:
        """A Bid or Confirm that will not take effect: it did already, its id is taken, or there are too many."""
        if known is Verdict.DIFFERENT:
            return self._decide(body, extensions, ReasonCode.DUPLICATE_ID, Verdict.DIFFERENT.value)
        if known is Verdict.PENDING:
            self._counts.dropped += 1
            return None
        if isinstance(known, bytes):
            if in_rate or extensions.auth is None:
                self._counts.repeated += 1
                self.repeats.append(known)
            else:
                self._counts.dropped += 1
            return None
        self._counts.over_rate += 1
        return self._decide(body, extensions, ReasonCode.BUSY, "too many frames")

    def _take_other(self, body: Body, extensions: Extensions, signer: bytes | None, in_rate: bool) -> Received | None:
        """Every type that may take effect more than once. A Query is answered even above the rate."""
        kind = body[0]
        code, reason = 0, ""
        if not in_rate:
            self._counts.over_rate += 1
            if kind != _QUERY:
                return None
            code, reason = int(ReasonCode.BUSY), "too many frames"
        if signer is not None and self._is_replay(extensions):
            self._counts.dropped += 1
            return None
        if kind == _REGISTER:
            self.identity.registered = True
        return Received(body, extensions, self.identity.peer, signer, code, reason, self._cause_ms)

    def _is_replay(self, extensions: Extensions) -> bool:
        return extensions.auth is not None and self.memory.is_replay(extensions.auth)

    def _take_malformed(self, frame: bytes, reason: str) -> Received | None:
        kind, message_id = frame[0], int.from_bytes(frame[1:9], "little")
        self._count_bad()
        if kind not in _ANSWERED or not self._is_battery:
            return None
        return self._decide(Body(kind, message_id, 0), NO_EXTENSIONS, ReasonCode.MALFORMED, reason)

    def _refuse(self, body: Body, extensions: Extensions, refusal: Refusal) -> Received | None:
        aloud = body[0] in _ANSWERED
        if refusal.forged or not aloud:
            self._count_bad()
        return self._decide(body, extensions, ReasonCode.NOT_TRUSTED, refusal.reason) if aloud else None

    def _decide(self, body: Body, extensions: Extensions, code: ReasonCode, reason: str) -> Received:
        """Refuse a frame here and now. Its id is not taken, and the Reject that says so answers nothing else."""
        decided = self._decided
        decided[body.message_id, int(code)] += 1
        if len(decided) > DECIDED_MAX:
            del decided[next(iter(decided))]
        return Received(body, extensions, self.identity.peer, None, int(code), reason, self._cause_ms)

    def _count_bad(self) -> None:
        self._counts.bad += 1
        if self._bad.add(self._now_ms):
            self.close_reason = f"{self._limits.bad_frames_per_min} bad frames in a minute"


def _image(frame: bytes, extensions: Extensions) -> bytes:
    """What a duplicate must repeat: the body and, hashed because it may be long, every extension but Auth."""
    if not extensions.rest:
        return frame[:BODY_BYTES]
    return frame[:BODY_BYTES] + sha256(extensions.rest).digest()

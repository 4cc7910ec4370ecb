"""One TCP conversation without its socket: bytes in, events out, answers in, bytes out (ETP sections 1 to 5).

The shell feeds `receive`, lets the handler `send`, writes what `data_to_send` gives, and says `drained` when the
transport holds nothing any more; until then nothing else leaves, so that whatever waits is still in order of priority.
When `close_reason` is set it writes what is left to say and closes. `tick` finds the peers that went silent.

Signed conversations introduce themselves: the aggregator's first bytes, and the battery's answer to a valid Register,
are a signed Register of their own, unless the handler has sent one (with its terms) first. Until the peer has proved
its key only Query and QueryResponse leave, and the Register of the one who dialled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etp.auth import NOBODY, AuthPolicy, Signer, sign_frame
from etp.bids import PRICE_MAX
from etp.extensions import Contract, Receipt, extensions
from etp.frame import encode_plain_reject, encode_plain_tcp, encode_tcp, prefixed
from etp.identity import UNSIGNED_TYPES, Identity
from etp.intake import Intake, Received
from etp.latency import bucket_of
from etp.limits import FRAME_BYTES_MIN, LENGTH_PREFIX_BYTES, Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType
from etp.outbox import FIRST, Outbox, Waiting
from etp.timing import LIMIT_MS, PRIORITY, SHORTEST_LIMIT_MS, WHEN_LATE, Lateness, Role
from etp.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.pace import AddressPace
    from etp.replies import PeerMemories, PeerMemory

__all__ = ["Connection", "Received", "Role"]

_PLAIN_TCP_BYTES: Final = FRAME_BYTES_MIN + LENGTH_PREFIX_BYTES
_REGISTER: Final = int(MessageType.REGISTER)
_ACCEPT: Final = int(MessageType.BID_ACCEPT)
_REJECT: Final = int(MessageType.BID_REJECT)
_STATUS: Final = int(MessageType.BESS_STATUS)
_REJECT_PRIORITY: Final = PRIORITY[_REJECT]
_BEFORE_PROOF: Final = {
    Role.AGGREGATOR: UNSIGNED_TYPES | {MessageType.REGISTER},
    Role.BATTERY: UNSIGNED_TYPES,
}
"""What leaves before the peer has proved its key: who dials introduces himself first."""
_REPLIES: Final = frozenset({int(MessageType.QUERY_RESPONSE), _REJECT})
"""What a buyer waits for. An Accept that has not left is its award's business, which says Reject in its place."""
_ID: Final = slice(5, 13)
_ANSWERS: Final = frozenset(
    {MessageType.BID_ACCEPT, MessageType.BID_REJECT, MessageType.TERMINATE, MessageType.BESS_STATUS}
)


class Connection:
    """One conversation, in either role."""

    __slots__ = (
        "_accepting",
        "_choked",
        "_conn_id",
        "_flight",
        "_flight_ms",
        "_identity",
        "_intake",
        "_introduced",
        "_is_battery",
        "_is_strict",
        "_late",
        "_limits",
        "_outbox",
        "_policy",
        "_sent",
        "_wall_ms",
        "close_reason",
        "counts",
        "device_id",
        "is_calm",
        "latency",
        "remote",
        "role",
    )

    def __init__(
        self,
        *,
        role: Role,
        device_id: int,
        policy: AuthPolicy,
        limits: Limits,
        memories: PeerMemories,
        conn_id: int,
        remote: str,
        now_ms: int,
        wall_ms: Callable[[], int],
        traffic: Traffic | None = None,
        nonce: str = "",
        address: str = "",
        shared: AddressPace | None = None,
        price_cap: float = PRICE_MAX,
    ) -> None:
        """`nonce` makes the name of an unsigned peer unlike those of other processes; see `ConnectionMaker`.

        `traffic` is where this connection counts, alone or with others.
        """
        self.role = role
        self.device_id = device_id
        self.remote = remote
        traffic = Traffic() if traffic is None else traffic
        self.counts = traffic.counts
        self.latency = traffic.latency
        self.close_reason: str | None = None
        self.is_calm = False
        """Nothing came of the last read but its one event: no need to look for something to write or to close."""
        self._is_battery = role is Role.BATTERY
        self._is_strict = policy.peers == "signed"
        self._policy = policy
        self._limits = limits
        self._wall_ms = wall_ms
        self._conn_id = conn_id
        name = f"conn:{nonce}-{conn_id}" if nonce else f"conn:{conn_id}"
        self._identity = Identity(policy, name, greets_strangers=self._is_battery)
        self._intake = Intake(
            role=role,
            identity=self._identity,
            limits=limits,
            memories=memories,
            counts=self.counts,
            now_ms=now_ms,
            wall_ms=wall_ms,
            address=address,
            shared=shared,
            price_cap=price_cap,
        )
        self._outbox = Outbox(limits, self.counts)
        self._outbox.blocked = self._is_strict
        self._flight: list[Waiting] = []
        self._flight_ms = now_ms
        self._sent: list[tuple[Body, int]] = []
        self._late: list[Body] = []
        self._accepting: set[int] = set()
        """The bids whose Accept waits to leave."""
        self._introduced = False
        self._choked = False

    @property
    def peer(self) -> str:
        """Who this is: "key:<64 hex>" once a key is proved, else "conn:<n>" or "conn:<nonce>-<n>"."""
        return self._identity.peer

    @property
    def signer(self) -> bytes | None:
        """The key that the peer has proved."""
        return self._identity.signer

    @property
    def is_own(self) -> bool:
        """Whether the peer itself is known to be here: it needs no proof, or has signed a frame for our own key.

        A signed peer that has only introduced itself may be somebody who has overheard it at another battery.
        """
        return self._identity.signer is None or self._identity.is_proven

    @property
    def registered(self) -> bool:
        """Whether the peer has registered and so gets pushes."""
        return self._identity.registered

    @property
    def memory(self) -> PeerMemory:
        """What this peer asked and was answered."""
        return self._intake.memory

    @property
    def waiting(self) -> int:
        """How many frames wait to leave."""
        return len(self._outbox.waiting)

    def receive(self, data: bytes, now_ms: int, cause_ms: int) -> list[Received]:
        """Return what one read completes, read at the earliest at `cause_ms`. Never raises on what a peer sends."""
        intake = self._intake
        if len(data) == _PLAIN_TCP_BYTES and self.close_reason is None:
            event = intake.plain_bid(data, now_ms, cause_ms)
            if event is not None:
                self.is_calm = True
                return [event]
        self.is_calm = False
        if self.close_reason is not None:
            return []
        events = intake.receive(data, now_ms, cause_ms)
        if intake.repeats:
            outbox = self._outbox
            for frame in intake.repeats:
                if not (outbox.blocked and outbox.holds(frame)):
                    self._queue(frame[LENGTH_PREFIX_BYTES], now_ms, frame, None)
            intake.repeats.clear()
        if intake.close_reason is not None:
            self.close_reason = intake.close_reason
        return events

    def send(
        self,
        body: Body,
        *,
        now_ms: int,
        cause_ms: int | None = None,
        contract: Contract | None = None,
        reason: str = "",
        receipt: Receipt | None = None,
    ) -> None:
        """Queue a frame by its priority; an answer to a Bid or Confirm is remembered. Without a cause it starts now.

        A Reject or Terminate that takes back an Accept which has not left goes alone.

        Raises struct.error on numbers that no body can carry.
        """
        kind = body[0]
        if contract is None and receipt is None and not reason:
            frame = encode_plain_tcp(body)
        else:
            frame = encode_tcp(body, extensions(contract=contract, reason=reason, receipt=receipt))
        if kind in _ANSWERS and self._is_battery:
            intake = self._intake
            if kind != _REJECT or not intake.was_decided(body[1], body[9]):
                self._said(kind, body[1], body[9], frame, now_ms)
        self._queue(kind, now_ms if cause_ms is None else cause_ms, frame, body)

    def overrule(self, message_id: int, code: int, instead: int) -> None:
        """Say that a refusal which this connection has decided will be sent with another code."""
        self._intake.overrule(message_id, code, instead)

    def refuse(  # noqa: PLR0917 - called once per bid: keywords would cost as much as the packing
        self, bid_id: int, code: int, beat_e4: int, now_ms: int, cause_ms: int, at_once: bool = False
    ) -> bytes:
        """Send a plain BidReject: the same as `send(Body.bid_reject(...))`, without a value in between.

        Most of what a battery ever says is this, so it is packed from its five numbers. With `at_once` the frame is
        returned for the shell to write now, as from `data_to_send`, if it may leave unsigned and nothing is before it;
        else it is queued and nothing is returned.
        """
        frame = encode_plain_reject(bid_id, self.device_id, code, beat_e4)
        intake = self._intake
        memory = intake.memory
        if intake.decided or memory.confirms.known or memory.bids.pinned or self._accepting:
            if not intake.was_decided(bid_id, code):
                self._said(_REJECT, bid_id, code, frame, now_ms)
        else:
            memory.bids.answer(bid_id, frame, now_ms)
        outbox = self._outbox
        is_next = not (outbox.waiting or outbox.blocked or self._choked)
        if at_once and is_next and not self._is_strict and self._identity.signer is None:
            self._flight = [(_REJECT_PRIORITY, _REJECT, cause_ms, frame, None)]
            self._flight_ms = now_ms
            outbox.blocked = True
            return frame
        self._queue(_REJECT, cause_ms, frame, None)
        return b""

    def data_to_send(self, now_ms: int) -> bytes:
        """Return everything that may leave now, the most urgent first; nothing while the last bytes are not drained.

        An Accept whose limit has passed does not leave (`take_late`), its handler refuses the bid; one that leaves is
        in `take_sent`.
        """
        if self._flight:
            return b""
        outbox = self._outbox
        guarded = self._is_strict or self._identity.signer is not None
        if guarded and not self._introduced:
            self._introduce(now_ms)
        waiting = outbox.take(_BEFORE_PROOF[self.role] if guarded and self._is_held() else None)
        if not waiting:
            return b""
        if guarded or len(waiting) > 1 or waiting[0][1] == _ACCEPT or now_ms - waiting[0][2] > SHORTEST_LIMIT_MS:
            waiting = self._prepared(waiting, self._policy.signer if guarded else None, now_ms)
            if not waiting:
                return b""
        self._flight = waiting
        self._flight_ms = now_ms
        outbox.blocked = True
        return waiting[0][3] if len(waiting) == 1 else b"".join([item[3] for item in waiting])

    def drained(self, now_ms: int) -> None:
        """The transport holds nothing any more: what was handed over has left at `now_ms`."""
        by_type = self.latency.by_type
        for _, kind, cause_ms, _, _ in self._flight:
            by_type[kind].buckets[bucket_of(now_ms - cause_ms)] += 1
        self._flight = []
        self._outbox.blocked = self._is_strict and self._is_held()

    def tick(self, now_ms: int) -> None:
        """Set `close_reason` when the peer is silent in mid-frame, never registered, or does not read."""
        if self.close_reason is not None:
            return
        stalled_ms = now_ms - self._flight_ms
        if self._flight and 0 < self._limits.stalled_ms <= stalled_ms:
            self.close_reason = f"the peer has not read for {stalled_ms} ms"
        else:
            self.close_reason = self._intake.silence(now_ms)

    def missed(self, body: Body) -> None:
        """Count an answer that was made when nothing could leave any more: nobody will hear it."""
        if self._is_battery and body[1] < FIRST_BATTERY_ID and (body[0] in _REPLIES or body[0] == _STATUS):
            self.counts.unanswered += 1

    def lost(self) -> None:
        """Count the answers that had not left when the transport was gone."""
        for _, kind, _, frame, _ in (*self._flight, *self._outbox.waiting):
            self._count_unsaid(kind, frame)

    def _count_unsaid(self, kind: int, frame: bytes) -> None:
        if kind in _REPLIES and int.from_bytes(frame[_ID], "little") < FIRST_BATTERY_ID:
            self.counts.unanswered += 1

    def take_sent(self) -> list[tuple[Body, int]]:
        """Return the Accepts handed over since the last call, each with when."""
        sent, self._sent = self._sent, []
        return sent

    def take_late(self) -> list[Body]:
        """Return the Accepts that were too late to leave since the last call; nothing has been said in their place."""
        late, self._late = self._late, []
        return late

    def _said(self, kind: int, message_id: int, code: int, frame: bytes, now_ms: int) -> None:
        """Remember an answer; one that ends an award takes back an Accept that has not left.

        Whether the id was still taken does not matter: the award's owner, or another connection, may have freed it.
        """
        memory = self._intake.memory
        memory.said(kind, message_id, code, frame, now_ms)
        if message_id in self._accepting and message_id not in memory.bids.pinned:
            self._accepting.remove(message_id)
            self._outbox.take_back(_ACCEPT, message_id)

    def _queue(self, kind: int, cause_ms: int, frame: bytes, body: Body | None) -> None:
        """Put a frame into the outbox; one that does not fit closes the connection, and nothing is queued after it."""
        self.is_calm = False
        if self._choked:
            self._count_unsaid(kind, frame)
            return
        priority = PRIORITY[kind]
        if kind == _REGISTER and not self._introduced and (self._is_strict or self.signer is not None):
            self._introduced = True
            priority = FIRST
        if kind == _ACCEPT:
            self._accepting.add(int.from_bytes(frame[_ID], "little"))
        problem = self._outbox.add((priority, kind, cause_ms, frame, body))
        if problem:
            self._choked = True
            self.close_reason = self.close_reason or problem

    def _introduce(self, now_ms: int) -> None:
        """Queue our own Register when it is our turn: the aggregator speaks first, the battery answers a proved key."""
        if self._policy.signer is not None and (not self._is_battery or self.signer is not None):
            message_id = self._conn_id + (FIRST_BATTERY_ID if self._is_battery else 0)
            self.send(Body.register(message_id, self.device_id), now_ms=now_ms)

    def _is_held(self) -> bool:
        """Whether the peer must prove its key before more than an introduction leaves."""
        return self._is_strict and self._identity.signer is None

    def _prepared(self, waiting: list[Waiting], signer: Signer | None, now_ms: int) -> list[Waiting]:
        """Return what really leaves: without what is too late to be of use, and signed if it must be."""
        leaving: list[Waiting] = []
        for index, item in enumerate(waiting):
            kind = item[1]
            if kind == _ACCEPT:
                self._accepting.discard(int.from_bytes(item[3][_ID], "little"))
            if now_ms - item[2] > LIMIT_MS[kind]:
                if WHEN_LATE[kind] is Lateness.SUPERSEDE and any(newer[1] == kind for newer in waiting[index + 1 :]):
                    self.counts.superseded += 1
                    self._count_unsaid(kind, item[3])
                    continue
                if kind == _ACCEPT and item[4] is not None:
                    self._late.append(item[4])
                    self.latency[kind].record(now_ms - item[2])
                    continue
            priority, kind, cause_ms, frame, body = item
            if kind == _ACCEPT and body is not None:
                self._sent.append((body, now_ms))
            if signer is not None and kind not in UNSIGNED_TYPES:
                frame = self._signed(frame, signer)
            leaving.append((priority, kind, cause_ms, frame, body))
        return leaving

    def _signed(self, frame: bytes, signer: Signer) -> bytes:
        peer = self.signer or NOBODY
        signed = sign_frame(frame[LENGTH_PREFIX_BYTES:], signer=signer, peer=peer, timestamp_ms=self._wall_ms())
        return prefixed(signed)

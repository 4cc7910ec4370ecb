"""The connection target: bytes are read as a script of what a hostile peer and the world do to one `Connection`.

Each step is one byte and its arguments: raw bytes, framed bytes, plausible frames with and without a true signature,
time, a socket that drains, answers of the handler, repetitions. After each step the promises of `Connection` must hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etp.auth import NOBODY, AuthPolicy, sign_frame
from etp.connection import Connection, Received, Role
from etp.frame import FrameReader, decode_frame, encode_frame, prefixed
from etp.limits import PENDING_MS, Limits
from etp.messages import BODY_BYTES, FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from etp.testing import TestKey, make_connection
from etp.timing import HEARD_BY

if TYPE_CHECKING:
    from collections.abc import Callable

OWN_KEY: Final = TestKey(1)
PEER_KEY: Final = TestKey(2)
WALL_MS: Final = 1_790_000_000_000
_TIGHT: Final = Limits(frames_per_s=5, burst=10, reply_ids=8, outbox_frames=4, outbox_bytes=1_024, signers=2)
_PRICES: Final = (0.0, 10.0, 10.005, 50.01, 2_030.0, 1e308, 5e-324)
_ENERGIES: Final = (0.0, 0.1, 0.05, 1.0, 7.3, 1e308)
_IDS: Final = (0, 1, 2, 3, FIRST_BATTERY_ID - 1, FIRST_BATTERY_ID, (1 << 64) - 1)
_PAUSES_MS: Final = (1, 5, 100, 999, 1_001, 10_000, 60_001, 300_001)
_SKEWS_MS: Final = (0, 1, -1, 29_999, -30_001, 1 << 40)
_DECIDED: Final = {ReasonCode.MALFORMED, ReasonCode.DUPLICATE_ID, ReasonCode.NOT_TRUSTED, ReasonCode.BUSY}


class Script:
    """Bytes as a source of choices; an empty one chooses 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def byte(self) -> int:
        return (self.take(1) or b"\0")[0]

    def choose(self, options: tuple[float, ...]) -> float:
        return options[self.byte() % len(options)]


class Conversation:
    """One connection under attack, and what has been seen of it."""

    def __init__(self, script: Script) -> None:
        flags = script.byte()
        self.script = script
        self.role = Role.BATTERY if flags & 1 else Role.AGGREGATOR
        signed = bool(flags & 2)
        policy = AuthPolicy(peers="signed", signer=OWN_KEY) if signed else AuthPolicy(signer=OWN_KEY)
        limits = _TIGHT if flags & 4 else Limits()
        self.connection: Connection = make_connection(self.role, policy=policy, limits=limits)
        self.limits = limits
        self.now_ms = 0
        self.last = b""
        self.unanswered: list[Received] = []
        self.taken_ms: dict[tuple[str, int, int], int] = {}
        self.out = FrameReader()

    def step(self) -> None:
        steps: tuple[Callable[[], None], ...] = (
            self._raw,
            self._framed,
            self._plausible,
            self._signed,
            self._wait,
            self._drain,
            self._answer,
            self._repeat,
        )
        steps[self.script.byte() % len(steps)]()
        self._flush()

    def _raw(self) -> None:
        self._hear(self.script.take(self.script.byte()))

    def _framed(self) -> None:
        body = self.script.take(BODY_BYTES).ljust(BODY_BYTES, b"\0")
        self._hear(prefixed(body + self.script.take(self.script.byte())))

    def _plausible(self) -> None:
        self._hear(prefixed(encode_frame(self._body())))

    def _signed(self) -> None:
        skew_ms = int(self.script.choose(_SKEWS_MS))
        peer = (NOBODY, OWN_KEY.public_key, PEER_KEY.public_key)[self.script.byte() % 3]
        at_ms = WALL_MS + self.now_ms + skew_ms
        self._hear(prefixed(sign_frame(encode_frame(self._body()), signer=PEER_KEY, peer=peer, timestamp_ms=at_ms)))

    def _wait(self) -> None:
        self.now_ms += int(self.script.choose(_PAUSES_MS))
        self.connection.tick(self.now_ms)

    def _drain(self) -> None:
        self.connection.drained(self.now_ms)

    def _repeat(self) -> None:
        self._hear(self.last * (1 + self.script.byte() % 16))

    def _answer(self) -> None:
        """Answer what is unanswered the way a handler may: at once, late, or with another word later."""
        if not self.unanswered:
            return
        event = self.unanswered.pop(self.script.byte() % len(self.unanswered))
        bid_id = event.body.message_id
        price_e4, energy_wh = 100_000, 100
        answer = (
            Body.bid_reject(bid_id, 7, code=event.code or ReasonCode.OUTBID, beat_e4=price_e4),
            Body.bid_accept(bid_id, 7, price_e4=price_e4, energy_wh=energy_wh, power_w=-100),
            Body.terminate(bid_id, 7, code=ReasonCode.FAULT, delivered_wh=0),
            Body.bess_status(bid_id, 7),
        )[0 if event.code else self.script.byte() % 4]
        self.connection.send(answer, now_ms=self.now_ms, cause_ms=event.cause_ms, reason=event.reason)

    def _body(self) -> Body:
        script = self.script
        return Body(
            script.byte() % 10,
            int(script.choose(_IDS)),
            9,
            ttl=script.byte() % 3,
            bid_price=script.choose(_PRICES),
            sale_price=script.choose(_PRICES),
            required_energy_amount=script.choose(_ENERGIES),
        )

    def _hear(self, data: bytes) -> None:
        self.last = data[:2_048]
        was_closed = self.connection.close_reason is not None
        events = self.connection.receive(data, self.now_ms, self.now_ms)
        assert not (was_closed and events), "a closed connection hears nothing"
        for event in events:
            self._check(event)
        self.unanswered = (self.unanswered + events)[-32:]

    def _check(self, event: Received) -> None:
        kind = event.body.message_type
        assert kind in HEARD_BY[self.role]
        assert event.code == 0 or event.code in _DECIDED
        assert bool(event.code) == bool(event.reason)
        assert event.signer in (None, PEER_KEY.public_key)
        assert event.peer == self.connection.peer
        if self.role is Role.BATTERY and kind in {MessageType.BID, MessageType.BID_CONFIRM} and event.code == 0:
            key = event.peer, kind, event.body.message_id
            before_ms = self.taken_ms.get(key)
            if kind == MessageType.BID and before_ms is not None:
                assert self.now_ms - before_ms >= PENDING_MS, "a bid takes effect once"
            self.taken_ms[key] = self.now_ms

    def _flush(self) -> None:
        connection = self.connection
        for frame in self.out.feed(connection.data_to_send(self.now_ms)):
            decode_frame(frame)
        assert self.out.bad_length is None
        connection.take_sent()
        connection.take_late()
        memory = connection.memory
        for table in (memory.bids, memory.confirms):
            assert len(table.known) <= table.most + len(table.pinned)
        assert connection.waiting <= self.limits.outbox_frames + 1 or connection.close_reason is not None


def check_connection(data: bytes) -> None:
    """Whatever a peer sends and when: no exception, only codes a connection may decide, and bounded tables."""
    conversation = Conversation(Script(data[:4_096]))
    while conversation.script:
        conversation.step()

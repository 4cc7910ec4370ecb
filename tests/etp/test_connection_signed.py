"""Signed conversations: introduction, proof of every frame, trust, and replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etp.auth import NOBODY, AuthPolicy, sign_frame
from etp.connection import Connection, Received, Role
from etp.extensions import Contract, extensions
from etp.frame import FrameReader, decode_frame, encode_frame, encode_tcp, prefixed
from etp.limits import Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from etp.replies import PeerMemories
from etp.testing import CUTTERS, Cutter, Link, TestKey, make_connection

if TYPE_CHECKING:
    from collections.abc import Callable

BUYER, BATTERY, STRANGER = TestKey(1), TestKey(2), TestKey(3)
WALL_MS = 1_700_000_000_000
BID = Body.bid(5, 9, price_e4=100_000, energy_wh=1_000)
REGISTER = Body.register(1, 9)
REJECT = Body.bid_reject(5, 7, code=ReasonCode.OUTBID, beat_e4=101_000)


def seller(
    *,
    trusted: frozenset[bytes] | None = None,
    limits: Limits | None = None,
    memories: PeerMemories | None = None,
    signed: bool = True,
    conn_id: int = 1,
    wall_ms: Callable[[], int] = lambda: WALL_MS,
) -> Connection:
    policy = AuthPolicy(peers="signed" if signed else "open", trusted=trusted, signer=BATTERY)
    return make_connection(
        Role.BATTERY, policy=policy, limits=limits, memories=memories, conn_id=conn_id, wall_ms=wall_ms
    )


def buyer(key: TestKey = BUYER) -> Connection:
    return make_connection(Role.AGGREGATOR, policy=AuthPolicy(peers="signed", signer=key))


def signed(
    body: Body, *, key: TestKey = BUYER, peer: bytes = BATTERY.public_key, at_ms: int = WALL_MS, reason: str = ""
) -> bytes:
    frame = encode_frame(body, extensions(reason=reason))
    return prefixed(sign_frame(frame, signer=key, peer=peer, timestamp_ms=at_ms))


def hear(connection: Connection, *frames: bytes) -> list[Received]:
    return [event for frame in frames for event in connection.receive(frame, 0, 0)]


def codes(events: list[Received]) -> list[tuple[int, int]]:
    return [(event.body.message_type, event.code) for event in events]


def said(connection: Connection) -> list[Body]:
    frames = FrameReader().feed(connection.data_to_send(0))
    connection.drained(0)
    return [decode_frame(frame)[0] for frame in frames]


@pytest.mark.parametrize("cut", CUTTERS.values(), ids=CUTTERS)
def test_both_introduce_themselves_and_every_frame_is_proved(cut: Cutter) -> None:
    def refuse(end: Connection, events: list[Received]) -> None:
        for event in events:
            if event.body.message_type == MessageType.BID:
                end.refuse(event.body.message_id, code=4, beat_e4=101_000, now_ms=0, cause_ms=0)

    link = Link(seller(), buyer(), cut=cut, on_battery=refuse)
    link.say(link.aggregator, Body.query(4, 9), BID)
    key = f"key:{BUYER.public_key.hex()}"
    assert codes(link.heard_by_battery) == [(0, 0), (1, 0), (3, 0)]
    assert [event.peer for event in link.heard_by_battery] == [key] * 3
    assert [event.signer for event in link.heard_by_battery] == [BUYER.public_key, None, BUYER.public_key]
    assert codes(link.heard_by_aggregator) == [(0, 0), (6, 0)]
    assert link.heard_by_aggregator[1].signer == link.aggregator.signer == BATTERY.public_key
    assert link.battery.registered
    assert link.aggregator.registered


def test_the_introduction_is_for_nobody_and_nothing_overtakes_it() -> None:
    link = Link(seller(), buyer())
    link.aggregator.send(BID, now_ms=0)
    first = link.aggregator.data_to_send(0)
    body, found = decode_frame(first[4:])
    assert body.message_type == MessageType.REGISTER
    assert found.auth is not None
    assert found.auth.peer == NOBODY
    assert link.aggregator.waiting == 1


def test_terms_sent_by_the_handler_are_the_introduction() -> None:
    terms = Contract(generation=5)

    def offer(end: Connection, events: list[Received]) -> None:
        if events[0].body.message_type == MessageType.REGISTER:
            end.send(Body.register(FIRST_BATTERY_ID + 7, 7), now_ms=0, contract=terms)

    link = Link(seller(), buyer(), on_battery=offer)
    link.run()
    (event,) = link.heard_by_aggregator
    assert (event.body.message_id, event.extensions.contract) == (FIRST_BATTERY_ID + 7, terms)


@pytest.mark.parametrize("kind", sorted(MessageType))
def test_unsigned_frames_at_a_signed_site(kind: MessageType) -> None:
    connection = seller()
    events = hear(connection, encode_tcp(BID._replace(message_type=kind)))
    if kind == MessageType.QUERY:
        assert codes(events) == [(1, 0)]
    elif kind in {MessageType.BID, MessageType.BID_CONFIRM}:
        assert codes(events) == [(kind, ReasonCode.NOT_TRUSTED)]
        assert connection.counts.bad == 0
    else:
        assert events == []
        assert connection.counts.bad == 1


def test_register_comes_first() -> None:
    connection = seller()
    assert codes(hear(connection, signed(BID))) == [(3, 6)]
    assert codes(hear(connection, signed(REGISTER, peer=NOBODY), signed(BID))) == [(0, 0), (3, 0)]
    assert codes(hear(connection, encode_tcp(BID._replace(message_id=6)))) == [(3, 6)]
    assert codes(hear(connection, signed(BID._replace(message_id=7), peer=NOBODY))) == [(3, 6)]
    assert codes(hear(connection, signed(BID._replace(message_id=7)))) == [(3, 0)]


def test_a_signed_question_before_the_introduction_binds_nobody() -> None:
    connection = seller()
    (event,) = hear(connection, signed(Body.query(4, 9)))
    assert (event.code, event.signer, connection.signer) == (0, None, None)


BROKEN = {
    "another key": signed(BID, key=STRANGER),
    "for another battery": signed(BID, peer=STRANGER.public_key),
    "too old": signed(BID, at_ms=WALL_MS - 30_001),
    "too new": signed(BID, at_ms=WALL_MS + 30_001),
    "tampered": signed(BID)[:13] + b"\x01" + signed(BID)[14:],
}


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN)
def test_forged_bids_get_code_6_count_as_bad_and_take_no_id(frame: bytes) -> None:
    connection = seller()
    hear(connection, signed(REGISTER, peer=NOBODY))
    (event,) = hear(connection, frame)
    assert (event.code, event.signer, connection.counts.bad) == (6, None, 1)
    connection.refuse(event.body.message_id, code=6, beat_e4=0, now_ms=0, cause_ms=0)
    assert codes(hear(connection, signed(BID))) == [(3, 0)]


def test_ten_forgeries_close_the_connection() -> None:
    connection = seller()
    events = hear(connection, *[BROKEN["tampered"]] * 3, signed(REGISTER, peer=NOBODY), *[BROKEN["tampered"]] * 20)
    assert connection.close_reason == "10 bad frames in a minute"
    assert connection.counts.bad == 10
    assert len(events) == 3 + 1 + 10


def test_a_key_that_is_not_trusted() -> None:
    connection = seller(trusted=frozenset({STRANGER.public_key}))
    assert hear(connection, signed(REGISTER, peer=NOBODY)) == []
    assert codes(hear(connection, signed(BID))) == [(3, 6)]
    assert codes(hear(connection, signed(REGISTER, peer=NOBODY, key=STRANGER))) == [(0, 0)]
    assert connection.signer == STRANGER.public_key


def test_the_codes_have_an_order() -> None:
    """9 before 13 before 6."""
    connection = seller()
    hear(connection, signed(REGISTER, peer=NOBODY), signed(BID))
    off_grid, taken = BID._replace(bid_price=10.001), BID._replace(bid_price=11.0)
    assert codes(hear(connection, encode_tcp(off_grid._replace(required_energy_amount=0.0)))) == [(3, 9)]
    assert codes(hear(connection, signed(off_grid))) == [(3, 9)]
    assert codes(hear(connection, encode_tcp(taken))) == [(3, 13)]
    assert codes(hear(connection, signed(taken))) == [(3, 13)]
    assert codes(hear(connection, encode_tcp(taken._replace(message_id=6)))) == [(3, 6)]


def test_a_resend_is_signed_afresh_and_gets_the_same_answer_signed_afresh() -> None:
    clock = [WALL_MS]
    connection = seller(wall_ms=lambda: clock[0])
    hear(connection, signed(REGISTER, peer=NOBODY), signed(BID))
    connection.send(REJECT, now_ms=0)
    said(connection)
    clock[0] += 5_000
    assert hear(connection, signed(BID, at_ms=WALL_MS + 4_000)) == []
    body, found = decode_frame(connection.data_to_send(0)[4:])
    assert body == REJECT
    assert found.auth is not None
    assert found.auth.timestamp_ms == WALL_MS + 5_000


def test_a_replayed_bid_gets_the_same_answer_on_any_connection() -> None:
    memories = PeerMemories(Limits())
    first, second = seller(memories=memories), seller(memories=memories, conn_id=2)
    hear(first, signed(REGISTER, peer=NOBODY), signed(BID))
    first.send(REJECT, now_ms=0)
    assert codes(hear(second, signed(REGISTER._replace(message_id=2), peer=NOBODY))) == [(0, 0)]
    assert hear(second, signed(BID)) == []
    assert said(second)[-1] == REJECT


def test_a_replayed_bid_whose_id_is_forgotten_has_no_second_effect() -> None:
    connection = seller(limits=Limits(reply_ids=16, frames_per_s=0, burst=0))
    hear(connection, signed(REGISTER, peer=NOBODY))
    frames = [signed(BID._replace(message_id=number), at_ms=WALL_MS + number) for number in range(100)]
    for number, frame in enumerate(frames):
        assert codes(hear(connection, frame)) == [(3, 0)]
        connection.refuse(number, code=4, beat_e4=0, now_ms=0, cause_ms=0)
        said(connection)
    replayed = hear(connection, *frames)
    assert set(codes(replayed)) == {(3, 6)}
    assert len(replayed) >= 100 - 17


def test_a_replayed_terminate_is_dropped_and_a_new_one_heard() -> None:
    connection = seller()
    stop = Body.terminate(5, 9, code=0, delivered_wh=0)
    hear(connection, signed(REGISTER, peer=NOBODY))
    assert codes(hear(connection, signed(stop), signed(stop), signed(stop, at_ms=WALL_MS + 1))) == [(7, 0), (7, 0)]


def test_too_many_signers_at_once_are_asked_to_come_later() -> None:
    memories = PeerMemories(Limits(signers=1))
    hear(seller(memories=memories), signed(REGISTER, peer=NOBODY))
    second = seller(memories=memories, conn_id=2)
    assert hear(second, signed(REGISTER, peer=NOBODY, key=STRANGER)) == []
    assert codes(hear(second, signed(BID, key=STRANGER))) == [(3, ReasonCode.BUSY)]


def test_above_the_rate_no_signature_is_looked_at() -> None:
    connection = seller(limits=Limits(frames_per_s=1, burst=2))
    hear(connection, signed(REGISTER, peer=NOBODY), signed(BID))
    (event,) = hear(connection, signed(BID._replace(message_id=6)))
    assert (event.code, event.signer) == (ReasonCode.BUSY, None)
    assert codes(hear(connection, signed(BID._replace(bid_price=11.0)))) == [(3, 13)]
    assert hear(connection, signed(BID)) == []
    connection.send(REJECT, now_ms=0)
    said(connection)
    assert hear(connection, signed(BID)) == []
    assert said(connection) == []


def test_open_sites_take_unsigned_peers_and_bind_signed_ones() -> None:
    unsigned = seller(signed=False)
    assert codes(hear(unsigned, encode_tcp(BID))) == [(3, 0)]
    assert codes(hear(unsigned, signed(BID._replace(message_id=6)))) == [(3, 6)]
    assert unsigned.peer == "conn:1"

    connection = seller(signed=False)
    (event,) = hear(connection, signed(BID))
    assert (event.code, event.signer) == (0, BUYER.public_key)
    assert connection.peer == event.peer == f"key:{BUYER.public_key.hex()}"
    assert codes(hear(connection, encode_tcp(BID._replace(message_id=6)))) == [(3, 6)]
    assert codes(hear(connection, encode_tcp(Body.query(7, 9)))) == [(1, 0)]
    connection.send(REJECT, now_ms=0)
    assert [body.message_type for body in said(connection)] == [0, 6]


def test_an_open_site_without_a_key_verifies_but_cannot_sign() -> None:
    connection = make_connection(Role.BATTERY)
    assert codes(hear(connection, signed(BID, peer=NOBODY))) == [(3, 0)]
    connection.send(REJECT, now_ms=0)
    assert connection.data_to_send(0) == encode_tcp(REJECT)


def test_a_second_register_is_for_the_peer() -> None:
    link = Link(seller(), buyer())
    link.run()
    link.say(link.battery, Body.register(FIRST_BATTERY_ID + 7, 7))
    assert codes(link.heard_by_aggregator) == [(0, 0), (0, 0)]
    assert link.aggregator.counts.bad == 0


def test_a_late_accept_stays_here_and_its_refusal_is_signed() -> None:
    connection = seller()
    hear(connection, signed(REGISTER, peer=NOBODY), signed(BID))
    said(connection)
    connection.send(Body.bid_accept(5, 7, price_e4=1, energy_wh=100, power_w=-1), now_ms=0, cause_ms=-501)
    assert connection.data_to_send(0) == b""
    connection.send(Body.bid_reject(5, 7, code=ReasonCode.TOO_LATE, beat_e4=2), now_ms=0)
    body, found = decode_frame(connection.data_to_send(0)[4:])
    assert (body.message_type, body.termination_code) == (6, 5)
    assert found.auth is not None

"""What a hostile or broken peer may send: each gets its code or a closed connection, and memory stays bounded."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.auth import AuthPolicy
from etp.connection import Connection, Received, Role
from etp.extensions import encode_item, extensions
from etp.frame import encode_frame, encode_tcp, prefixed
from etp.limits import Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from etp.testing import TestKey, byte_by_byte, make_connection

BID = Body.bid(5, 9, price_e4=100_000, energy_wh=1_000)
KEY = TestKey(2)


def battery(limits: Limits | None = None) -> Connection:
    return make_connection(Role.BATTERY, limits=limits)


def bids(count: int) -> list[bytes]:
    return [encode_tcp(BID._replace(message_id=number)) for number in range(count)]


def answer(connection: Connection, events: list[Received]) -> None:
    for event in events:
        if event.body.message_type in {MessageType.BID, MessageType.BID_CONFIRM}:
            code = event.code or ReasonCode.OUTBID
            connection.refuse(event.body.message_id, code=code, beat_e4=0, now_ms=0, cause_ms=event.cause_ms)


def raw(kind: int, message_id: int = 5, price: float = 10.0) -> bytes:
    return struct.pack("<BQQBdddddBdBdd", kind, message_id, 9, 5, price, 0, 0, 0, 1.0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("kind", [MessageType.BID, MessageType.BID_CONFIRM])
def test_an_undecodable_bid_or_confirm_is_answered(kind: MessageType, price: float) -> None:
    connection = battery()
    (event,) = connection.receive(prefixed(raw(kind, price=price)), 0, 0)
    assert (event.code, event.body) == (ReasonCode.MALFORMED, Body(kind, 5, 0))
    assert event.reason
    assert connection.counts.bad == 1


@pytest.mark.parametrize(
    "data", [raw(10), raw(255), raw(1, price=-1.0), encode_frame(BID._replace(message_type=1)) + b"?"]
)
def test_other_undecodable_frames_are_dropped_and_counted(data: bytes) -> None:
    connection = battery()
    assert connection.receive(prefixed(data), 0, 0) == []
    assert connection.counts.bad == 1


def test_a_bid_with_broken_extensions_is_malformed() -> None:
    connection = battery()
    (event,) = connection.receive(prefixed(encode_frame(BID) + b"\x03\xff\xff"), 0, 0)
    assert event.code == ReasonCode.MALFORMED


def test_a_buyer_that_gets_nonsense_says_nothing() -> None:
    connection = make_connection(Role.AGGREGATOR)
    assert connection.receive(prefixed(raw(MessageType.BID, price=-1.0)), 0, 0) == []
    assert connection.counts.bad == 1


@pytest.mark.parametrize(
    "change", [{"required_energy_amount": 0.0}, {"message_id": FIRST_BATTERY_ID}, {"bid_price": 1e300}]
)
def test_a_bid_that_no_auction_can_take(change: dict[str, float]) -> None:
    connection = battery()
    (event,) = connection.receive(encode_tcp(Body(**{**BID._asdict(), **change})), 0, 0)
    assert event.code == ReasonCode.MALFORMED
    assert connection.counts.bad == 0


def test_unsigned_bids_are_cut_to_the_grid() -> None:
    (event,) = battery().receive(encode_tcp(BID._replace(bid_price=10.019, required_energy_amount=1.09)), 0, 0)
    assert (event.code, event.body.bid_price, event.body.required_energy_amount) == (0, 10.01, 1.0)


def test_expired_frames_are_dropped_and_counted() -> None:
    connection = battery()
    assert connection.receive(encode_tcp(BID._replace(ttl=0)), 0, 0) == []
    assert (connection.counts.expired, connection.counts.bad) == (1, 0)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", MessageType)
def test_frames_that_go_the_wrong_way_are_bad(role: Role, kind: MessageType) -> None:
    connection = make_connection(role)
    events = connection.receive(encode_tcp(BID._replace(message_type=kind)), 0, 0)
    to_battery = {
        MessageType.REGISTER,
        MessageType.QUERY,
        MessageType.BID,
        MessageType.BID_CONFIRM,
        MessageType.TERMINATE,
    }
    to_aggregator = set(MessageType) - to_battery | {MessageType.REGISTER, MessageType.TERMINATE}
    expected = kind in (to_battery if role is Role.BATTERY else to_aggregator)
    assert bool(events) == expected
    assert connection.counts.bad == (not expected)


@pytest.mark.parametrize("length", [0, 83, 1025, (1 << 32) - 1])
def test_a_bad_length_closes_after_what_came_before(length: int) -> None:
    connection = battery()
    events = connection.receive(encode_tcp(BID) + length.to_bytes(4, "little"), 0, 0)
    assert [event.code for event in events] == [0]
    assert connection.close_reason == f"frame length {length} is outside 84..1024"
    answer(connection, events)
    assert connection.data_to_send(0)
    assert connection.receive(encode_tcp(BID._replace(message_id=6)), 0, 0) == []


def test_ten_bad_frames_close_and_the_tenth_is_still_answered() -> None:
    connection = battery()
    events = connection.receive(prefixed(raw(MessageType.BID, price=-1.0)) * 30, 0, 0)
    assert len(events) == 10
    assert connection.close_reason == "10 bad frames in a minute"
    answer(connection, events)
    assert len(connection.data_to_send(0)) == 10 * 88


def test_half_a_frame_and_then_silence() -> None:
    connection = battery()
    connection.receive(encode_tcp(BID), 0, 0)
    connection.receive(encode_tcp(BID)[:50], 5_000, 5_000)
    connection.receive(encode_tcp(BID)[50:60], 14_000, 14_000)
    connection.tick(14_999)
    assert connection.close_reason is None
    connection.tick(15_000)
    assert connection.close_reason == "half a frame for 10000 ms"


def test_a_half_frame_after_a_whole_one() -> None:
    connection = battery()
    connection.receive(encode_tcp(BID) + b"\x54", 5_000, 5_000)
    connection.tick(15_000)
    assert connection.close_reason == "half a frame for 10000 ms"


def test_ten_thousand_frames_at_once() -> None:
    """A burst is taken, as much again is refused, and then it is enough: the other peers wait for nobody's flood."""
    connection = battery()
    tracemalloc.start()
    events = connection.receive(b"".join(bids(10_000)), 0, 0)
    answer(connection, events)
    data = connection.data_to_send(0)
    connection.drained(0)
    del events
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) == 800 * 88
    assert data.count(struct.pack("<dB", 0.0, ReasonCode.OUTBID)) == 400
    assert connection.counts.over_rate == 400
    assert held < 3_000_000
    assert connection.close_reason == "more than twice 200 frames/s"


def test_a_peer_somewhat_above_the_rate_is_refused_for_ever_and_not_closed() -> None:
    connection = battery(Limits(frames_per_s=100, burst=100))
    for now_ms in range(0, 60_000, 6):
        connection.receive(encode_tcp(BID._replace(message_id=now_ms)), now_ms, now_ms)
    assert connection.close_reason is None
    assert connection.counts.over_rate > 3_000


def test_expired_frames_count_towards_the_rate() -> None:
    connection = battery()
    connection.receive(encode_tcp(BID._replace(ttl=0)) * 2_000, 0, 0)
    assert connection.close_reason == "more than twice 200 frames/s"


def test_memory_stays_bounded_over_a_million_ids() -> None:
    connection = battery(Limits(frames_per_s=0, burst=0))
    for start in range(0, 20_000, 100):
        data = b"".join(encode_tcp(BID._replace(message_id=start + number)) for number in range(100))
        answer(connection, connection.receive(data, start, start))
        connection.data_to_send(start)
        connection.drained(start)
    assert len(connection.memory.bids.known) <= 1_024 + 64


def test_bids_that_nobody_answers_do_not_pile_up() -> None:
    connection = battery(Limits(frames_per_s=0, burst=0))
    events = connection.receive(b"".join(bids(5_000)), 0, 0)
    assert {event.code for event in events} == {0, ReasonCode.BUSY}
    assert sum(event.code == 0 for event in events) <= 1_024 + 256


def test_above_the_rate() -> None:
    connection = battery(Limits(frames_per_s=1, burst=5))
    connection.receive(encode_tcp(BID) * 5, 0, 0)
    others = (Body.query(1, 9), Body.register(2, 9), Body.bid_confirm(3, 9, price_e4=1, energy_wh=1), BID)
    events = [event for body in others for event in connection.receive(encode_tcp(body), 0, 0)]
    assert [(event.body.message_type, event.code) for event in events] == [(1, 7), (5, 7)]
    connection.refuse(5, code=4, beat_e4=0, now_ms=0, cause_ms=0)
    connection.data_to_send(0)
    connection.drained(0)
    assert connection.receive(encode_tcp(BID), 0, 0) == []
    assert connection.data_to_send(0)


def test_a_battery_may_flood_its_buyer() -> None:
    connection = make_connection(Role.AGGREGATOR)
    reject = encode_tcp(Body.bid_reject(1, 7, code=4, beat_e4=0))
    assert len(connection.receive(reject * 2_000, 0, 0)) == 2_000


def test_decisions_that_nobody_speaks_do_not_pile_up() -> None:
    connection = battery(Limits(bad_frames_per_min=0))
    for number in range(6_000):
        connection.receive(prefixed(raw(MessageType.BID, message_id=number, price=-1.0)), 0, 0)
    answered = battery()
    events = answered.receive(encode_tcp(BID._replace(required_energy_amount=0.0)) * 2, 0, 0)
    answer(answered, events)
    answer(answered, answered.receive(encode_tcp(BID), 0, 0))
    answered.data_to_send(0)
    answered.drained(0)
    assert answered.receive(encode_tcp(BID), 0, 0) == []
    assert answered.data_to_send(0)


ODD = st.one_of(
    st.binary(max_size=150),
    st.binary(min_size=84, max_size=120).map(prefixed),
    st.builds(
        lambda kind, number, price, energy, ttl: prefixed(
            struct.pack("<BQQBdddddBdBdd", kind, number, 9, ttl, price, 0, 0, 0, energy, 0, 0, 0, 0, 0)
        ),
        st.integers(0, 11),
        st.integers(0, 8) | st.just(FIRST_BATTERY_ID),
        st.sampled_from([0.0, 10.0, 10.01, 10.005, 1e308, -1.0, float("nan")]),
        st.sampled_from([0.0, 0.1, 1.0, 1.05, 1e308]),
        st.integers(0, 1),
    ),
    st.builds(
        lambda tag, text: prefixed(encode_frame(BID) + encode_item(tag, text)),
        st.integers(0, 9),
        st.binary(max_size=140),
    ),
    st.text(max_size=130).map(lambda text: encode_tcp(BID, extensions(reason=text.encode(errors="replace").decode()))),
)


@settings(max_examples=60)
@given(st.lists(ODD, max_size=25), st.sampled_from(Role), st.booleans())
def test_garbage_never_raises(reads: list[bytes], role: Role, signed: bool) -> None:
    policy = AuthPolicy(peers="signed", signer=KEY) if signed else AuthPolicy()
    connection = make_connection(role, policy=policy)
    for now_ms, data in enumerate(reads):
        events = connection.receive(data, now_ms, now_ms)
        for event in events:
            assert event.code in {0, 6, 7, 9, 13}
            assert bool(event.code) == bool(event.reason)
        answer(connection, events)
        connection.data_to_send(now_ms)
        connection.drained(now_ms)


@settings(max_examples=60)
@given(st.lists(ODD, max_size=20))
def test_the_fast_lane_and_any_cut_give_the_same_result(reads: list[bytes]) -> None:
    """Whole frames in one read take the fast lane, single bytes never do."""
    whole, cut = battery(), battery()
    for now_ms, data in enumerate(reads):
        one = whole.receive(data, now_ms, now_ms)
        other = [event for piece in byte_by_byte(data) for event in cut.receive(piece, now_ms, now_ms)]
        assert one == other
        answer(whole, one)
        answer(cut, other)
        assert whole.data_to_send(now_ms) == cut.data_to_send(now_ms)
        whole.drained(now_ms)
        cut.drained(now_ms)
        assert whole.close_reason == cut.close_reason
        assert whole.memory.bids.known == cut.memory.bids.known

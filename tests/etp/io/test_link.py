"""A link on a fake transport: what leaves when, in which order, and what ends it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from etp.connection import Received, Role
from etp.frame import decode_frame, encode_tcp
from etp.io.link import CLOSING_S, Link
from etp.io.pollclock import PollClock
from etp.limits import ENDS_LOGGED_PER_MIN, Limits
from etp.messages import Body, MessageType
from tests.etp.io.fakes import DEVICE, FakeLoop, FakeTransport, Notes, Owner, Refuser, Stage, bid, maker


def frames_in(data: bytes) -> list[Body]:
    bodies = []
    while data:
        size = int.from_bytes(data[:4], "little")
        bodies.append(decode_frame(data[4 : 4 + size])[0])
        data = data[4 + size :]
    return bodies


def kinds_in(data: bytes) -> list[int]:
    return [body.message_type for body in frames_in(data)]


def accept(message_id: int) -> Body:
    return Body.bid_accept(message_id, DEVICE, price_e4=200_000, energy_wh=1_000, power_w=-1_000)


def push(message_id: int) -> Body:
    return Body.query_response((1 << 63) + message_id, DEVICE, beat_e4=100_000)


def test_all_frames_of_a_read_are_answered_in_one_write() -> None:
    stage = Stage(Refuser())
    assert stage.transport.high == 0
    stage.link.data_received(b"".join(encode_tcp(bid(number)) for number in range(20)))
    assert stage.handler.reads == [20]
    (data,) = stage.transport.writes
    assert [body.message_id for body in frames_in(data)] == list(range(20))


def test_what_is_sent_outside_a_read_leaves_at_once_or_when_flushed() -> None:
    stage = Stage(Notes())
    stage.link.send(push(1))
    assert len(stage.transport.writes) == 1
    stage.link.send(push(2), hold=True)
    stage.link.send(push(3), hold=True)
    assert len(stage.transport.writes) == 1
    stage.link.flush()
    assert [len(frames_in(data)) for data in stage.transport.writes] == [1, 2]


def test_waiting_frames_leave_by_priority_when_the_peer_reads_again() -> None:
    stage = Stage(Notes())
    stage.transport.stuck = True
    stage.link.send(push(1))
    stage.link.send(push(2))
    stage.link.send(Body.device_failure((1 << 63) + 9, DEVICE))
    assert len(stage.transport.writes) == 1
    assert stage.link.connection.latency[MessageType.QUERY_RESPONSE].count == 0
    stage.loop.now_s = 0.03
    stage.transport.unstick()
    assert kinds_in(stage.transport.writes[1]) == [MessageType.DEVICE_FAILURE, MessageType.QUERY_RESPONSE]
    latency = stage.link.connection.latency[MessageType.QUERY_RESPONSE]
    assert latency.count == 2
    assert latency.percentile(1.0) >= 30  # it ended when the buffer was empty


def test_accept_is_reported_when_handed_over() -> None:
    notes = Notes(lambda link, frame: link.send(accept(frame.body.message_id), cause_ms=frame.cause_ms))
    stage = Stage(notes)
    stage.loop.now_s = 1.0
    stage.link.data_received(encode_tcp(bid(5)))
    assert [(body.message_id, at_ms) for body, at_ms in notes.sent] == [(5, 1000)]
    assert notes.late == []


class Seller(Notes):
    """Accepts every bid, and refuses those whose Accept could not leave in time."""

    def __init__(self) -> None:
        super().__init__(lambda link, frame: link.send(accept(frame.body.message_id), cause_ms=frame.cause_ms))

    def accept_late(self, link: Link, body: Body) -> None:
        super().accept_late(link, body)
        link.send(Body.bid_reject(body.message_id, DEVICE, code=5, beat_e4=270_000))


@pytest.mark.parametrize("pushes", [0, 1])
def test_accept_that_waited_too_long_is_reported_late_and_its_handler_refuses(pushes: int) -> None:
    notes = Seller()
    stage = Stage(notes)
    stage.transport.stuck = True
    stage.link.send(push(1))
    stage.link.data_received(encode_tcp(bid(5)))
    for number in range(pushes):
        stage.link.send(push(2 + number))
    stage.loop.now_s = 0.6
    stage.transport.unstick()
    *others, body = frames_in(b"".join(stage.transport.writes[1:]))
    assert [other.message_type for other in others] == [MessageType.QUERY_RESPONSE] * pushes
    assert (body.message_type, body.termination_code, body.sale_price_e4) == (MessageType.BID_REJECT, 5, 270_000)
    assert [late.message_id for late in notes.late] == [5]
    assert notes.sent == []


def test_reader_that_never_reads_is_closed_with_a_reason() -> None:
    stage = Stage(Notes(), limits=Limits(outbox_frames=8))
    stage.transport.stuck = True
    for number in range(30):
        stage.link.send(Body.terminate(number, DEVICE, code=0, delivered_wh=0))
    assert stage.transport.ended == "closed"
    assert not stage.link.is_open
    stage.pass_ms(int(CLOSING_S * 1_000) + 10)
    assert stage.transport.ended == "aborted"
    assert len(stage.handler.closed) == 1
    assert "does not read" in stage.handler.closed[0]
    assert stage.owner.gone_for == stage.handler.closed


def test_last_words_leave_before_the_end() -> None:
    stage = Stage(Notes())
    stage.link.send(push(1), hold=True)
    stage.link.close("enough")
    stage.link.close("again")
    stage.link.send(push(2))
    assert [len(frames_in(data)) for data in stage.transport.writes] == [1]
    assert stage.transport.ended == "closed"
    assert stage.handler.closed == ["enough"]


def test_last_words_leave_when_the_peer_reads_before_the_deadline() -> None:
    stage = Stage(Notes())
    stage.transport.stuck = True
    stage.link.send(push(1))
    stage.link.send(push(2))
    stage.link.close("enough")
    stage.transport.unstick()
    assert len(stage.transport.writes) == 2


@pytest.mark.parametrize(
    ("limits", "before", "reason"),
    [
        (Limits(half_frame_ms=400), encode_tcp(bid(1))[:50], "half a frame"),
        (Limits(idle_ms=400), b"", "silent"),
        (Limits(idle_ms=400), encode_tcp(bid(1)), "silent"),
    ],
    ids=["in mid-frame", "from the start", "after a bid"],
)
def test_silent_peer_is_closed(limits: Limits, before: bytes, reason: str) -> None:
    stage = Stage(Notes(), limits=limits)
    stage.link.data_received(before)
    stage.pass_ms(390)
    assert stage.handler.closed == []
    stage.pass_ms(120)
    assert reason in stage.handler.closed[0]


def test_peer_that_stops_reading_is_closed() -> None:
    stage = Stage(Notes(), limits=Limits(stalled_ms=400))
    stage.transport.stuck = True
    stage.link.send(push(1))
    stage.pass_ms(510)
    assert stage.transport.ended == "closed"
    stage.pass_ms(1_010)
    assert "has not read" in stage.handler.closed[0]


def test_registered_peer_may_be_silent() -> None:
    stage = Stage(Notes(), limits=Limits(idle_ms=400, half_frame_ms=0, stalled_ms=0))
    stage.link.data_received(encode_tcp(Body.register(1, 9)))
    stage.pass_ms(2_000)
    assert stage.link.is_open
    assert stage.link.registered


def test_without_limits_nothing_is_watched() -> None:
    stage = Stage(Notes(), limits=Limits(idle_ms=0, half_frame_ms=0, stalled_ms=0))
    stage.pass_ms(11_000)
    assert stage.link.is_open
    assert stage.loop.timers == []


def test_bad_length_closes_after_the_answers_to_what_came_before() -> None:
    stage = Stage(Refuser())
    with capture_logs() as logs:
        stage.link.data_received(encode_tcp(bid(1)) + b"\xff" * 8)
    assert kinds_in(stage.transport.writes[0]) == [MessageType.BID_REJECT]
    assert "length" in stage.handler.closed[0]
    (line,) = [line for line in logs if line["event"] == "link_closed"]
    assert line["reason"] == stage.handler.closed[0]
    stage.link.connection_lost(None)
    assert len(stage.handler.closed) == 1  # once


def test_aggregator_speaks_on_its_own() -> None:
    stage = Stage(Notes(), role=Role.AGGREGATOR)
    stage.link.send(bid(1))
    assert kinds_in(stage.transport.writes[0]) == [MessageType.BID]
    assert stage.link.peer == "conn:1"
    assert stage.link.signer is None


def test_link_that_is_not_admitted_is_aborted_and_unknown_to_the_handler() -> None:
    notes, loop = Notes(), FakeLoop()
    clock = PollClock(loop.face)
    link = Link(handler=notes, maker=maker(), clock=clock, owner=Owner(admits=False))
    transport = FakeTransport(link)
    link.connection_made(transport)
    assert transport.ended == "aborted"
    assert (notes.links, notes.closed, loop.timers) == ([], [], [])


def test_handler_that_fails_at_the_start_ends_the_link() -> None:
    class Failing(Notes):
        def link_opened(self, link: Link) -> None:
            raise LookupError("no such table")

    loop = FakeLoop()
    owner = Owner()
    link = Link(handler=Failing(), maker=maker(), clock=PollClock(loop.face), owner=owner)
    transport = FakeTransport(link)
    with pytest.raises(LookupError):
        link.connection_made(transport)
    assert transport.ended == "aborted"
    assert owner.gone_for == ["its handler failed"]
    assert loop.timers == []


def test_handler_that_fails_in_a_read_does_not_stay_corked() -> None:
    def fail(link: Link, frame: Received) -> None:
        raise LookupError

    stage = Stage(Notes(fail))
    with pytest.raises(LookupError):
        stage.link.data_received(encode_tcp(bid(1)))
    stage.link.send(push(1))
    assert len(stage.transport.writes) == 1


@pytest.mark.parametrize("role", Role)
def test_strangers_that_come_and_go_do_not_fill_the_log_nor_hide_who_traded(role: Role) -> None:
    makes = maker(role)
    strangers = [Stage(Notes(), made_by=makes) for _ in range(ENDS_LOGGED_PER_MIN + 5)]
    trader = Stage(Notes(), made_by=makes)
    if role is Role.BATTERY:
        trader.link.send(accept(5))
    with capture_logs() as logs:
        for stage in strangers:
            stage.link.abort("half a frame")
            stage.link.connection_lost(None)
        trader.link.connection_lost(None)
    held_back = 5 if role is Role.BATTERY else 0
    assert [line["log_level"] for line in logs].count("debug") == held_back
    assert (logs[-1]["log_level"], logs[-1]["peer"], logs[-1]["unsaid"]) == ("info", trader.link.peer, held_back)


@pytest.mark.parametrize(("role", "level"), [(Role.BATTERY, "debug"), (Role.AGGREGATOR, "info")])
def test_a_stranger_that_leaves_is_no_news_and_a_battery_that_leaves_is(role: Role, level: str) -> None:
    stage = Stage(Notes(), role=role)
    with capture_logs() as logs:
        stage.link.connection_lost(ConnectionResetError("reset"))
    assert [(line["event"], line["log_level"]) for line in logs] == [("link_closed", level)]

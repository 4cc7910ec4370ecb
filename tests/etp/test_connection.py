"""Open conversations: what the handler hears, what the peer gets, in which order, and how late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etp.connection import Connection, Received, Role
from etp.extensions import Receipt
from etp.frame import FrameReader, decode_frame, encode_tcp
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from etp.testing import CUTTERS, Cutter, Link, make_connection

if TYPE_CHECKING:
    from etp.limits import Limits

BID = Body.bid(5, 9, price_e4=100_000, energy_wh=1_000)
REJECT = Body.bid_reject(5, 7, code=ReasonCode.OUTBID, beat_e4=101_000)
ACCEPT = Body.bid_accept(5, 7, price_e4=100_000, energy_wh=1_000, power_w=-5_000)
CONFIRM = Body.bid_confirm(5, 9, price_e4=100_000, energy_wh=1_000)


def battery(limits: Limits | None = None) -> Connection:
    return make_connection(Role.BATTERY, limits=limits)


def hear(connection: Connection, *bodies: Body, now_ms: int = 0) -> list[Received]:
    return [event for body in bodies for event in connection.receive(encode_tcp(body), now_ms, now_ms)]


def said(connection: Connection, now_ms: int = 0) -> list[Body]:
    frames = FrameReader().feed(connection.data_to_send(now_ms))
    connection.drained(now_ms)
    return [decode_frame(frame)[0] for frame in frames]


def ticked(connection: Connection, now_ms: int) -> str | None:
    connection.tick(now_ms)
    return connection.close_reason


@pytest.mark.parametrize("cut", CUTTERS.values(), ids=CUTTERS)
def test_a_trade_over_every_kind_of_link(cut: Cutter) -> None:
    def sell(end: Connection, events: list[Received]) -> None:
        for event in events:
            if event.body.message_type == MessageType.BID:
                end.send(ACCEPT, now_ms=0, cause_ms=event.cause_ms)
            if event.body.message_type == MessageType.BID_CONFIRM:
                end.send(Body.bess_status(5, 7), now_ms=0, cause_ms=event.cause_ms)

    def buy(end: Connection, events: list[Received]) -> None:
        for event in events:
            if event.body.message_type == MessageType.BID_ACCEPT:
                end.send(CONFIRM, now_ms=0)

    link = Link(
        make_connection(Role.BATTERY),
        make_connection(Role.AGGREGATOR),
        cut=cut,
        on_battery=sell,
        on_aggregator=buy,
    )
    link.say(link.aggregator, Body.register(1, 9), BID)
    assert [event.body for event in link.heard_by_battery] == [BID, Body.register(1, 9), CONFIRM]
    assert [event.body for event in link.heard_by_aggregator] == [ACCEPT, Body.bess_status(5, 7)]
    assert all((event.code, event.peer, event.signer) == (0, "conn:1", None) for event in link.heard_by_battery)
    assert link.battery.registered
    assert link.battery.take_sent() == [(ACCEPT, 0)]
    assert link.battery.take_sent() == []


def test_bytes_that_are_late_arrive_late() -> None:
    link = Link(make_connection(Role.BATTERY), make_connection(Role.AGGREGATOR), delay_ms=50)
    link.say(link.aggregator, BID, now_ms=0)
    assert link.heard_by_battery == []
    link.run(50)
    assert [(event.body, event.cause_ms) for event in link.heard_by_battery] == [(BID, 50)]


def test_a_refusal_from_numbers_is_the_refusal_from_a_body() -> None:
    one, other = battery(), battery()
    for connection in (one, other):
        hear(connection, BID)
    one.refuse(5, code=4, beat_e4=101_000, now_ms=1, cause_ms=0)
    other.send(REJECT, now_ms=1, cause_ms=0)
    assert one.data_to_send(1) == other.data_to_send(1) == encode_tcp(REJECT)
    for connection in (one, other):
        connection.drained(1)
        assert hear(connection, BID) == []
        assert said(connection) == [REJECT]


def test_a_repeated_bid_gets_one_answer_and_then_the_same_again() -> None:
    connection = battery()
    assert len(hear(connection, BID, BID)) == 1
    connection.send(REJECT, now_ms=0)
    assert said(connection) == [REJECT]
    assert hear(connection, BID) == []
    assert said(connection) == [REJECT]
    assert (connection.counts.dropped, connection.counts.repeated) == (1, 1)


def test_a_repeated_accept_is_not_reported_as_a_new_one() -> None:
    connection = battery()
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=0)
    assert said(connection) == [ACCEPT]
    assert connection.take_sent() == [(ACCEPT, 0)]
    hear(connection, BID)
    assert said(connection) == [ACCEPT]
    assert connection.take_sent() == []


def test_the_same_id_with_other_bytes_changes_nothing_for_the_first() -> None:
    connection = battery()
    dearer = BID._replace(bid_price=11.0)
    first, second = hear(connection, BID, dearer)
    assert (first.code, second.code, second.body) == (0, ReasonCode.DUPLICATE_ID, dearer)
    connection.refuse(5, code=second.code, beat_e4=0, now_ms=0, cause_ms=0)
    connection.send(ACCEPT, now_ms=0)
    assert [body.message_type for body in said(connection)] == [MessageType.BID_ACCEPT, MessageType.BID_REJECT]
    hear(connection, BID)
    assert said(connection) == [ACCEPT]


def test_a_decided_refusal_sent_with_words_takes_no_id_either() -> None:
    connection = battery()
    (event,) = hear(connection, BID._replace(required_energy_amount=0.0))
    assert event.code == ReasonCode.MALFORMED
    connection.send(Body.bid_reject(5, 7, code=event.code, beat_e4=0), now_ms=0, reason=event.reason)
    assert [event.code for event in hear(connection, BID)] == [0]


def test_a_trades_id_stays_taken_until_it_ends() -> None:
    connection = battery()
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=0)
    said(connection)
    late = 3_600_000
    assert [event.code for event in hear(connection, BID._replace(bid_price=11.0), now_ms=late)] == [13]
    connection.send(Body.terminate(5, 7, code=0, delivered_wh=1_000), now_ms=0)
    assert [event.code for event in hear(connection, BID._replace(bid_price=11.0), now_ms=late)] == [0]


def test_a_wrong_confirm_may_be_corrected() -> None:
    connection = battery()
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=0)
    wrong = CONFIRM._replace(sale_price=9.0)
    assert [event.code for event in hear(connection, wrong)] == [0]
    connection.send(Body.bid_reject(5, 7, code=9, beat_e4=0), now_ms=0)
    assert [event.code for event in hear(connection, CONFIRM)] == [0]
    connection.send(Body.bess_status(5, 7), now_ms=0)
    said(connection)
    assert hear(connection, CONFIRM) == []
    assert said(connection) == [Body.bess_status(5, 7)]


def test_urgent_frames_overtake_and_nothing_leaves_twice() -> None:
    connection = battery()
    push, failure = Body.query_response(FIRST_BATTERY_ID, 7, beat_e4=5), Body.device_failure(FIRST_BATTERY_ID + 1, 7)
    connection.send(push, now_ms=0)
    connection.send(failure, now_ms=0)
    assert said(connection) == [failure, push]
    assert connection.data_to_send(0) == b""


def test_nothing_leaves_before_the_transport_is_empty() -> None:
    connection = battery()
    connection.send(REJECT, now_ms=0)
    assert connection.data_to_send(0)
    connection.send(REJECT, now_ms=0)
    assert connection.data_to_send(0) == b""
    assert connection.waiting == 1
    connection.drained(40)
    assert connection.data_to_send(40)
    connection.drained(45)
    histogram = connection.latency[MessageType.BID_REJECT]
    assert histogram.count == 2
    assert histogram.percentile(1.0) == 45


def test_an_accept_that_is_too_late_never_leaves_and_its_handler_says_what_beats_it() -> None:
    connection = battery()
    refusal = Body.bid_reject(5, 7, code=ReasonCode.TOO_LATE, beat_e4=105_000)
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=400, cause_ms=0)
    assert said(connection, 501) == []
    assert connection.take_late() == [ACCEPT]
    assert connection.take_late() == []
    assert connection.take_sent() == []
    assert 5 in connection.memory.bids.pinned
    connection.send(refusal, now_ms=501)
    assert 5 not in connection.memory.bids.pinned
    assert said(connection, 501) == [refusal]
    hear(connection, BID, now_ms=502)
    assert said(connection, 502) == [refusal]


def test_a_late_accept_holds_up_nothing_else() -> None:
    connection = battery()
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=400, cause_ms=0)
    connection.send(Body.bess_status(9, 7), now_ms=501)
    assert said(connection, 501) == [Body.bess_status(9, 7)]
    assert connection.take_late() == [ACCEPT]


def choked() -> Connection:
    """Return a battery whose Accept waits behind a push that the peer has not read."""
    connection = battery()
    hear(connection, BID)
    connection.send(Body.query_response(FIRST_BATTERY_ID, 7, beat_e4=5), now_ms=0)
    connection.data_to_send(0)
    connection.send(ACCEPT, now_ms=1)
    return connection


TAKEN_BACK = [REJECT, Body.terminate(5, 7, code=ReasonCode.FAULT, delivered_wh=0)]


@pytest.mark.parametrize("ending", TAKEN_BACK, ids=["reject", "terminate"])
def test_an_accept_that_is_taken_back_before_it_left_never_leaves(ending: Body) -> None:
    connection = choked()
    connection.send(ending, now_ms=2)
    connection.drained(3)
    assert said(connection, 3) == [ending]
    assert connection.take_sent() == []
    assert connection.take_late() == []


def test_a_plain_refusal_takes_an_accept_back_as_well() -> None:
    connection = choked()
    connection.refuse(5, ReasonCode.OUTBID, 101_000, 2, 0)
    connection.drained(3)
    assert said(connection, 3) == [REJECT]


@pytest.mark.parametrize("plainly", [False, True])
def test_an_accept_is_taken_back_although_its_owner_has_freed_the_id_before(plainly: bool) -> None:
    connection = choked()
    connection.memory.unpin(5)
    if plainly:
        connection.refuse(5, ReasonCode.OUTBID, 101_000, 2, 0)
    else:
        connection.send(REJECT, now_ms=2)
    connection.drained(3)
    assert said(connection, 3) == [REJECT]


def test_a_bid_repeated_while_its_accept_waits_gets_one_accept_or_none() -> None:
    connection = choked()
    hear(connection, BID, BID, now_ms=400)
    connection.drained(500)
    assert said(connection, 500) == [ACCEPT]
    connection = choked()
    hear(connection, BID, now_ms=400)
    connection.drained(502)
    assert said(connection, 502) == []
    assert connection.take_late() == [ACCEPT]


def test_an_accept_at_its_limit_leaves() -> None:
    connection = battery()
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=400, cause_ms=0)
    assert said(connection, 500) == [ACCEPT]
    assert connection.latency.late == 0


def test_a_repeated_accept_is_never_taken_back() -> None:
    connection = battery()
    hear(connection, BID)
    connection.send(ACCEPT, now_ms=0)
    connection.data_to_send(0)
    hear(connection, BID, now_ms=1)
    connection.drained(900)
    assert said(connection, 900) == [ACCEPT]
    assert connection.take_late() == []


def test_late_rejects_are_sent_and_counted_and_late_pushes_give_way() -> None:
    connection = battery()
    connection.send(REJECT, now_ms=0)
    for number in (1, 2):
        connection.send(Body.query_response(number, 7, beat_e4=5), now_ms=0)
    assert said(connection, 600) == [REJECT, Body.query_response(2, 7, beat_e4=5)]
    assert connection.latency[MessageType.BID_REJECT].late == 1
    assert connection.counts.superseded == 1


def test_a_slow_reader_is_closed_when_its_outbox_is_full() -> None:
    connection = battery()
    connection.send(REJECT, now_ms=0)
    connection.data_to_send(0)
    for _ in range(65):
        assert connection.close_reason is None
        connection.send(REJECT, now_ms=0)
    assert connection.close_reason == "the peer does not read: 65 frames, 5720 bytes wait"
    connection.send(REJECT, now_ms=0)
    assert connection.waiting == 65


def test_the_silent_are_found() -> None:
    connection = battery()
    assert ticked(connection, 299_999) is None
    assert ticked(connection, 300_000) == "silent for 300000 ms without having registered"
    assert ticked(connection, 900_000) == "silent for 300000 ms without having registered"
    assert connection.receive(encode_tcp(BID), 300_001, 300_001) == []


@pytest.mark.parametrize("trade", [False, True])
def test_listeners_and_buyers_may_be_silent(trade: bool) -> None:
    connection = battery()
    hear(connection, BID if trade else Body.register(1, 9))
    if trade:
        connection.memory.pin(5)
    connection.tick(1 << 40)
    assert connection.close_reason is None


def test_a_battery_owes_its_buyers_nothing_to_read() -> None:
    connection = make_connection(Role.AGGREGATOR)
    connection.tick(1 << 40)
    assert connection.close_reason is None


def test_a_peer_that_does_not_read_is_found() -> None:
    connection = battery()
    hear(connection, Body.register(1, 9), now_ms=0)
    connection.send(REJECT, now_ms=1_000)
    connection.data_to_send(1_000)
    assert ticked(connection, 10_999) is None
    assert ticked(connection, 11_000) == "the peer has not read for 10000 ms"


def test_a_buyer_answers_with_a_receipt_or_not_at_all() -> None:
    receipt = Receipt(0, 10, 1, 2, bytes(32))
    link = Link(make_connection(Role.BATTERY), make_connection(Role.AGGREGATOR))
    link.aggregator.send(Body.bess_status(5, 9), now_ms=0, receipt=receipt, reason="yes")
    link.aggregator.send(Body.bess_status(6, 9), now_ms=0)
    link.run()
    (event,) = link.heard_by_battery
    assert (event.extensions.receipt, event.extensions.reason) == (receipt, "yes")
    assert link.battery.counts.bad == 1

"""What a connection counts of the answers that it owed, and what connections count together."""

from __future__ import annotations

from etp.auth import AuthPolicy
from etp.connection import Connection, Role
from etp.frame import encode_tcp
from etp.io.maker import ConnectionMaker
from etp.limits import Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType
from etp.testing import make_connection
from etp.traffic import Traffic

REJECT = Body.bid_reject(5, 7, code=4, beat_e4=100_000)
ACCEPT = Body.bid_accept(6, 7, price_e4=120_000, energy_wh=500, power_w=-500)
PUSH = Body.query_response(FIRST_BATTERY_ID + 1, 7, beat_e4=5)
QUOTE = Body.query_response(8, 7, beat_e4=5)
STATUS = Body.bess_status(9, 7)


def blocked() -> Connection:
    """Return a battery's connection whose first bytes have not left."""
    connection = make_connection(Role.BATTERY)
    connection.send(Body.bess_status(1, 7), now_ms=0)
    assert connection.data_to_send(0)
    return connection


def test_answers_that_have_not_left_when_the_transport_is_gone_are_unanswered() -> None:
    connection = blocked()
    for body in (REJECT, ACCEPT, PUSH, QUOTE, STATUS):
        connection.send(body, now_ms=0)
    connection.lost()
    assert connection.counts.unanswered == 2  # the Bid and the Query: an Accept that did not leave becomes a Reject
    connection = blocked()
    connection.drained(1)
    connection.send(REJECT, now_ms=1)
    assert connection.data_to_send(1)
    connection.lost()
    assert connection.counts.unanswered == 1  # the transport had it, the kernel had not taken it


def test_answers_after_the_outbox_ran_over_are_unanswered() -> None:
    connection = blocked()
    while connection.close_reason is None:
        connection.send(REJECT, now_ms=0)
    for body in (REJECT, PUSH, QUOTE, STATUS):
        connection.send(body, now_ms=0)
    assert connection.counts.unanswered == 2


def test_answers_made_after_the_end_are_unanswered() -> None:
    for role, expected in ((Role.BATTERY, 3), (Role.AGGREGATOR, 0)):
        connection = make_connection(role)
        for body in (REJECT, ACCEPT, PUSH, QUOTE, STATUS):
            connection.missed(body)
        assert connection.counts.unanswered == expected


def test_a_quote_that_gave_way_to_a_newer_one_leaves_its_query_unanswered() -> None:
    connection = make_connection(Role.BATTERY)
    for number in (1, 2, 3):
        connection.send(Body.query_response(number, 7, beat_e4=5), now_ms=0)
    assert connection.data_to_send(600)
    assert (connection.counts.superseded, connection.counts.unanswered) == (2, 2)


def test_an_accept_that_was_too_late_to_leave_is_a_late_accept() -> None:
    connection = make_connection(Role.BATTERY)
    connection.send(ACCEPT, now_ms=400, cause_ms=0)
    assert connection.data_to_send(501) == b""
    connection.drained(501)
    assert connection.latency[MessageType.BID_ACCEPT].late == connection.latency[MessageType.BID_ACCEPT].count == 1


def test_what_a_flood_asks_after_its_last_refusal_is_unanswered() -> None:
    connection = make_connection(Role.BATTERY)
    asked = b"".join(encode_tcp(Body.bid(number, 9, price_e4=100_000, energy_wh=100)) for number in range(1, 901))
    told = b"".join(encode_tcp(Body.register(number, 9)) for number in range(901, 951))
    events = connection.receive(asked + told, 0, 0)
    assert connection.close_reason is not None
    assert (len(events), connection.counts.received, connection.counts.unanswered) == (800, 950, 100)


def test_expired_frames_that_asked_for_something_are_unanswered() -> None:
    connection = make_connection(Role.BATTERY)
    for body in (
        Body.query(1, 9),
        Body.bid(2, 9, price_e4=100_000, energy_wh=100),
        Body.bid_confirm(3, 9, price_e4=100_000, energy_wh=100),
        Body.register(4, 9),
        Body.terminate(5, 9, code=0, delivered_wh=0),
    ):
        assert connection.receive(encode_tcp(body._replace(ttl=0)), 0, 0) == []
    assert (connection.counts.expired, connection.counts.unanswered) == (5, 3)
    buyer = make_connection(Role.AGGREGATOR)
    buyer.receive(encode_tcp(Body.query(1, 9)._replace(ttl=0)), 0, 0)
    assert (buyer.counts.expired, buyer.counts.unanswered) == (1, 0)


def test_the_connections_of_one_maker_count_together_also_when_they_are_gone() -> None:
    traffic = Traffic()
    assert traffic.summary()["latency_ms"] == {}
    maker = ConnectionMaker(
        role=Role.BATTERY, device_id=7, policy=AuthPolicy(), limits=Limits(), wall_ms=lambda: 0, traffic=traffic
    )
    for _ in range(3):
        connection = maker("127.0.0.1:1", 0)
        connection.receive(encode_tcp(Body.bess_status(1, 9)), 0, 0)
        connection.send(REJECT, now_ms=0)
        connection.data_to_send(0)
        connection.drained(2)
        del connection
    summary = traffic.summary()
    assert summary["latency_ms"] == {"BidReject": {"count": 3, "late": 0, "p99": 2, "limit": 500}}
    assert (summary["connections"]["bad"], summary["connections"]["received"]) == (3, 3)

"""One address, many connections: together they keep to one rate, and whoever goes far beyond it is closed."""

from __future__ import annotations

import pytest

from etp.auth import AuthPolicy
from etp.connection import Connection, Role
from etp.frame import encode_tcp
from etp.io.maker import ConnectionMaker
from etp.limits import Limits
from etp.messages import Body, MessageType, ReasonCode

HOST = "192.0.2.1"


def maker(limits: Limits | None = None, role: Role = Role.BATTERY, nonce: str = "") -> ConnectionMaker:
    return ConnectionMaker(
        role=role, device_id=7, policy=AuthPolicy(), limits=limits or Limits(), wall_ms=lambda: 0, nonce=nonce
    )


def codes_of(connection: Connection, count: int, now_ms: int = 0, first_id: int = 0) -> list[int]:
    """Bid one by one, as the fast lane takes them, and have each refused as it must be."""
    codes = []
    for number in range(first_id, first_id + count):
        bid = Body.bid(number, 9, price_e4=100_000, energy_wh=1_000)
        for event in connection.receive(encode_tcp(bid), now_ms, now_ms):
            codes.append(event.code)
            connection.refuse(number, event.code or ReasonCode.OUTBID, 0, now_ms, now_ms)
            connection.data_to_send(now_ms)
            connection.drained(now_ms)
    return codes


def test_sixty_four_connections_have_the_rate_of_ten() -> None:
    make = maker()
    connections = [make(f"{HOST}:{number}", 0, HOST) for number in range(64)]
    codes = [code for connection in connections for code in codes_of(connection, 100)]
    assert codes.count(0) == 4_000
    assert codes.count(ReasonCode.BUSY) == 64 * 100 - 4_000
    assert all(connection.close_reason is None for connection in connections)
    later = [code for connection in connections for code in codes_of(connection, 100, now_ms=1_000, first_id=100)]
    assert later.count(0) == 2_000


def test_neighbours_have_a_rate_of_their_own() -> None:
    make = maker(Limits(address_frames_per_s=10))
    assert codes_of(make("a", 0, HOST), 20) == [0] * 20
    assert codes_of(make("b", 0, "192.0.2.2"), 20) == [0] * 20
    assert codes_of(make("c", 0, HOST), 1) == [ReasonCode.BUSY]


def test_what_the_address_refuses_costs_nothing_of_the_connections_own_rate() -> None:
    make = maker(Limits(address_frames_per_s=10, frames_per_s=10, burst=20))
    codes_of(make("flooder", 0, HOST), 20)
    quiet = make("quiet", 0, HOST)
    assert codes_of(quiet, 5) == [ReasonCode.BUSY] * 5
    assert codes_of(quiet, 11, now_ms=1_000, first_id=5) == [0] * 10 + [ReasonCode.BUSY]


def test_twice_the_rate_of_an_address_closes() -> None:
    make = maker(Limits(address_frames_per_s=10))
    connection = make("flooder", 0, HOST)
    assert codes_of(connection, 60) == [0] * 20 + [ReasonCode.BUSY] * 20
    assert connection.close_reason == "more than twice 10 frames/s from its address"


def test_connecting_anew_does_not_start_afresh() -> None:
    make = maker(Limits(address_frames_per_s=10))
    assert codes_of(make("first", 0, HOST), 20) == [0] * 20
    assert codes_of(make("second", 0, HOST), 1) == [ReasonCode.BUSY]


def test_ipv6_hosts_of_one_network_are_one_address() -> None:
    make = maker(Limits(address_frames_per_s=10))
    assert codes_of(make("a", 0, "2001:db8::1"), 20) == [0] * 20
    assert codes_of(make("b", 0, "2001:db8::2"), 1) == [ReasonCode.BUSY]
    assert codes_of(make("c", 0, "2001:db8:0:1::1"), 1) == [0]


@pytest.mark.parametrize("address", ["", "?"])
def test_an_unknown_address_bounds_nobody(address: str) -> None:
    make = maker(Limits(address_frames_per_s=1))
    assert codes_of(make("a", 0, address), 100) == [0] * 100


def test_the_limit_may_be_off_and_is_for_batteries() -> None:
    off = maker(Limits(address_frames_per_s=0, frames_per_s=0, burst=0))
    assert codes_of(off("a", 0, HOST), 3_000) == [0] * 3_000
    buyer = maker(Limits(address_frames_per_s=1), Role.AGGREGATOR)("a", 0, HOST)
    pushes = [encode_tcp(Body.query_response(number, 7, beat_e4=1)) for number in range(1_000)]
    assert len(buyer.receive(b"".join(pushes), 0, 0)) == 1_000


def test_the_limit_holds_where_that_of_a_connection_is_off() -> None:
    make = maker(Limits(address_frames_per_s=10, frames_per_s=0, burst=0))
    assert codes_of(make("a", 0, HOST), 100)[:25] == [0] * 20 + [ReasonCode.BUSY] * 5


def test_queries_above_it_are_answered_and_pushed_about() -> None:
    make = maker(Limits(address_frames_per_s=10))
    codes_of(make("flooder", 0, HOST), 20)
    (event,) = make("asker", 0, HOST).receive(encode_tcp(Body.query(1, 9)), 0, 0)
    assert (event.body.message_type, event.code) == (MessageType.QUERY, ReasonCode.BUSY)


def test_connections_of_another_process_have_other_names() -> None:
    make = maker(nonce="5eed")
    assert [make("a", 0).peer, make("b", 0).peer] == ["conn:5eed-1", "conn:5eed-2"]
    assert maker()("a", 0).peer == "conn:1"

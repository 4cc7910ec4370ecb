"""Overheard frames: whoever repeats another's bytes proves nothing, wherever and whenever he does it."""

from __future__ import annotations

import pytest

from etp.auth import NOBODY, AuthPolicy, sign_frame
from etp.connection import Connection, Role
from etp.frame import FrameReader, decode_frame, encode_frame, encode_tcp, prefixed
from etp.limits import STARTED_SLACK_MS, Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from etp.replies import PeerMemories
from etp.testing import Link, TestKey, make_connection

BUYER, BATTERY = TestKey(1), TestKey(2)
WALL_MS = 1_700_000_000_000
REGISTER = Body.register(1, 9)
BID = Body.bid(5, 9, price_e4=100_000, energy_wh=1_000)
REJECT = Body.bid_reject(5, 7, code=ReasonCode.OUTBID, beat_e4=101_000)


def signed(
    body: Body, *, key: TestKey = BUYER, peer: bytes = BATTERY.public_key, at_ms: int = WALL_MS, fresh: int = 0
) -> bytes:
    return prefixed(sign_frame(encode_frame(body), signer=key, peer=peer, timestamp_ms=at_ms + fresh))


def battery(
    memories: PeerMemories, *, signed_site: bool = True, conn_id: int = 1, now_ms: int = 0, limits: Limits | None = None
) -> Connection:
    policy = AuthPolicy(peers="signed" if signed_site else "open", signer=BATTERY)
    return make_connection(
        Role.BATTERY,
        policy=policy,
        limits=limits,
        memories=memories,
        conn_id=conn_id,
        now_ms=now_ms,
        wall_ms=lambda: WALL_MS + now_ms,
    )


def aggregator(memories: PeerMemories | None = None, conn_id: int = 1) -> Connection:
    policy = AuthPolicy(peers="signed", signer=BUYER)
    return make_connection(Role.AGGREGATOR, policy=policy, memories=memories, conn_id=conn_id)


def hear(connection: Connection, *frames: bytes, now_ms: int = 0) -> list[tuple[int, int]]:
    events = [event for frame in frames for event in connection.receive(frame, now_ms, now_ms)]
    return [(event.body.message_type, event.code) for event in events]


def said(connection: Connection) -> list[Body]:
    frames = FrameReader().feed(connection.data_to_send(0))
    connection.drained(0)
    return [decode_frame(frame)[0] for frame in frames]


def assert_belongs_to_nobody(connection: Connection) -> None:
    assert (connection.peer, connection.signer, connection.registered) == ("conn:2", None, False)
    assert connection.counts.bad == 1
    connection.send(Body.bess_status(5, 7), now_ms=0)
    connection.send(Body.terminate(5, 7, code=0, delivered_wh=100), now_ms=0)
    assert said(connection) == []


def test_an_overheard_introduction_binds_no_other_connection() -> None:
    memories = PeerMemories(Limits())
    introduction = signed(REGISTER, peer=NOBODY)
    assert hear(battery(memories), introduction) == [(0, 0)]
    thief = battery(memories, conn_id=2)
    assert hear(thief, introduction) == []
    assert_belongs_to_nobody(thief)
    assert hear(thief, signed(BID)) == [(3, ReasonCode.NOT_TRUSTED)]


def test_only_a_new_frame_for_our_own_key_shows_that_its_signer_is_here() -> None:
    memories = PeerMemories(Limits())
    owner, thief = battery(memories), battery(memories, conn_id=2)
    bid = signed(BID)
    hear(owner, signed(REGISTER, peer=NOBODY), encode_tcp(Body.query(2, 9)))
    hear(thief, signed(REGISTER, peer=NOBODY, fresh=1))
    assert (owner.is_own, thief.is_own) == (False, False)
    hear(owner, bid)
    hear(thief, bid, encode_tcp(BID), signed(Body.bid_confirm(5, 9, price_e4=1, energy_wh=100), key=TestKey(3)))
    assert (owner.is_own, thief.is_own) == (True, False)


def test_an_introduction_for_our_own_key_and_an_unsigned_peer_need_no_further_proof() -> None:
    known, unsigned = battery(PeerMemories(Limits())), battery(PeerMemories(Limits()), signed_site=False)
    hear(known, signed(REGISTER))
    hear(unsigned, encode_tcp(BID))
    assert (known.is_own, unsigned.is_own) == (True, True)


def test_its_owner_introduces_himself_again_with_another_signature() -> None:
    memories = PeerMemories(Limits())
    hear(battery(memories), signed(REGISTER, peer=NOBODY))
    again = battery(memories, conn_id=2)
    assert hear(again, signed(REGISTER, peer=NOBODY, fresh=1)) == [(0, 0)]
    assert again.signer == BUYER.public_key


def test_the_same_introduction_again_on_its_own_connection_is_dropped() -> None:
    connection = battery(PeerMemories(Limits()))
    introduction = signed(REGISTER)
    assert hear(connection, introduction, introduction) == [(0, 0)]
    assert (connection.counts.dropped, connection.counts.bad) == (1, 0)


@pytest.mark.parametrize("times", [1, 2])
def test_an_overheard_bid_binds_nobody_at_an_open_site(times: int) -> None:
    """Nor does one whose first sending had no effect, because the bid was waiting for its answer already."""
    memories = PeerMemories(Limits())
    bids = [signed(BID, fresh=number) for number in range(times)]
    hear(battery(memories, signed_site=False), *bids)
    thief = battery(memories, signed_site=False, conn_id=2)
    assert hear(thief, bids[-1]) == [(3, ReasonCode.NOT_TRUSTED)]
    thief.refuse(5, ReasonCode.NOT_TRUSTED, 0, 0, 0)
    assert [(body.message_type, body.termination_code) for body in said(thief)] == [(6, 6)]
    assert (thief.peer, thief.signer, thief.counts.bad) == ("conn:2", None, 1)


def test_the_thief_is_not_told_the_answer() -> None:
    memories = PeerMemories(Limits())
    first = battery(memories, signed_site=False)
    hear(first, signed(BID))
    first.send(REJECT, now_ms=0)
    thief = battery(memories, signed_site=False, conn_id=2)
    hear(thief, signed(BID))
    assert said(thief) == []


def test_ten_replays_close_the_connection() -> None:
    memories = PeerMemories(Limits())
    introduction = signed(REGISTER, peer=NOBODY)
    hear(battery(memories), introduction)
    thief = battery(memories, conn_id=2)
    hear(thief, *[introduction] * 10)
    assert thief.close_reason == "10 bad frames in a minute"


def test_frames_of_an_earlier_process_open_nothing_and_do_nothing() -> None:
    """What the process before a restart has heard is forgotten; how old the process is, is not."""
    memories = PeerMemories(Limits())
    memories.opened(10_000)
    slack = STARTED_SLACK_MS
    thief = battery(memories, conn_id=2, now_ms=15_000)
    started_ms = WALL_MS + 10_000
    assert hear(thief, signed(REGISTER, peer=NOBODY, at_ms=started_ms - slack - 1), now_ms=15_000) == []
    assert_belongs_to_nobody(thief)
    buyer = battery(memories, conn_id=3, now_ms=15_000)
    assert hear(buyer, signed(REGISTER, peer=NOBODY, at_ms=started_ms - slack), now_ms=15_000) == [(0, 0)]
    assert hear(buyer, signed(BID, at_ms=started_ms - slack - 1), now_ms=15_000) == [(3, 6)]
    assert hear(buyer, signed(BID, at_ms=started_ms), now_ms=15_000) == [(3, 0)]


def test_a_process_that_has_run_for_a_while_takes_every_clock_within_the_skew() -> None:
    memories = PeerMemories(Limits())
    memories.opened(0)
    memories.opened(59_000)
    connection = battery(memories, now_ms=60_000)
    assert hear(connection, signed(REGISTER, peer=NOBODY, at_ms=WALL_MS + 30_000), now_ms=60_000) == [(0, 0)]


def test_an_accept_that_waits_on_two_connections_of_a_signer_is_taken_back_on_both() -> None:
    memories = PeerMemories(Limits())
    both = [battery(memories, conn_id=number) for number in (1, 2)]
    for number, connection in enumerate(both):
        hear(connection, signed(REGISTER, peer=NOBODY, fresh=number))
        said(connection)
    hear(both[0], signed(BID))
    for connection in both:
        connection.send(Body.query_response(FIRST_BATTERY_ID, 7, beat_e4=5), now_ms=0)
        connection.data_to_send(0)
        connection.send(Body.bid_accept(5, 7, price_e4=100_000, energy_wh=1_000, power_w=-5_000), now_ms=0)
    for connection in both:
        connection.send(REJECT, now_ms=0)
        connection.drained(0)
    assert [said(connection) for connection in both] == [[REJECT], [REJECT]]


def test_the_battery_introduces_itself_to_the_one_who_asked() -> None:
    link = Link(battery(PeerMemories(Limits())), aggregator())
    link.battery.receive(link.aggregator.data_to_send(0), 0, 0)
    body, found = decode_frame(link.battery.data_to_send(0)[4:])
    assert body.message_type == MessageType.REGISTER
    assert found.auth is not None
    assert found.auth.peer == BUYER.public_key


def test_a_register_that_was_multicast_proves_no_endpoint() -> None:
    """Everybody hears those; whoever plays one back on a connection of his own is not the battery."""
    impostor = aggregator(conn_id=2)
    multicast = signed(Body.register(FIRST_BATTERY_ID, 7), key=BATTERY, peer=NOBODY)
    assert hear(impostor, multicast) == []
    assert (impostor.signer, impostor.registered, impostor.counts.bad) == (None, False, 1)


def test_a_batterys_answer_proves_no_second_endpoint() -> None:
    memories = PeerMemories(Limits())
    answer = signed(Body.register(FIRST_BATTERY_ID, 7), key=BATTERY, peer=BUYER.public_key)
    assert hear(aggregator(memories), answer) == [(0, 0)]
    impostor = aggregator(memories, conn_id=2)
    assert hear(impostor, answer) == []
    assert impostor.signer is None


def test_a_battery_says_nothing_of_itself_before_it_knows_to_whom() -> None:
    connection = battery(PeerMemories(Limits()))
    connection.send(Body.register(FIRST_BATTERY_ID, 7), now_ms=0)
    assert connection.data_to_send(0) == b""
    hear(connection, signed(REGISTER, peer=NOBODY))
    assert [body.message_type for body in said(connection)] == [0]


def test_two_connections_of_one_instant_are_two_introductions() -> None:
    batteries, buyers = PeerMemories(Limits()), PeerMemories(Limits())
    for number in (1, 2):
        link = Link(battery(batteries, conn_id=number), aggregator(buyers, conn_id=number))
        link.run()
        assert link.battery.registered
        assert link.aggregator.registered


def test_who_was_turned_away_for_want_of_room_hears_that_he_may_come_later() -> None:
    memories = PeerMemories(Limits(signers=1))
    hear(battery(memories), signed(REGISTER, peer=NOBODY))
    stranger = TestKey(3)
    second = battery(memories, conn_id=2)
    assert hear(second, signed(REGISTER, peer=NOBODY, key=stranger)) == []
    assert (second.peer, second.signer) == ("conn:2", None)
    assert hear(second, signed(BID, key=stranger)) == [(3, ReasonCode.BUSY)]
    assert hear(second, encode_tcp(BID)) == [(3, ReasonCode.NOT_TRUSTED)]

"""The shortest way out of a link: a plain refusal that is written at once, or takes its place among what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etp.frame import encode_tcp
from etp.messages import Body, MessageType, ReasonCode
from tests.etp.io.fakes import DEVICE, Notes, Stage, bid

if TYPE_CHECKING:
    from etp.connection import Received
    from etp.io.link import Link

REFUSAL = encode_tcp(Body.bid_reject(5, DEVICE, code=4, beat_e4=250_000))


def asked() -> Stage:
    stage = Stage(Notes())
    stage.link.data_received(encode_tcp(bid(5)))
    return stage


def refuse(link: Link, *, hold: bool = False) -> None:
    now_ms = link._clock.now_ms()
    link.hand_over(link.refuse(5, ReasonCode.OUTBID, 250_000, now_ms, 0, hold=hold), now_ms)


def test_it_says_what_send_says_and_is_counted_and_remembered() -> None:
    stage = asked()
    stage.loop.now_s = 0.007
    refuse(stage.link)
    assert stage.transport.writes == [REFUSAL]
    latency = stage.link.connection.latency[MessageType.BID_REJECT]
    assert (latency.count, latency.percentile(1.0)) == (1, 7)
    stage.link.data_received(encode_tcp(bid(5)))
    assert stage.transport.writes == [REFUSAL, REFUSAL]


def test_held_refusals_leave_in_one_write() -> None:
    stage = asked()
    stage.link.data_received(encode_tcp(bid(6)))
    refuse(stage.link, hold=True)
    stage.link.refuse(6, ReasonCode.OUTBID, 250_000, 0, 0, hold=True)
    assert stage.transport.writes == []
    stage.link.flush()
    assert [len(data) for data in stage.transport.writes] == [2 * 88]


def test_a_second_one_before_the_first_is_handed_over_follows_it() -> None:
    stage = asked()
    stage.link.data_received(encode_tcp(bid(6)))
    first = stage.link.refuse(5, ReasonCode.OUTBID, 250_000, 0, 0)
    assert stage.link.refuse(6, ReasonCode.OUTBID, 250_000, 0, 0) == b""
    assert stage.transport.writes == []
    stage.link.hand_over(first, 0)
    assert [data[5] for data in stage.transport.writes] == [5, 6]


def test_a_link_that_is_lost_in_between_is_left_alone() -> None:
    stage = asked()
    frame = stage.link.refuse(5, ReasonCode.OUTBID, 250_000, 0, 0)
    stage.link.connection_lost(None)
    stage.link.hand_over(frame, 0)
    assert stage.transport.writes == []


def test_it_goes_behind_what_already_waits() -> None:
    stage = asked()
    stage.link.send(Body.bess_status(9, DEVICE), hold=True)
    refuse(stage.link)
    (data,) = stage.transport.writes
    assert data == REFUSAL + encode_tcp(Body.bess_status(9, DEVICE))


def test_it_waits_for_a_peer_that_does_not_read() -> None:
    stage = asked()
    stage.transport.stuck = True
    refuse(stage.link)
    stage.link.data_received(encode_tcp(bid(6)))
    stage.link.refuse(6, ReasonCode.OUTBID, 250_000, 0, 0)
    assert stage.transport.writes == [REFUSAL]
    stage.loop.now_s = 0.05
    stage.transport.unstick()
    assert len(stage.transport.writes) == 2
    latency = stage.link.connection.latency[MessageType.BID_REJECT]
    assert latency.count == 2
    assert latency.percentile(1.0) >= 50


def test_within_a_read_it_leaves_with_the_other_answers() -> None:
    def answer(link: Link, frame: Received) -> None:
        assert link.refuse(frame.body.message_id, 4, 250_000, 0, frame.cause_ms) == b""

    stage = Stage(Notes(answer))
    stage.link.data_received(encode_tcp(bid(5)) + encode_tcp(bid(6)))
    assert [len(data) for data in stage.transport.writes] == [2 * 88]


@pytest.mark.parametrize("hold", [True, False])
def test_after_close_nothing_is_said(hold: bool) -> None:
    stage = asked()
    stage.link.close("enough")
    refuse(stage.link, hold=hold)
    assert stage.transport.writes == []


def test_reads_of_one_batch_share_now_and_cause() -> None:
    stage = Stage(Notes())
    stage.loop.now_s = 1.0
    first = stage.clock.now_and_cause_ms()
    stage.loop.now_s = 1.004
    assert stage.clock.now_and_cause_ms() == first == (1_000, 1_000)
    stage.loop.run_soon()
    assert stage.clock.now_and_cause_ms() == (1_004, 1_000)

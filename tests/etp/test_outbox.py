"""The outbox: urgent first, bounded while blocked, and newer quotes in the place of older ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.counts import Counts
from etp.extensions import Receipt, extensions
from etp.frame import encode_tcp
from etp.limits import WAKE_UP_FRAMES_MAX, Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType
from etp.outbox import FIRST, Outbox, Waiting
from etp.timing import PRIORITY

RECEIPT = Receipt(0, 1, 2, 3, bytes(32))


def item(body: Body, *, receipt: Receipt | None = None, priority: int | None = None) -> Waiting:
    kind = body.message_type
    frame = encode_tcp(body, extensions(receipt=receipt))
    return PRIORITY[kind] if priority is None else priority, kind, 0, frame, body


def push(number: int) -> Body:
    return Body.query_response(FIRST_BATTERY_ID + number, 7, beat_e4=100 * number)


def outbox(*, blocked: bool, limits: Limits | None = None) -> Outbox:
    box = Outbox(Limits() if limits is None else limits, Counts())
    box.blocked = blocked
    return box


def bodies(waiting: list[Waiting]) -> list[Body | None]:
    return [body for _, _, _, _, body in waiting]


@given(st.lists(st.sampled_from(MessageType), max_size=60))
def test_the_most_urgent_leave_first_and_equals_in_order(kinds: list[MessageType]) -> None:
    box = outbox(blocked=False)
    for number, kind in enumerate(kinds):
        assert box.add(item(Body(kind, number, 7))) == ""
    left = bodies(box.take())
    assert left == sorted(left, key=lambda body: (PRIORITY[body.message_type], body.message_id) if body else ())
    assert box.take() == []


def test_some_may_be_held_back() -> None:
    box = outbox(blocked=False)
    bid, query = Body.bid(1, 9, price_e4=100, energy_wh=100), Body.query(2, 9)
    box.add(item(bid))
    box.add(item(query))
    assert bodies(box.take(frozenset({MessageType.QUERY}))) == [query]
    assert bodies(box.take()) == [bid]


@pytest.mark.parametrize(
    ("limits", "fit"), [(Limits(outbox_frames=5), 5), (Limits(outbox_bytes=300), 3), (Limits(), 64)]
)
def test_a_blocked_outbox_is_bounded(limits: Limits, fit: int) -> None:
    box = outbox(blocked=True, limits=limits)
    rejects = [item(Body.bid_reject(number, 7, code=4, beat_e4=0)) for number in range(fit + 1)]
    assert [box.add(reject) for reject in rejects[:-1]] == [""] * fit
    assert "does not read" in box.add(rejects[-1])


def test_one_wake_up_is_bounded_too() -> None:
    box = outbox(blocked=False)
    reject = item(Body.bid_reject(1, 7, code=4, beat_e4=0))
    assert not any(box.add(reject) for _ in range(WAKE_UP_FRAMES_MAX))
    assert "one read" in box.add(reject)


def test_a_newer_push_replaces_an_older_one_but_no_answer() -> None:
    box = outbox(blocked=True)
    answer = Body.query_response(3, 7, beat_e4=5)
    for body in (push(1), answer, push(2), push(3)):
        box.add(item(body))
    assert bodies(box.take()) == [answer, push(3)]


def test_a_newer_status_replaces_an_older_one_of_its_trade_unless_that_has_a_receipt() -> None:
    box = outbox(blocked=True)
    first, second, other = (Body.bess_status(trade, 7, delivered_wh=wh) for trade, wh in ((1, 10), (1, 20), (2, 30)))
    box.add(item(first, receipt=RECEIPT))
    for body in (first, other, second):
        box.add(item(body))
    left = box.take()
    assert bodies(left) == [first, other, second]
    assert len(left[0][3]) > len(left[1][3])


def test_a_newer_register_inherits_the_right_to_introduce() -> None:
    box = outbox(blocked=True)
    box.add(item(Body.register(1, 7), priority=FIRST))
    box.add(item(Body.device_failure(2, 7)))
    box.add(item(Body.register(3, 7)))
    assert bodies(box.take()) == [Body.register(3, 7), Body.device_failure(2, 7)]


def test_nothing_is_replaced_while_nothing_waits_for_the_peer() -> None:
    box = outbox(blocked=False)
    box.add(item(push(1)))
    box.add(item(push(2)))
    assert bodies(box.take()) == [push(1), push(2)]

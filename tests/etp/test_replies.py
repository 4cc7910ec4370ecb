"""Reply memory: an id is new once, its answer is repeated, and what must not be forgotten is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.extensions import Auth
from etp.limits import PENDING_MS, Limits
from etp.messages import MessageType, ReasonCode
from etp.replies import IdTable, PeerMemory, Verdict

KEEP_MS = 60_000


def table_of(reply_ids: int = 16) -> IdTable:
    return IdTable(Limits(reply_ids=reply_ids))


def test_an_id_is_new_pending_answered() -> None:
    table = table_of()
    assert table.look(1, b"bid", 0) is None
    table.take(1, b"bid", 0)
    assert table.look(1, b"bid", 10) is Verdict.PENDING
    assert table.look(1, b"other", 10) is Verdict.DIFFERENT
    table.answer(1, b"reject", 20)
    assert table.look(1, b"bid", 30) == b"reject"
    assert table.look(1, b"other", 30) is Verdict.DIFFERENT
    table.answer(1, b"later word", 40)
    assert table.look(1, b"bid", 50) == b"later word"


def test_an_answer_is_forgotten_after_a_minute() -> None:
    table = table_of()
    table.take(1, b"bid", 0)
    table.answer(1, b"reject", 0)
    assert table.look(1, b"bid", KEEP_MS - 1) == b"reject"
    assert table.look(1, b"bid", KEEP_MS) is None


def test_a_question_whose_asker_is_gone_may_be_asked_again() -> None:
    table = table_of()
    table.take(1, b"bid", 0)
    assert table.look(1, b"bid", PENDING_MS - 1) is Verdict.PENDING
    assert table.look(1, b"other", PENDING_MS) is None


def test_a_pinned_id_stays_taken() -> None:
    table = table_of()
    table.take(1, b"bid", 0)
    table.answer(1, b"accept", 0)
    table.pin(1)
    for other in range(2, 200):
        assert table.look(other, b"bid", other) is None
        table.take(other, b"bid", other)
        table.answer(other, b"reject", other)
    assert table.look(1, b"bid", 10 * KEEP_MS) == b"accept"
    assert table.look(1, b"other", 10 * KEEP_MS) is Verdict.DIFFERENT
    table.pinned.clear()
    assert table.look(1, b"bid", 10 * KEEP_MS) is None


def test_a_pinned_id_without_a_memory_is_taken_by_other_bytes() -> None:
    table = table_of()
    table.pin(1)
    assert table.look(1, b"bid", 0) is Verdict.DIFFERENT


def test_unanswered_ids_are_not_pushed_out_but_bound_the_table() -> None:
    table = table_of(16)
    for message_id in range(20):
        assert table.look(message_id, b"bid", 0) is None
        table.take(message_id, b"bid", 0)
    assert table.look(99, b"bid", 1) is Verdict.FULL
    assert table.look(98, b"bid", 1) is Verdict.FULL
    assert table.look(0, b"bid", 1) is Verdict.PENDING
    assert table.look(99, b"bid", PENDING_MS) is None


def test_an_answer_makes_room_at_once() -> None:
    table = table_of(16)
    for message_id in range(20):
        table.take(message_id, b"bid", 0)
    assert table.look(99, b"bid", 0) is Verdict.FULL
    table.answer(7, b"reject", 0)
    assert table.look(99, b"bid", 0) is None
    assert table.look(7, b"bid", 0) is None  # forgotten to make that room


def test_an_unknown_id_has_no_answer_to_keep() -> None:
    table = table_of()
    table.answer(1, b"reject", 0)
    table.forget(1)
    assert table.look(1, b"bid", 0) is None


@given(st.lists(st.integers(0, 200), max_size=400), st.integers(1, 40))
def test_the_last_ids_are_kept_and_not_many_more(ids: list[int], reply_ids: int) -> None:
    table = table_of(reply_ids)
    order: list[int] = []
    for message_id in ids:
        if table.look(message_id, b"bid", 0) is None:
            table.take(message_id, b"bid", 0)
            table.answer(message_id, b"reject", 0)
            order = [*(known for known in order if known != message_id), message_id]
        assert len(table.known) <= table.most
    for message_id in order[-reply_ids + 1 or len(order) :]:
        assert table.look(message_id, b"bid", 0) == b"reject"


def asked(memory: PeerMemory, *, confirm: bool = False) -> PeerMemory:
    memory.bids.take(5, b"bid", 0)
    if confirm:
        memory.said(MessageType.BID_ACCEPT, 5, 0, b"accept", 0)
        memory.confirms.take(5, b"confirm", 0)
    return memory


ANSWERS = [
    (False, MessageType.BID_REJECT, ReasonCode.OUTBID, b"said", None),
    (False, MessageType.BID_ACCEPT, ReasonCode.NONE, b"said", None),
    (False, MessageType.TERMINATE, ReasonCode.FAULT, b"said", None),
    (False, MessageType.BESS_STATUS, ReasonCode.NONE, Verdict.PENDING, None),
    (True, MessageType.BESS_STATUS, ReasonCode.NONE, b"accept", b"said"),
    (True, MessageType.TERMINATE, ReasonCode.FAULT, b"said", b"said"),
    (True, MessageType.BID_REJECT, ReasonCode.NOT_CONFIRMED, b"said", b"said"),
    (True, MessageType.BID_REJECT, ReasonCode.BUSY, b"accept", b"said"),
    (True, MessageType.BID_REJECT, ReasonCode.MALFORMED, b"accept", None),
]


@pytest.mark.parametrize(("confirm", "kind", "code", "to_bid", "to_confirm"), ANSWERS)
def test_what_a_frame_answers(
    confirm: bool, kind: MessageType, code: ReasonCode, to_bid: object, to_confirm: object
) -> None:
    memory = asked(PeerMemory(Limits()), confirm=confirm)
    memory.said(kind, 5, code, b"said", 1)
    ended = kind == MessageType.TERMINATE or code == ReasonCode.NOT_CONFIRMED
    assert set(memory.bids.pinned) == ({5} if (confirm or kind == MessageType.BID_ACCEPT) and not ended else set())
    assert memory.bids.look(5, b"bid", 2) == to_bid
    assert memory.confirms.look(5, b"confirm", 2) == to_confirm


def test_the_end_of_a_trade_replaces_its_acknowledgement() -> None:
    memory = asked(PeerMemory(Limits()), confirm=True)
    memory.said(MessageType.BESS_STATUS, 5, 0, b"started", 1)
    memory.said(MessageType.BESS_STATUS, 5, 0, b"delivering", 2)
    assert memory.confirms.look(5, b"confirm", 3) == b"started"
    memory.said(MessageType.TERMINATE, 5, 0, b"ended", 4)
    assert memory.confirms.look(5, b"confirm", 5) == b"ended"


def auth(number: int, timestamp_ms: int) -> Auth:
    return Auth(bytes(32), bytes(32), timestamp_ms, number.to_bytes(64, "little"))


def test_a_signature_counts_once() -> None:
    memory = PeerMemory(Limits())
    assert [memory.is_replay(auth(1, 100)) for _ in range(3)] == [False, True, True]
    assert not memory.is_replay(auth(2, 100))


def test_forgotten_signatures_do_not_count_again() -> None:
    memory = PeerMemory(Limits(reply_ids=4))
    frames = [auth(number, 1_000 + number) for number in range(50)]
    assert not any(memory.is_replay(frame) for frame in frames)
    assert all(memory.is_replay(frame) for frame in frames)
    assert not memory.is_replay(auth(99, 2_000))


def test_more_pins_than_one_buyer_can_have_trades_let_the_oldest_go() -> None:
    table = table_of(16)
    for message_id in range(20):
        table.pin(message_id)
    assert list(table.pinned) == list(range(11, 20))
    assert len(table.pinned) < table.most


def test_room_is_given_back_when_its_time_is_over() -> None:
    memory = PeerMemory(Limits())
    for message_id in range(100):
        memory.bids.take(message_id, b"bid", message_id)
        memory.bids.answer(message_id, b"reject", message_id)
    memory.confirms.take(1, b"confirm", 0)
    memory.forget_expired(KEEP_MS + 49)
    assert list(memory.bids.known) == list(range(50, 100))
    assert not memory.confirms.known
    memory.pin(50)
    memory.forget_expired(2 * KEEP_MS)
    assert 50 in memory.bids.known

"""Ends kept for buyers that are away: told until they are known, and bounded."""

from __future__ import annotations

from agent.ends import ENDS_MAX, TOLD_AT_ONCE_MAX, Ends
from etp.messages import Body, ReasonCode


def end(bid_id: int, delivered_wh: int = 0) -> Body:
    return Body.terminate(bid_id, 7, code=ReasonCode.NONE, delivered_wh=delivered_wh)


def test_an_end_is_kept_until_its_buyer_knows_it() -> None:
    ends = Ends()
    ends.remember("key:a", end(1, 300))
    assert ends.get(("key:a", 1)) == end(1, 300)
    assert ends.of("key:a") == [end(1, 300)]
    assert ends.of("key:b") == []
    assert ends.known(("key:a", 1))
    assert not ends.known(("key:a", 1))
    assert len(ends) == 0


def test_a_buyer_that_comes_back_is_told_the_newest() -> None:
    ends = Ends()
    for bid_id in range(TOLD_AT_ONCE_MAX + 5):
        ends.remember("key:a", end(bid_id))
    assert [told.message_id for told in ends.of("key:a")] == list(range(5, TOLD_AT_ONCE_MAX + 5))


def test_awards_that_nobody_confirmed_do_not_push_out_what_was_delivered() -> None:
    ends = Ends()
    ends.remember("key:a", end(1, 300))
    for number in range(2 * ENDS_MAX):
        ends.remember(f"key:{number}", end(1))
    assert len(ends) == ENDS_MAX
    assert ends.of("key:a") == [end(1, 300)]
    for bid_id in range(2 * ENDS_MAX):
        ends.remember("key:b", end(bid_id, 100))
    assert len(ends) == ENDS_MAX
    assert ends.of("key:a") == []

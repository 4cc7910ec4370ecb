"""Links of studies: latency, the law of stalls, order, and what is never heard."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.links import Way, ways
from market.setting import Buyer, Setting


def way(*, latency_ms: float = 30, drop: float = 0, loss: float = 0, lot: int = 0, buyer: int = 0) -> Way:
    return Way("up", latency_ms, drop=drop, loss=loss, seed=1, lot=lot, buyer=buyer)


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.5])
def test_losses_stall_by_their_law(loss: float) -> None:
    count = 20_000
    seen: dict[float, int] = {}
    for lot in range(count):
        late_ms = (way(loss=loss, lot=lot).arrival_ms(1_000) or 0) - 1_030
        seen[late_ms] = seen.get(late_ms, 0) + 1
    assert set(seen) <= {200 * (2**k - 1) for k in range(13)}
    for k in range(5):
        chance = loss**k * (1 - loss)
        allowed = 5 * math.sqrt(count * chance * (1 - chance))
        assert abs(seen.get(200 * (2**k - 1), 0) - count * chance) < allowed


@given(
    loss=st.floats(0, 0.5),
    drop=st.floats(0, 0.9),
    gaps=st.lists(st.floats(0, 100), min_size=1, max_size=40),
    latency_ms=st.floats(0, 500),
)
def test_order_is_kept_and_nothing_is_early(loss: float, drop: float, gaps: list[float], latency_ms: float) -> None:
    link = way(latency_ms=latency_ms, drop=drop, loss=loss)
    sent_ms = last_ms = 0.0
    for gap in gaps:
        sent_ms += gap
        arrival_ms = link.arrival_ms(sent_ms)
        if arrival_ms is not None:
            assert arrival_ms >= max(last_ms, sent_ms + latency_ms)
            last_ms = arrival_ms


def test_what_follows_a_stalled_message_waits_behind_it() -> None:
    for lot in range(1_000):
        link = way(loss=0.5, lot=lot)
        first_ms = link.arrival_ms(0) or 0
        if first_ms > 1_000:
            assert (link.arrival_ms(1) or 0) >= first_ms
            return
    pytest.fail("no stall among a thousand")


def test_a_clean_link_is_its_latency() -> None:
    link = way()
    assert [link.arrival_ms(sent) for sent in (0, 5.5)] == [30, 35.5]


def test_a_share_of_messages_is_never_heard() -> None:
    dropped = sum(way(drop=0.25, lot=lot).arrival_ms(0) is None for lot in range(10_000))
    assert abs(dropped - 2_500) < 5 * math.sqrt(10_000 * 0.25 * 0.75)
    assert way(drop=1).arrival_ms(0) is None
    assert way(drop=1).sure_arrival_ms(0) == 30


def test_the_directions_have_draws_of_their_own() -> None:
    setting = Setting("standing_bid", 1_000, 0, drop=0.5)
    buyer = Buyer(1_000, 100, up_ms=7, down_ms=3)
    heard = [ways(setting, buyer, seed=1, lot=lot, index=0) for lot in range(200)]
    downs, ups = zip(*[(down.arrival_ms(0), up.arrival_ms(0)) for down, up in heard], strict=True)
    assert set(downs) == {3, None}
    assert set(ups) == {7, None}
    assert 60 < sum((down is None) == (up is None) for down, up in zip(downs, ups, strict=True)) < 140

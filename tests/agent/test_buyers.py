"""Who is connected, how buyers are named, what they need, and the pace of pushes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from agent.buyers import NEED_COUNTS_MS, BuyerTable, PushPacer, buyer_key
from agent.reputation import ReputationBook
from tests.agent.gateway_world import now_ms, run

if TYPE_CHECKING:
    from etp.io.link import Link


@dataclass(eq=False)
class Line:
    """As much of a link as the table looks at."""

    peer: str = "conn:1"
    remote: str = "127.0.0.1:50000"
    registered: bool = False
    is_open: bool = True


def link(line: Line) -> Link:
    return cast("Link", line)


@pytest.mark.parametrize(
    ("peer", "remote", "name"),
    [
        ("key:ab", "127.0.0.1:1", "key:ab"),
        ("key:ab", "192.0.2.7:1", "key:ab"),
        ("conn:3", "192.0.2.7:4711", "addr:192.0.2.7"),
        ("conn:3", "[2001:db8::1]:4711", "addr:2001:db8::/64"),
        ("conn:3", "127.0.0.1:4711", "conn:3/000000000000002a"),
        ("conn:3", "[::1]:4711", "conn:3/000000000000002a"),
        ("conn:3", "?", "addr:?"),
    ],
)
def test_buyers_are_named_by_signer_address_or_on_loopback_by_connection(peer: str, remote: str, name: str) -> None:
    assert buyer_key(peer=peer, remote=remote, device_id=42) == name


def test_a_connection_gets_its_name_when_it_speaks_and_a_new_one_when_it_proves_a_key() -> None:
    table, line = BuyerTable(), Line()
    table.add(link(line))
    assert len(table) == 1
    first = table.heard(link(line), "conn:1", 7)
    assert first.key == "conn:1/0000000000000007"
    assert table.heard(link(line), "conn:1", 9) is first
    line.peer = "key:ab"
    assert table.heard(link(line), "key:ab", 7).key == "key:ab"
    table.remove(link(line))
    table.remove(link(line))
    assert len(table) == 0


def test_a_frame_of_a_connection_that_was_never_added_is_heard_all_the_same() -> None:
    table, line = BuyerTable(), Line()
    assert table.heard(link(line), "conn:1", 7).link is link(line)
    assert table.links() == [link(line)]


def test_a_frame_of_a_connection_that_is_over_is_heard_and_not_kept() -> None:
    table, line = BuyerTable(), Line(is_open=False)
    assert table.heard(link(line), "conn:1", 7).key == "conn:1/0000000000000007"
    assert table.links() == []


def test_the_registered_and_every_open_connection_of_a_peer() -> None:
    table = BuyerTable()
    old, new, other = Line("key:a"), Line("key:a", registered=True), Line("key:b")
    for line in (old, new, other):
        table.add(link(line))
    assert [buyer.link for buyer in table.registered()] == [link(new)]
    assert table.links_of("key:a") == [link(old), link(new)]
    assert table.links_of("key:b") == [link(other)]
    assert table.links_of("key:c") == []
    new.is_open = False
    assert table.links_of("key:a") == [link(old)]


def test_only_the_fresh_needs_of_regular_buyers_shape_lots() -> None:
    table, reputation = BuyerTable(), ReputationBook()
    regular, stranger = Line("key:regular"), Line("key:stranger")
    known = table.heard(link(regular), "key:regular", 1)
    known.need_wh, known.need_at_ms, known.has_bid = 800, 1_000, True
    unknown = table.heard(link(stranger), "key:stranger", 1)
    unknown.need_wh, unknown.need_at_ms, unknown.has_bid = 100, 1_000, True
    assert table.smallest_regular_need_wh(reputation, 1_000) is None
    reputation.confirmed("key:regular", 0)
    assert table.smallest_regular_need_wh(reputation, 1_000) == 800
    assert table.smallest_regular_need_wh(reputation, 1_000 + NEED_COUNTS_MS) == 800
    assert table.smallest_regular_need_wh(reputation, 1_001 + NEED_COUNTS_MS) is None
    known.has_bid = False  # asked for, in a Query that anybody may have sent
    assert table.smallest_regular_need_wh(reputation, 1_000) is None
    known.need_wh, known.has_bid = 0, True
    assert table.smallest_regular_need_wh(reputation, 1_000) is None


class TestPacer:
    def test_a_first_change_goes_out_at_once_and_the_next_20_ms_later_together(self) -> None:
        async def scenario() -> list[int]:
            rounds: list[int] = []
            pacer = PushPacer(lambda: rounds.append(now_ms()))
            await asyncio.sleep(1)
            for _ in range(5):
                pacer.changed()
                await asyncio.sleep(0.003)
            await asyncio.sleep(1)
            pacer.changed()
            return rounds

        first, second, third = run(scenario())
        assert (first, second) == (1_000, 1_020)
        assert third > 2_000

    def test_closed_it_forgets_what_is_due(self) -> None:
        async def scenario() -> int:
            rounds: list[int] = []
            pacer = PushPacer(lambda: rounds.append(0))
            pacer.changed()
            pacer.changed()
            pacer.close()
            pacer.close()
            await asyncio.sleep(1)
            return len(rounds)

        assert run(scenario()) == 1

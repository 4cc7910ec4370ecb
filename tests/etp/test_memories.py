"""The memories of all peers: who shares one, what outlives it, and who cannot fill the table for the others."""

from __future__ import annotations

from etp.limits import MEMORIES_PER_CONNECTION, Limits
from etp.messages import MessageType
from etp.replies import PeerMemories, Verdict

KEEP_MS = 60_000
FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in range(3))
PEER = f"key:{FIRST.hex()}"


def is_taken(memories: PeerMemories, bid_id: int, *, key: bytes = FIRST, now_ms: int = 0) -> bool:
    memory = memories.for_signer(key, now_ms)
    assert memory is not None
    return memory.bids.look(bid_id, b"bid", now_ms) is Verdict.DIFFERENT


def test_signers_share_and_connections_do_not() -> None:
    memories = PeerMemories(Limits())
    assert memories.for_signer(FIRST, 0) is memories.for_signer(FIRST, 5)
    assert memories.for_connection("conn:1") is not memories.for_connection("conn:2")
    assert len(memories) == 1


def test_a_memory_is_found_by_its_peers_name() -> None:
    memories = PeerMemories(Limits())
    assert memories.memory_of(PEER) is None
    assert memories.memory_of("conn:1") is None
    held = memories.for_connection("conn:1")
    assert memories.memory_of("conn:1") is held
    assert memories.memory_of(PEER) is not memories.for_signer(FIRST, 0)
    assert memories.memory_of(PEER) is memories.for_signer(FIRST, 0)
    del held
    assert memories.memory_of("conn:1") is None


def test_a_trade_of_an_earlier_process_keeps_its_id_until_it_ends() -> None:
    memories = PeerMemories(Limits())
    memories.pin(PEER, 5)
    memories.pin(PEER, 6)
    assert len(memories) == 0
    assert is_taken(memories, 5)
    assert is_taken(memories, 6)
    assert not is_taken(memories, 5, key=SECOND)
    memories.unpin(PEER, 5)
    assert not is_taken(memories, 5)
    assert is_taken(memories, 6)


def test_a_trade_that_ends_while_its_buyer_is_away_lets_its_id_go() -> None:
    memories = PeerMemories(Limits())
    memories.pin(PEER, 5)
    memories.unpin(PEER, 5)
    memories.unpin(PEER, 5)
    assert not is_taken(memories, 5)


def test_unsigned_peers_need_no_pins_when_they_are_gone() -> None:
    memories = PeerMemories(Limits())
    memory = memories.for_connection("conn:1")
    memories.pin("conn:1", 5)
    memories.pin("conn:2", 5)
    assert set(memory.bids.pinned) == {5}
    memories.unpin("conn:1", 5)
    memories.unpin("conn:2", 5)
    assert not memory.bids.pinned


def test_an_idle_memory_makes_room_and_its_pins_outlive_it() -> None:
    memories = PeerMemories(Limits(signers=2))
    first = memories.for_signer(FIRST, 0)
    assert first is not None
    first.bids.take(5, b"bid", 0)
    first.said(MessageType.BID_ACCEPT, 5, 0, b"accept", 0)
    assert memories.for_signer(SECOND, 1) is not None
    assert memories.for_signer(THIRD, KEEP_MS) is None
    assert memories.for_signer(THIRD, KEEP_MS + 1) is not None
    assert memories.memory_of(PEER) is None
    assert is_taken(memories, 5, now_ms=2 * KEEP_MS)
    first.said(MessageType.TERMINATE, 5, 0, b"ended", 2 * KEEP_MS)
    assert not is_taken(memories, 5, now_ms=2 * KEEP_MS)


def test_pins_alone_keep_nobody_out() -> None:
    memories = PeerMemories(Limits(signers=8))
    for number in range(100):
        memories.pin(f"key:{bytes([number]).hex() * 32}", 5)
    assert len(memories) == 0
    assert is_taken(memories, 5, key=bytes([99]) * 32)
    assert not is_taken(memories, 5, key=bytes([0]) * 32)  # of more signers than fit, the oldest are forgotten


def test_one_address_cannot_fill_the_table() -> None:
    limits = Limits(per_address=2, signers=100)
    memories = PeerMemories(limits)
    most = 2 * MEMORIES_PER_CONNECTION
    keys = [bytes([number]) * 32 for number in range(most + 1)]
    found = [memories.for_signer(key, 0, "192.0.2.1") is not None for key in keys]
    assert found == [True] * most + [False]
    assert memories.for_signer(keys[-1], 0, "192.0.2.2") is not None
    assert memories.for_signer(keys[0], 0, "192.0.2.9") is memories.for_signer(keys[0], 0, "192.0.2.1")


def test_addresses_do_not_matter_where_their_connections_do_not() -> None:
    memories = PeerMemories(Limits(per_address=0, signers=50))
    found = [memories.for_signer(bytes([number]) * 32, 0, "192.0.2.1") for number in range(51)]
    assert [memory is not None for memory in found] == [True] * 50 + [False]

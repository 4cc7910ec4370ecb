"""The parts of the ledger by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import VersionedTransaction

from settlement.cluster.words import error_text
from settlement.ledger import Settings
from settlement.ledger.blocks import Blocks, Run
from settlement.ledger.errors import ParamsError
from settlement.ledger.fees import fee_of
from settlement.ledger.limits import BLOCKHASH_AGE, SLOT_MS
from settlement.ledger.records import Place
from settlement.ledger.store import Store
from settlement.ledger.tables import TABLE_PROGRAM
from settlement.ledger.versions import Versions
from settlement.ledger.wire import receive
from settlement.ledger.zstandard import framed
from tests.settlement.ledger.world import SOL, World, pay

if TYPE_CHECKING:
    from pathlib import Path


@given(
    changes=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3), st.integers(0, 5)), max_size=40),
    forget=st.integers(0, 30),
)
def test_versions_tell_what_was(changes: list[tuple[int, int, int]], forget: int) -> None:
    keys = [Pubkey(bytes([n]) * 32) for n in range(1, 5)]
    now: dict[Pubkey, int] = {}
    history = {0: dict(now)}
    versions = Versions()
    for height, key, value in sorted(changes):
        before = now.get(keys[key])
        versions.record(keys[key], height, None if before is None else Account(before, b"", SYSTEM_PROGRAM))
        now[keys[key]] = value
        history[height] = dict(now)
    versions.forget(forget)
    for height in range(forget, 31):
        state = history[max(known for known in history if known <= height)]
        for one in keys:
            version = versions.at(one, height)
            found = now.get(one) if version is None else version.account and version.account.lamports
            assert found == state.get(one)
            if state.get(one) != now.get(one):
                assert one in versions.changed_after(height)


@given(waits=st.lists(st.integers(0, 700), min_size=1, max_size=12))
def test_a_blockhash_is_good_for_exactly_its_time(waits: list[int]) -> None:
    blocks = Blocks(b"secret", [Run(first_slot=0, first_height=0, started_ms=0)])
    now_ms = SLOT_MS
    assert blocks.advance(now_ms)
    given_out: dict[int, bytes] = {}
    for wait in waits:
        now_ms += wait * SLOT_MS
        assert blocks.advance(now_ms) == bool(wait)
        given_out[max(0, blocks.height - 1)] = blocks.latest_hash(blocks.height)
        for height, blockhash in given_out.items():
            assert blocks.is_good(blockhash, blocks.height) == (max(0, blocks.height - 1) - height <= BLOCKHASH_AGE)


def test_slots_between_runs_are_skipped_and_heights_are_not() -> None:
    runs = [Run(first_slot=0, first_height=0, started_ms=0), Run(first_slot=900, first_height=129, started_ms=360_000)]
    blocks = Blocks(b"secret", runs)
    blocks.advance(360_000 + 10 * SLOT_MS)
    assert (blocks.height, blocks.slot) == (139, 910)
    assert [blocks.height_of_slot(slot) for slot in (0, 128, 129, 899, 900, 910, 911)] == [
        0,
        128,
        None,
        None,
        129,
        139,
        None,
    ]
    assert [blocks.slot_of(height) for height in (0, 128, 129)] == [0, 128, 900]
    assert blocks.time_s_of(139) == 364


def test_time_that_goes_back_builds_nothing() -> None:
    blocks = Blocks(b"secret", [Run(first_slot=0, first_height=0, started_ms=1_000_000)])
    assert blocks.advance(1_004_000)
    assert not blocks.advance(0)
    assert blocks.height == 10


@pytest.mark.parametrize("budget", [[], [(1_000, 10_000)], [(1_400_000, 3)], [(10, 1)]])
def test_the_fee_is_what_the_machine_takes(budget: list[tuple[int, int]]) -> None:
    world = World()
    payer = world.funded()
    wanted = [
        made
        for limit, price in budget
        for made in (set_compute_unit_limit(max(limit, 450)), set_compute_unit_price(price))
    ]
    sent = world.signed([*wanted, pay(payer, payer.pubkey(), 1)], payer)
    assert world.ledger.submit(sent) is None
    assert 100 * SOL - world.lamports(payer.pubkey()) == fee_of(sent.message)


def test_a_transaction_with_a_lookup_table_is_executed_and_undone_like_any_other() -> None:
    world = World()
    payer, to, table = world.funded(), world.key().pubkey(), world.key().pubkey()
    head = (1).to_bytes(4, "little") + b"\xff" * 8 + bytes(8) + bytes(1) + b"\x00" + bytes(34)
    content = Account(10 * SOL, head + bytes(to) + bytes(world.key().pubkey()), TABLE_PROGRAM)
    world.wait(3)
    world.ledger._machine.put(table, content)
    accounts = [
        AccountMeta(payer.pubkey(), is_signer=True, is_writable=True),
        AccountMeta(to, is_signer=False, is_writable=True),
    ]
    paid = Instruction(SYSTEM_PROGRAM, (2).to_bytes(4, "little") + SOL.to_bytes(8, "little"), accounts)
    known = AddressLookupTableAccount(table, [to])
    message = MessageV0.try_compile(payer.pubkey(), [paid], [known], world.blockhash())
    assert to not in message.account_keys
    sent = receive(bytes(VersionedTransaction(message, [payer])))
    assert world.ledger.submit(sent) is None
    assert (world.lamports(to), world.lamports(to, "confirmed")) == (SOL, 0)
    record = world.ledger.record(bytes(sent.signature))
    assert record is not None
    assert (record.loaded, record.keys[-1]) == ((1, 0), bytes(to))
    gone = MessageV0.try_compile(payer.pubkey(), [paid], [AddressLookupTableAccount(to, [to])], world.blockhash())
    assert world.ledger.submit(receive(bytes(VersionedTransaction(gone, [payer])))) == "InvalidAddressLookupTableOwner"


def test_a_store_keeps_its_bound_and_what_may_be_a_duplicate(tmp_path: Path) -> None:

    world = World(tmp_path, settings=Settings(finalized_lag=1, transactions_max=10))
    payer, to = world.funded(), world.key().pubkey()
    for amount in range(1, 31):
        assert world.submit([pay(payer, to, SOL + amount)], payer) is None
        world.wait(2)
    assert len(world.ledger.mentioning(to, (1 << 62, 0), 100)) == 30  # type: ignore[arg-type]
    world.wait(400)
    for amount in range(31, 33):
        assert world.submit([pay(payer, to, SOL + amount)], payer) is None
        world.wait(2)
    kept = world.ledger.mentioning(to, Place(1 << 62, 0), 100)
    assert len(kept) == 10
    assert [record.after[1] - record.before[1] - SOL for record in kept] == list(range(32, 22, -1))
    world.ledger.close()
    store = Store(tmp_path, transactions_max=10)
    assert len(store.recent(-1)) == 10
    store.close()


@given(data=st.binary(max_size=1_300))
def test_bytes_are_a_transaction_or_are_refused(data: bytes) -> None:
    try:
        received = receive(data)
    except ParamsError:
        return
    assert received.keys[0]
    assert received.on_blockhash(bytes(range(32))).message.recent_blockhash is not None


def test_another_blockhash_changes_nothing_else() -> None:
    world = World()
    payer = world.funded()
    sent = world.signed([pay(payer, payer.pubkey(), 1)], payer)
    other = sent.on_blockhash(bytes(range(32)))
    assert bytes(other.message.recent_blockhash) == bytes(range(32))
    assert bytes(other).replace(bytes(range(32)), bytes(sent.blockhash)) == sent.wire


@given(size=st.sampled_from([0, 1, 82, 255, 256, 131_071, 131_072, 131_073, 300_000]))
def test_a_zstandard_frame_holds_its_content(size: int) -> None:
    data = bytes(n * 7 % 251 for n in range(size))
    frame = framed(data)
    assert frame[:4] == bytes.fromhex("28b52ffd")
    assert int.from_bytes(frame[5:9], "little") == size
    at, content, last = 9, b"", False
    while not last:
        head = int.from_bytes(frame[at : at + 3], "little")
        last, kind, length = bool(head & 1), head >> 1 & 3, head >> 3
        assert kind == 0
        content += frame[at + 3 : at + 3 + length]
        at += 3 + length
    assert (content, at) == (data, len(frame))


@pytest.mark.parametrize(
    ("err", "text"),
    [
        ("BlockhashNotFound", "Blockhash not found"),
        ("Unheard", "Unheard"),
        ({"InstructionError": [2, {"Custom": 6001}]}, "Error processing Instruction 2: custom program error: 0x1771"),
        ({"InstructionError": [0, "Immutable"]}, "Error processing Instruction 0: Account is immutable"),
        ({"DuplicateInstruction": 1}, "Transaction contains a duplicate instruction (1) that is not allowed"),
        (
            {"InsufficientFundsForRent": {"account_index": 1}},
            "Transaction results in an account (1) with insufficient funds for rent",
        ),
        ({"Else": 1}, "{'Else': 1}"),
    ],
)
def test_errors_in_words(err: object, text: str) -> None:
    assert error_text(err) == text

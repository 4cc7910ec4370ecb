"""The schema, what is generated from it, and the codec: one description, the same bytes everywhere."""

from __future__ import annotations

import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from settlement.program import accounts, events, failures, generate, instructions, schema
from settlement.program.addresses import Addresses
from settlement.program.codec import CallLayout, LayoutError, Record
from settlement.program.layout import EVENT_TAG, Call, offsets

ROOT = Path(__file__).parents[3]
RECORDS = (*accounts.ACCOUNTS, *events.EVENTS)
_RANGES = {"B": 8, "H": 16, "I": 32, "Q": 64}


def test_the_generated_files_are_those_of_the_schema() -> None:
    stale = [str(path) for path, text in generate.files().items() if (ROOT / path).read_text() != text]
    assert stale == [], "run `python -m settlement.program.generate`"


def test_every_field_lies_on_its_natural_boundary_and_accounts_end_on_eight_bytes() -> None:
    for account in schema.ACCOUNTS:
        assert offsets(account.fields)
        assert account.size % 8 == 0, account.name


def test_discriminators_are_anchors_and_differ() -> None:
    assert sha256(b"event:x").digest()[:8] != EVENT_TAG
    assert int.from_bytes(EVENT_TAG, "big") == int.from_bytes(sha256(b"anchor:event").digest()[:8], "little")
    groups: tuple[list[bytes], ...] = (
        [one.discriminator for one in schema.ACCOUNTS],
        [one.discriminator for one in schema.EVENTS],
        [one.discriminator for one in schema.CALLS],
    )
    for group in groups:
        assert len(set(group)) == len(group)


def test_refusals_are_numbered_without_a_gap_and_have_texts() -> None:
    assert [one.number for one in schema.FAILURES] == list(range(6000, 6000 + len(schema.FAILURES)))
    assert set(failures.TEXTS) == set(failures.Failure)


@st.composite
def records(draw: st.DrawFn) -> Record:
    kind = draw(st.sampled_from(RECORDS))
    return kind.decode(_bytes_of(draw, kind))


def _bytes_of(draw: st.DrawFn, kind: type[Record]) -> bytes:
    values: list[object] = []
    for one in _items(kind.LAYOUT.format[1:]):
        if one.endswith("s"):
            values.append(draw(st.binary(min_size=32, max_size=32)))
        elif one == "?":
            values.append(draw(st.booleans()))
        elif one == "q":
            values.append(draw(st.integers(-(2**63), 2**63 - 1)))
        elif not one.endswith("x"):
            values.append(draw(st.integers(0, 2 ** _RANGES[one] - 1)))
    return kind.DISCRIMINATOR + kind.LAYOUT.pack(*values)


def _items(layout: str) -> list[str]:
    found, digits = [], ""
    for letter in layout:
        if letter.isdigit():
            digits += letter
        else:
            found.append(digits + letter)
            digits = ""
    return found


@given(records())
def test_records_come_back(record: Record) -> None:
    assert type(record).decode(record.encode()) == record
    assert len(record.encode()) == type(record).SIZE


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_other_bytes_are_refused(kind: type[Record]) -> None:
    good = kind.DISCRIMINATOR + bytes(kind.SIZE - 8)
    kind.decode(good)
    for wrong in (good[:-1], good + b"\0", bytes([good[0] ^ 1]) + good[1:], b""):
        with pytest.raises(LayoutError):
            kind.decode(wrong)


@pytest.mark.parametrize("call", schema.CALLS, ids=lambda call: call.name)
def test_instructions_name_accounts_in_the_order_of_the_schema(call: Call) -> None:
    program = Pubkey.new_unique()
    keys = {slot.name: Pubkey.new_unique() for slot in call.accounts if not slot.address and slot.name != "program"}
    values: dict[str, Any] = {
        field.name: bytes(range(32)) if field.kind.python == "bytes" else True if field.kind.python == "bool" else 7
        for field in call.args
    }
    made = getattr(instructions, call.name)(program, **keys, **values)
    assert made.program_id == program
    assert [meta.pubkey for meta in made.accounts] == [
        Pubkey.from_string(slot.address) if slot.address else keys.get(slot.name, program) for slot in call.accounts
    ]
    assert [(meta.is_signer, meta.is_writable) for meta in made.accounts] == [
        (slot.signer, slot.writable) for slot in call.accounts
    ]
    layout: CallLayout = getattr(instructions, call.name.upper())
    assert len(made.data) == call.size == layout.size
    assert layout.decode(made.data) == values


def test_an_absent_account_is_the_program_itself() -> None:
    program = Pubkey.new_unique()
    call = next(one for one in schema.CALLS if one.name == "settle")
    needed = [slot for slot in call.accounts if not (slot.optional or slot.address or slot.name == "program")]
    keys = {slot.name: Pubkey.new_unique() for slot in needed}
    values: dict[str, Any] = {field.name: bytes(32) if field.kind.python == "bytes" else 1 for field in call.args}
    made = instructions.settle(program, **{**values, **keys})
    for slot, meta in zip(call.accounts, made.accounts, strict=True):
        if slot.optional:
            assert (meta.pubkey, meta.is_signer, meta.is_writable) == (program, False, False)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LayoutError):
        instructions.DEPOSIT.encode(2**64)
    with pytest.raises(LayoutError):
        instructions.REGISTER.encode(1, b"short")
    with pytest.raises(LayoutError):
        instructions.DEPOSIT.decode(instructions.WITHDRAW.encode(1))


def test_settle_has_the_size_that_its_transaction_was_computed_with() -> None:
    assert instructions.SETTLE.size == 8 + 142 + 56


def test_the_idl_says_what_anchor_asks() -> None:
    idl = json.loads((ROOT / "programs/settlement/idl/settlement.json").read_text())
    assert idl["metadata"]["spec"] == "0.1.0"
    types = {one["name"] for one in idl["types"]}
    assert {one["name"] for one in (*idl["accounts"], *idl["events"])} == types
    for account in schema.ACCOUNTS:
        fields = next(one["type"]["fields"] for one in idl["types"] if one["name"] == account.name)
        assert 8 + sum(_idl_size(field["type"]) for field in fields) == account.size


def _idl_size(kind: Any) -> int:
    if isinstance(kind, dict):
        of, count = kind["array"]
        return int(count) * _idl_size(of)
    return {"pubkey": 32, "bool": 1}.get(kind) or int(kind[1:]) // 8


def test_addresses_follow_from_what_they_name() -> None:
    at, wallet, mint = Addresses(Pubkey.new_unique()), Pubkey.new_unique(), Pubkey.new_unique()
    escrow = at.escrow(wallet, mint)
    found = {
        at.config(), at.event_authority(), at.program_data(), at.mint_rule(mint), at.participant(wallet), escrow,
        at.vault(escrow), at.line(escrow, wallet), at.unpaid(wallet, escrow), at.trade(bytes(32)),
    }  # fmt: skip
    assert len(found) == 10
    assert not any(address.is_on_curve() for address in found)
    assert Addresses(Pubkey.new_unique()).config() != at.config()


def test_layouts_are_those_that_struct_packs() -> None:
    for record in RECORDS:
        assert struct.calcsize(record.LAYOUT.format) + 8 == record.SIZE

"""Events come out of what a node tells of a transaction, and only those that the program itself told."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from settlement.exchange import to_base58
from settlement.program import events
from settlement.program.history import HistoryError, read_transaction
from settlement.program.layout import EVENT_TAG

PROGRAM, OTHER, WALLET = Pubkey.from_bytes(bytes([5]) * 32), Pubkey.from_bytes(bytes([6]) * 32), Keypair()
DEPOSITED = events.Deposited(bytes([7]) * 32, 1_000, 3_000, 4)
OPENED = events.LineOpened(bytes([8]) * 32, bytes([9]) * 32, bytes([10]) * 32, 77)


def transaction() -> VersionedTransaction:
    calls = [Instruction(program, b"x", [AccountMeta(WALLET.pubkey(), True, True)]) for program in (PROGRAM, OTHER)]
    return VersionedTransaction(MessageV0.try_compile(WALLET.pubkey(), calls, [], Hash.default()), [WALLET])


def told(encoding: str = "json", **meta: Any) -> dict[str, Any]:
    made = transaction()
    keys = [str(key) for key in made.message.account_keys]
    whole: Any = {"signatures": [str(made.signatures[0])], "message": {"accountKeys": keys}}
    if encoding == "base64":
        whole = [base64.b64encode(bytes(made)).decode(), "base64"]
    call = {"programIdIndex": keys.index(str(PROGRAM)), "data": to_base58(EVENT_TAG + DEPOSITED.encode())}
    known = {
        "err": None,
        "fee": 5_000,
        "computeUnitsConsumed": 4_321,
        "innerInstructions": [{"index": 0, "instructions": [call]}],
        "logMessages": [
            f"Program {PROGRAM} invoke [1]",
            f"Program data: {base64.b64encode(OPENED.encode()).decode()}",
            f"Program {PROGRAM} success",
        ],
    }
    return {"slot": 9, "transaction": whole, "meta": known | meta}


@pytest.mark.parametrize("encoding", ["json", "base64"])
def test_both_ways_of_telling_are_read(encoding: str) -> None:
    found = read_transaction(told(encoding), PROGRAM)
    assert found.events == (DEPOSITED, OPENED)
    assert (found.slot, found.error, found.units, found.fee) == (9, None, 4_321, 5_000)
    assert found.signature == str(transaction().signatures[0])
    assert found.event(events.LineOpened) == OPENED
    assert found.event(events.Settled) is None


def test_what_another_program_says_is_not_ours() -> None:
    assert read_transaction(told(), OTHER).events == ()
    line = f"Program data: {base64.b64encode(OPENED.encode()).decode()}"
    logs = [f"Program {PROGRAM} invoke [1]", f"Program {OTHER} invoke [2]", line, f"Program {OTHER} success"]
    assert read_transaction(told(logMessages=logs), PROGRAM).events == (DEPOSITED,)


def test_a_transaction_that_failed_did_nothing() -> None:
    found = read_transaction(told(err={"InstructionError": [0, {"Custom": 6016}]}), PROGRAM)
    assert found.events == ()
    assert found.error == {"InstructionError": [0, {"Custom": 6016}]}


def test_an_account_from_a_lookup_table_is_counted() -> None:
    call = {"programIdIndex": 3, "data": to_base58(EVENT_TAG + DEPOSITED.encode())}
    inner = [{"index": 0, "instructions": [call]}]
    found = read_transaction(told(innerInstructions=inner, loadedAddresses={"readonly": [str(PROGRAM)]}), PROGRAM)
    assert DEPOSITED in found.events


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"slot": 1, "transaction": None, "meta": {}},
        told() | {"transaction": ["!", "base64"]},
        told() | {"transaction": ["", "base58"]},
        told(innerInstructions=[{"index": 0, "instructions": [{"programIdIndex": 99, "data": "1"}]}]),
        told(innerInstructions=[{"index": 0, "instructions": [{"programIdIndex": 1, "data": "0"}]}]),
        told(logMessages=[f"Program {PROGRAM} invoke [1]", "Program data: AAAAAAAAAAAAAAAA"]),
    ],
)
def test_what_cannot_be_read_is_one_error(broken: dict[str, Any]) -> None:
    with pytest.raises(HistoryError):
        read_transaction(broken, PROGRAM)

"""Transactions against the bytes of solders, and the precompile's layout against its own virtual machine."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import TransactionMetadata

from settlement.keys import SeedKey
from settlement.signing import SignatureKind, signed_bytes
from settlement.transaction import (
    ED25519_PROGRAM,
    TRANSACTION_BYTES_MAX,
    Consent,
    TransactionError,
    compile_message,
    consent,
    sign_message,
    signers_of,
)

BLOCKHASH = bytes(range(32))
BATTERY, BUYER, PAYER = (SeedKey(bytes((n,)) * 32) for n in (1, 2, 3))


def given_by(signer: SeedKey, digest: bytes) -> Consent:
    message = signed_bytes(SignatureKind.RECEIPT, digest)
    return Consent(signer.public_key, signer.sign(message), message)


def test_a_transfer_is_the_transaction_that_solders_makes() -> None:
    ix = transfer(TransferParams(from_pubkey=_key(PAYER), to_pubkey=Pubkey.default(), lamports=7))
    message = compile_message(PAYER.public_key, [ix], BLOCKHASH, units=450, price=3)
    signed = sign_message(message, [BATTERY, PAYER])
    parsed = VersionedTransaction.from_bytes(signed.encoded)
    assert parsed.verify_with_results() == [True]
    assert bytes(parsed.signatures[0]) == signed.signature
    assert bytes(parsed.message.recent_blockhash) == BLOCKHASH
    assert signers_of(message) == (PAYER.public_key,)


def test_several_signers_sign_in_the_order_of_the_message() -> None:
    meta = [AccountMeta(_key(signer), is_signer=True, is_writable=False) for signer in (BATTERY, BUYER)]
    message = compile_message(
        PAYER.public_key, [Instruction(Pubkey.default(), b"", meta)], BLOCKHASH, units=450, price=0
    )
    signed = sign_message(message, [BUYER, BATTERY, PAYER])
    assert VersionedTransaction.from_bytes(signed.encoded).verify_with_results() == [True] * 3
    with pytest.raises(TransactionError, match="must sign, and its key is not here"):
        sign_message(message, [BUYER, PAYER])


class Broken:
    """A device that returns something."""

    public_key = PAYER.public_key

    def __init__(self, signature: bytes) -> None:
        self._signature = signature

    def sign(self, data: bytes) -> bytes:
        return self._signature


@pytest.mark.parametrize("signature", [b"", bytes(64), BATTERY.sign(b"x"), PAYER.sign(b"another message")])
def test_a_signature_that_does_not_hold_is_not_sent(signature: bytes) -> None:
    ix = transfer(TransferParams(from_pubkey=_key(PAYER), to_pubkey=Pubkey.default(), lamports=7))
    message = compile_message(PAYER.public_key, [ix], BLOCKHASH, units=450, price=0)
    with pytest.raises(TransactionError, match="did not sign"):
        sign_message(message, [Broken(signature)])


@given(extra=st.integers(0, 40))
def test_what_does_not_fit_is_refused_before_anybody_signs(extra: int) -> None:
    empty = compile_message(PAYER.public_key, [Instruction(_key(BUYER), b"", [])], BLOCKHASH, units=9, price=0)
    room = TRANSACTION_BYTES_MAX - 65 - len(empty) - 1  # from 128 bytes on the length takes a second byte
    ix = Instruction(_key(BUYER), bytes(room - 20 + extra), [])
    if extra > 20:
        with pytest.raises(TransactionError, match=f"{1212 + extra} bytes with its signatures, a packet holds 1232"):
            compile_message(PAYER.public_key, [ix], BLOCKHASH, units=9, price=0)
    else:
        message = compile_message(PAYER.public_key, [ix], BLOCKHASH, units=9, price=0)
        assert len(sign_message(message, [PAYER]).encoded) == 1212 + extra


@pytest.mark.parametrize(
    ("payer", "blockhash", "units"), [(b"", BLOCKHASH, 1), (bytes(32), b"", 1), (bytes(32), BLOCKHASH, 0)]
)
def test_bytes_of_another_length_and_no_units_are_refused(payer: bytes, blockhash: bytes, units: int) -> None:
    with pytest.raises(ValueError, match=r"32|units"):
        compile_message(payer, [], blockhash, units=units, price=0)


def test_one_message_under_two_signatures_travels_once() -> None:
    both = [given_by(BATTERY, bytes(32)), given_by(BUYER, bytes(32))]
    data = bytes(consent(both).data)
    assert len(data) == 2 + 2 * 14 + 2 * 96 + 47
    assert data[:2] == b"\x02\x00"
    none = 0xFFFF
    assert struct.unpack("<14H", data[2:30]) == (62, none, 30, none, 222, 47, none, 158, none, 126, none, 222, 47, none)
    assert data[30:62] == BATTERY.public_key
    assert data[62:126] == both[0].signature
    assert data[126:158] == BUYER.public_key
    assert data[222:] == both[0].message


def test_two_messages_travel_in_order() -> None:
    both = [given_by(BATTERY, bytes(32)), given_by(BUYER, b"\x01" * 32)]
    data = bytes(consent(both).data)
    assert len(data) == 2 + 2 * 14 + 2 * 96 + 2 * 47
    assert data[222:269] == both[0].message
    assert data[269:] == both[1].message
    assert struct.unpack_from("<H", data, 2 + 14 + 8) == (269,)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_the_precompile_accepts_it_and_refuses_a_forged_one(count: int, *, shared: bool) -> None:
    machine = LiteSVM().with_blockhash_check(False)
    machine.airdrop(_key(PAYER), 10**9)
    parties = [given_by((BATTERY, BUYER, PAYER)[n], bytes((0 if shared else n,)) * 32) for n in range(count)]
    assert isinstance(_run(machine, parties), TransactionMetadata)
    forged = [*parties[:-1], Consent(parties[-1].public_key, PAYER.sign(b"something else"), parties[-1].message)]
    assert not isinstance(_run(machine, forged), TransactionMetadata)


def _run(machine: LiteSVM, parties: list[Consent]) -> object:
    message = compile_message(PAYER.public_key, [consent(parties)], BLOCKHASH, units=2_000, price=0)
    return machine.send_transaction(VersionedTransaction.from_bytes(sign_message(message, [PAYER]).encoded))


@pytest.mark.parametrize(
    "parties",
    [
        [],
        [Consent(b"", bytes(64), bytes(47))],
        [Consent(bytes(32), bytes(63), bytes(47))],
        [Consent(bytes(32), bytes(64), bytes(48))],
    ],
)
def test_consent_of_nobody_or_of_other_sizes_is_refused(parties: list[Consent]) -> None:
    with pytest.raises(TransactionError):
        consent(parties)


def test_the_instruction_names_no_account() -> None:
    made = consent([given_by(BATTERY, bytes(32))])
    assert made.program_id == ED25519_PROGRAM
    assert made.accounts == []


def _key(signer: SeedKey) -> Pubkey:
    return Pubkey.from_bytes(signer.public_key)

"""Transactions as bytes: compute budget, instructions, blockhash, then the signatures of whoever must sign.

A transaction is made in two steps, so that nothing is signed that cannot be sent: `compile_message` gives the bytes
that signatures cover and refuses what would not fit, `sign_message` has them signed, in the order that the message
wants, and looks at every signature before it believes it. Version 0 messages, no lookup tables.

`consent` is the instruction by which a party that is not there signs all the same: the Ed25519 precompile, in the one
layout that the program takes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import CompileError, MessageV0, from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey

from settlement.errors import SettlementError
from settlement.strict import KEY_BYTES, SIGNATURE_BYTES, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auth import Signer

TRANSACTION_BYTES_MAX: Final = 1_232
"""What fits into one packet of the cluster, signatures included."""
MESSAGE_BYTES: Final = 47
"""Of a message under consent: `settlement.signing.signed_bytes`."""
ED25519_PROGRAM: Final = Pubkey.from_string("Ed25519SigVerify111111111111111111111111111")
_OFFSETS: Final = struct.Struct("<7H")
_THIS_INSTRUCTION: Final = 0xFFFF
_UNITS_MAX: Final = 1_400_000


class TransactionError(SettlementError):
    """A transaction that cannot be made: too large, or somebody who must sign does not."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One signature for the precompile: whose (32 bytes), the signature (64), and the 47 bytes it covers."""

    public_key: bytes
    signature: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes to send, and the signature that names them: the payer's."""

    encoded: bytes
    signature: bytes


def consent(parties: Sequence[Consent]) -> Instruction:
    """Return the precompile instruction for these signatures, in this order. Raises TransactionError.

    Layout: count, padding 0, 14 bytes of offsets each; then each party's key and signature; then the message, once
    where all signed the same, else each one's in order.
    """
    if not parties:
        raise TransactionError("nobody's consent: the precompile would accept it and the program would not")
    for party in parties:
        sizes = (len(party.public_key), len(party.signature), len(party.message))
        if sizes != (KEY_BYTES, SIGNATURE_BYTES, MESSAGE_BYTES):
            raise TransactionError(f"consent of {sizes} bytes, not {(KEY_BYTES, SIGNATURE_BYTES, MESSAGE_BYTES)}")
    shared = len({party.message for party in parties}) == 1
    keys_at = 2 + _OFFSETS.size * len(parties)
    messages_at = keys_at + (KEY_BYTES + SIGNATURE_BYTES) * len(parties)
    head = bytes((len(parties), 0))
    for place in range(len(parties)):
        key_at = keys_at + (KEY_BYTES + SIGNATURE_BYTES) * place
        message_at = messages_at + (0 if shared else MESSAGE_BYTES * place)
        here = _THIS_INSTRUCTION
        head += _OFFSETS.pack(key_at + KEY_BYTES, here, key_at, here, message_at, MESSAGE_BYTES, here)
    body = b"".join(party.public_key + party.signature for party in parties)
    messages = parties[0].message if shared else b"".join(party.message for party in parties)
    return Instruction(ED25519_PROGRAM, head + body + messages, [])


def compile_message(
    payer: bytes, instructions: Sequence[Instruction], blockhash: bytes, *, units: int, price: int
) -> bytes:
    """Return the bytes to be signed; `units` is the compute limit, `price` millionths of a lamport a unit.

    Raises TransactionError for what would not fit with its signatures, and ValueError for numbers out of range.
    """
    if not 0 < units <= _UNITS_MAX:
        raise ValueError(f"{units} compute units, a transaction may have 1 to {_UNITS_MAX}")
    budget = [set_compute_unit_limit(units)]
    if price:
        budget.append(set_compute_unit_price(price))
    try:
        message = MessageV0.try_compile(_address(payer), [*budget, *instructions], [], _hash(blockhash))
    except CompileError as error:
        raise TransactionError(f"cannot be compiled: {error}") from error
    encoded = to_bytes_versioned(message)
    size = 1 + SIGNATURE_BYTES * message.header.num_required_signatures + len(encoded)
    if size > TRANSACTION_BYTES_MAX:
        raise TransactionError(f"{size} bytes with its signatures, a packet holds {TRANSACTION_BYTES_MAX}")
    return encoded


def signers_of(message: bytes) -> tuple[bytes, ...]:
    """Return the keys that must sign a message, the payer first."""
    parsed = from_bytes_versioned(message)
    return tuple(bytes(key) for key in parsed.account_keys[: parsed.header.num_required_signatures])


def sign_message(message: bytes, signers: Sequence[Signer]) -> SignedTransaction:
    """Return the transaction, signed by all who must. Raises TransactionError when one is missing or signs badly."""
    by_key = {signer.public_key: signer for signer in signers}
    signatures = []
    for key in signers_of(message):
        signer = by_key.get(key)
        if signer is None:
            raise TransactionError(f"{Pubkey.from_bytes(key)} must sign, and its key is not here")
        signature = signer.sign(message)
        problem = refusal(key, signature, message)
        if problem is not None:
            raise TransactionError(f"{Pubkey.from_bytes(key)} did not sign: {problem}")
        signatures.append(signature)
    encoded = bytes((len(signatures),)) + b"".join(signatures) + message
    return SignedTransaction(encoded, signatures[0])


def _address(key: bytes) -> Pubkey:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes, not {KEY_BYTES}")
    return Pubkey.from_bytes(key)


def _hash(value: bytes) -> Hash:
    if len(value) != KEY_BYTES:
        raise ValueError(f"a blockhash of {len(value)} bytes, not {KEY_BYTES}")
    return Hash.from_bytes(value)

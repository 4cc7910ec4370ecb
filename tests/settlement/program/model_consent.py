"""Who has agreed: wallets that signed the transaction, and the Ed25519 instruction right before ours."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.errors import TermsError
from settlement.program.failures import Failure
from settlement.signing import SignatureKind, signed_bytes
from settlement.statements import Registration
from settlement.strict import refusal
from tests.settlement.program.model_world import ED25519, INSTRUCTIONS, Clock, Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settlement.program.accounts import Participant

ENTRY: Final = struct.Struct("<HHHHHHH")
KEY_AND_SIGNATURE: Final = 96
MESSAGE: Final = 47
HERE: Final = 0xFFFF


class Proof(NamedTuple):
    """One entry that must stand in the Ed25519 instruction: any of these keys, over this message."""

    keys: tuple[bytes, ...]
    message: bytes


def head(count: int, messages: int) -> bytes:
    """Return the only beginning that counts: `count` entries over one message each, or all over one."""
    start = 2 + ENTRY.size * count
    after = start + KEY_AND_SIGNATURE * count
    entries = b""
    for index in range(count):
        key = start + KEY_AND_SIGNATURE * index
        message = after + MESSAGE * min(index, messages - 1)
        entries += ENTRY.pack(key + 32, HERE, key, HERE, message, MESSAGE, HERE)
    return bytes((count, 0)) + entries


def ed25519_data(proofs: list[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return the instruction's data for (key, signature, message); equal messages stand there once."""
    messages = list(dict.fromkeys(message for _, _, message in proofs))
    keys = b"".join(key + signature for key, signature, _ in proofs)
    return head(len(proofs), len(messages)) + keys + b"".join(messages)


def keys_of(participant: Participant, clock: Clock) -> tuple[bytes, ...]:
    """Return the keys that sign for a Participant now."""
    if clock.now < participant.previous_until:
        return (participant.signing_key, participant.previous_key)
    return (participant.signing_key,)


def wallet_signs(frame: Frame, slot: str, participant: Participant | None) -> bool:
    """Whether a party is there itself; a wallet that stands in the slot must be the party's and must have signed."""
    if not frame.has(slot):
        return False
    frame.expect(None if participant is None else frame.key(slot) == participant.wallet, Failure.BAD_ACCOUNT)
    frame.signed(slot)
    return True


def require(frame: Frame, proofs: list[Proof]) -> None:
    """End the stage of consent. Raises Refused unless the instruction before proves all that is missing."""
    frame.expect(frame.call.depth == 1, Failure.INSIDE_CPI)
    frame.stage()
    if not proofs:
        return
    frame.expect(frame.key("instructions") == INSTRUCTIONS, Failure.BAD_ACCOUNT, Failure.SIGNATURE_MISSING)
    frame.stage()
    before = frame.call.before
    if before is None or before[0] != ED25519:
        frame.expect(False, Failure.SIGNATURE_MISSING)
    else:
        _match(frame, before[1], proofs)
    frame.stage()


def _match(frame: Frame, data: bytes, proofs: list[Proof]) -> None:
    messages = list(dict.fromkeys(proof.message for proof in proofs))
    beginning = head(len(proofs), len(messages))
    size = len(beginning) + KEY_AND_SIGNATURE * len(proofs) + MESSAGE * len(messages)
    if not data.startswith(beginning) or len(data) != size:
        frame.expect(False, Failure.SIGNATURE_LAYOUT)
        return
    for index, proof in enumerate(proofs):
        at = len(beginning) + KEY_AND_SIGNATURE * index
        frame.expect(data[at : at + 32] in proof.keys, Failure.DIGEST_MISMATCH)
    frame.expect(data[size - MESSAGE * len(messages) :] == b"".join(messages), Failure.DIGEST_MISMATCH)


def new_key(frame: Frame, genesis: bytes, wallet: bytes, key: bytes) -> list[Proof]:
    """Return what proves that the holder of a new signing key agrees."""
    try:
        registration = Registration(program_id=frame.world.program_id, genesis_hash=genesis, wallet=wallet, key=key)
    except TermsError:  # no such key can sign: the precompile refuses it before we are asked
        return [Proof((), bytes(MESSAGE))]
    return [Proof((key,), signed_bytes(SignatureKind.REGISTRATION, registration.digest))]


def precompile_takes(transaction: Sequence[bytes], own: int) -> bool:
    """Whether the Ed25519 precompile itself is content: it looks for keys, signatures and messages where it is told to.

    `transaction` is the data of all instructions, `own` the index of this one.
    """
    data = transaction[own]
    if len(data) < 2 or (data[0] == 0 and len(data) > 2) or len(data) < 2 + ENTRY.size * data[0]:
        return False
    entries = (ENTRY.unpack_from(data, 2 + ENTRY.size * index) for index in range(data[0]))
    return all(_holds(transaction, entry, own) for entry in entries)


def _holds(transaction: Sequence[bytes], entry: tuple[int, ...], own: int) -> bool:
    signature, signature_at, key, key_at, message, size, message_at = entry
    found = []
    for start, length, place in ((key, 32, key_at), (signature, 64, signature_at), (message, size, message_at)):
        index = own if place == HERE else place
        if index >= len(transaction) or start + length > len(transaction[index]):
            return False
        found.append(transaction[index][start : start + length])
    return refusal(*found) is None

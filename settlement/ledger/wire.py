"""A transaction as it came: decoded, checked for shape, with what the ledger asks of it again and again.

A transaction that is no such thing is a ParamsError in a validator's words; nothing here looks at an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.message import Message, MessageV0
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import SanitizeError, VersionedTransaction

from settlement.ledger.errors import ParamsError
from settlement.ledger.limits import TRANSACTION_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solders.hash import Hash
    from solders.instruction import CompiledInstruction
    from solders.pubkey import Pubkey
    from solders.signature import Signature

_ADVANCE_NONCE: Final = (4).to_bytes(4, "little")
_SIGNATURE_BYTES: Final = 64
_HEADER_BYTES: Final = 3
_KEY_BYTES: Final = 32
TYPE_NAME: Final = "solana_transaction::versioned::VersionedTransaction"


@dataclass(frozen=True, slots=True)
class Received:
    """One well-formed transaction. It is the same as another when its message is."""

    wire: bytes
    transaction: VersionedTransaction
    message: Message | MessageV0
    digest: bytes
    """The hash of the signed message."""

    @property
    def signature(self) -> Signature:
        """The payer's, which names the transaction."""
        return self.transaction.signatures[0]

    @property
    def keys(self) -> list[Pubkey]:
        """The accounts that the message itself lists; the payer is the first."""
        return self.message.account_keys

    @property
    def blockhash(self) -> Hash:
        """A recent blockhash, or the value of a nonce account."""
        return self.message.recent_blockhash

    @property
    def instructions(self) -> Sequence[CompiledInstruction]:
        """What it asks for, in order."""
        return self.message.instructions

    @property
    def version(self) -> int | None:
        """0 for versioned messages, None for legacy ones."""
        return 0 if isinstance(self.message, MessageV0) else None

    def is_signed(self) -> bool:
        """Whether every signature is good."""
        return all(self.transaction.verify_with_results())

    def is_writable(self, index: int) -> bool:
        """Whether the message asks to write the account that it lists at `index`."""
        header = self.message.header
        signers = header.num_required_signatures
        if index < signers:
            return index < signers - header.num_readonly_signed_accounts
        return index < len(self.keys) - header.num_readonly_unsigned_accounts

    def on_blockhash(self, blockhash: bytes) -> VersionedTransaction:
        """Return the same with another blockhash of 32 bytes, which its signatures do not cover."""
        signatures, version = len(self.transaction.signatures), isinstance(self.message, MessageV0)
        at = _count_bytes(signatures) + _SIGNATURE_BYTES * signatures + version + _HEADER_BYTES
        at += _count_bytes(len(self.keys)) + _KEY_BYTES * len(self.keys)
        return VersionedTransaction.from_bytes(self.wire[:at] + blockhash + self.wire[at + len(blockhash) :])

    def nonce_account(self) -> Pubkey | None:
        """Return the account whose nonce stands in place of a blockhash, None for an ordinary transaction."""
        first = self.instructions[0] if self.instructions else None
        if first is None or self.keys[first.program_id_index] != SYSTEM_PROGRAM:
            return None
        accounts = bytes(first.accounts)
        if bytes(first.data[:4]) != _ADVANCE_NONCE or not accounts or accounts[0] >= len(self.keys):
            return None
        return self.keys[accounts[0]] if self.is_writable(accounts[0]) else None

    def signs_first_instruction(self, key: bytes) -> bool:
        """Whether this key is among the signers that the first instruction names."""
        signers = self.message.header.num_required_signatures
        named = bytes(self.instructions[0].accounts)
        return any(index < signers and bytes(self.keys[index]) == key for index in named)


def receive(wire: bytes) -> Received:
    """Decode a transaction. Raises ParamsError for what is none, or is longer than a packet."""
    if len(wire) > TRANSACTION_BYTES_MAX:
        raise ParamsError(f"decoded {TYPE_NAME} too large: {len(wire)} bytes (max: {TRANSACTION_BYTES_MAX} bytes)")
    try:
        transaction = VersionedTransaction.from_bytes(wire)
    except ValueError as error:
        raise ParamsError(f"failed to deserialize {TYPE_NAME}: {error}") from None
    try:
        transaction.sanitize()
    except SanitizeError as error:
        raise ParamsError(f"invalid transaction: {error}") from None
    message = transaction.message
    if not isinstance(message, Message | MessageV0):
        raise ParamsError("invalid transaction: Transaction version is unsupported")
    return Received(bytes(transaction), transaction, message, bytes(message.hash()))


def _count_bytes(count: int) -> int:
    """Return how many bytes a length takes in a transaction."""
    return 1 if count < 1 << 7 else 2

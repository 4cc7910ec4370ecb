"""Signatures about money: 47 bytes that say what is signed, never a bare hash (docs/contract.md).

Contract and receipt must be signed by the very key that the contract's device ids name, so a signature cannot be moved
to another party. Every check is strict (`settlement.strict`); there is no other way in this room to accept a signature.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from settlement.errors import SignatureRefusedError, TermsError
from settlement.keys import device_id
from settlement.strict import SIGNATURE_BYTES, refusal
from settlement.values import HASH_BYTES

if TYPE_CHECKING:
    from etp.auth import Signer
    from settlement.contract import Contract
    from settlement.receipt import Receipt

Party: TypeAlias = Literal["battery", "buyer"]

DOMAIN: Final = b"\xffwattbid-sign"
VERSION: Final = 1


class SignatureKind(IntEnum):
    """What a digest is of."""

    CONTRACT = 1
    RECEIPT = 2
    REGISTRATION = 3
    BINDING = 4


def signed_bytes(kind: SignatureKind, digest: bytes) -> bytes:
    """Return the 47 bytes that a signature covers. Raises ValueError unless the digest has 32 bytes."""
    if len(digest) != HASH_BYTES:
        raise ValueError(f"a digest has {HASH_BYTES} bytes, not {len(digest)}")
    return DOMAIN + bytes((SignatureKind(kind), VERSION)) + digest


def sign(kind: SignatureKind, digest: bytes, signer: Signer) -> bytes:
    """Return a key's signature over a digest. Raises SignatureRefusedError when the signer returns no signature."""
    signature = signer.sign(signed_bytes(kind, digest))
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureRefusedError(f"the signer returned {len(signature)} bytes, not {SIGNATURE_BYTES}")
    return signature


def check(kind: SignatureKind, digest: bytes, public_key: bytes, signature: bytes) -> None:
    """Raise SignatureRefusedError, with the reason, unless the signature holds by the strict rules."""
    problem = refusal(public_key, signature, signed_bytes(kind, digest))
    if problem is not None:
        raise SignatureRefusedError(problem)


def sign_contract(contract: Contract, signer: Signer) -> bytes:
    """Return a party's signature. Raises TermsError when the signer is neither of the parties."""
    _require_party(contract, signer.public_key)
    return sign(SignatureKind.CONTRACT, contract.trade_id, signer)


def check_contract(contract: Contract, party: Party, public_key: bytes, signature: bytes) -> None:
    """Raise SignatureRefusedError unless this key is the party's and its signature of the contract holds."""
    _require_key_of(contract, party, public_key)
    check(SignatureKind.CONTRACT, contract.trade_id, public_key, signature)


def sign_receipt(receipt: Receipt, contract: Contract, signer: Signer) -> bytes:
    """Return a party's signature. Raises TermsError when the signer is no party, or the receipt of another trade."""
    _require_party(contract, signer.public_key)
    _require_trade(receipt, contract)
    return sign(SignatureKind.RECEIPT, receipt.digest, signer)


def check_receipt(receipt: Receipt, contract: Contract, party: Party, public_key: bytes, signature: bytes) -> None:
    """Raise SignatureRefusedError unless this key is the party's and its signature of the receipt holds.

    Raises TermsError when the receipt is of another trade.
    """
    _require_trade(receipt, contract)
    _require_key_of(contract, party, public_key)
    check(SignatureKind.RECEIPT, receipt.digest, public_key, signature)


def _require_trade(receipt: Receipt, contract: Contract) -> None:
    if receipt.trade_id != contract.trade_id:
        raise TermsError("trade_id", "the receipt is of another trade")


def _require_party(contract: Contract, public_key: bytes) -> None:
    if device_id(public_key) not in (contract.battery_device_id, contract.buyer_device_id):
        raise TermsError("signer", "its key is neither the battery's nor the buyer's")


def _require_key_of(contract: Contract, party: Party, public_key: bytes) -> None:
    expected = contract.battery_device_id if party == "battery" else contract.buyer_device_id
    if device_id(public_key) != expected:
        raise SignatureRefusedError(f"this is not the key of the {party} that the contract names")

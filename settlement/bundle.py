"""What anybody needs to check one trade by himself: contract, receipts, signatures, samples, and where it was paid.

A bundle is one JSON object; bytes are hex, transaction signatures base58. It proves nothing by itself but what its
signatures prove: `settlement.verifying` recomputes the rest.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

from settlement.base58 import from_base58
from settlement.cheque import Cheque
from settlement.contract import Contract
from settlement.errors import SettlementError, TermsError
from settlement.exchange import to_base58
from settlement.outbox_records import receipt_from_dict, receipt_to_dict

FORMAT: Final = "wattbid-trade"
VERSION: Final = 1
BUNDLE_BYTES_MAX: Final = 16 * 1024 * 1024
_SIGNATURE_BYTES: Final = 64


class BundleError(SettlementError):
    """A file that is no bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The metered samples of a delivery, in portions as they were recorded, and who else the counter served."""

    portions: tuple[bytes, ...]
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One trade as one of its parties hands it on."""

    cheque: Cheque
    stage: str
    """How far it was when it was exported."""
    signature: bytes | None = None
    """Of the transaction that ended it, 64 bytes; None: not known to who exported it."""
    evidence: Evidence | None = None

    def to_json(self) -> str:
        """Return it as text."""
        cheque, evidence = self.cheque, self.evidence
        body = {
            "format": FORMAT,
            "version": VERSION,
            "trade_id": cheque.trade_id.hex(),
            "role": cheque.role,
            "stage": self.stage,
            "contract": cheque.contract.encoded.hex(),
            "battery_key": cheque.battery_key.hex(),
            "buyer_key": cheque.buyer_key.hex(),
            "battery_signature": cheque.battery_signature.hex(),
            "buyer_signature": cheque.buyer_signature.hex(),
            "interim": receipt_to_dict(cheque.interim),
            "final": receipt_to_dict(cheque.final),
            "transaction": None if self.signature is None else to_base58(self.signature),
            "evidence": None if evidence is None else _evidence_to_dict(evidence),
        }
        return json.dumps(body, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Bundle:
        """Return the bundle in a text; whether anything in it is true is not looked at. Raises BundleError."""
        if len(text) > BUNDLE_BYTES_MAX:
            raise BundleError(f"more than {BUNDLE_BYTES_MAX} characters are no trade's bundle")
        try:
            return _bundle(json.loads(text))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, TermsError) as error:
            raise BundleError(f"not a trade's bundle: {error}") from error


def _bundle(body: Any) -> Bundle:
    if body["format"] != FORMAT or body["version"] != VERSION:
        raise ValueError(f"format {body['format']!r} version {body['version']!r}, this reads {FORMAT!r} {VERSION}")
    cheque = Cheque(
        role="battery" if body["role"] == "battery" else "buyer",
        contract=Contract.decode(bytes.fromhex(body["contract"])),
        interim=receipt_from_dict(body["interim"]),
        final=receipt_from_dict(body["final"]),
        **{name: bytes.fromhex(body[name]) for name in _SIGNED},
    )
    if body["trade_id"] != cheque.trade_id.hex():
        raise ValueError("its trade_id is not the contract's hash")
    told = body["transaction"]
    return Bundle(
        cheque=cheque,
        stage=str(body["stage"]),
        signature=None if told is None else from_base58(told, field="transaction", size=_SIGNATURE_BYTES),
        evidence=None if body["evidence"] is None else _evidence(body["evidence"]),
    )


def _evidence_to_dict(evidence: Evidence) -> dict[str, Any]:
    portions = [base64.b64encode(portion).decode() for portion in evidence.portions]
    return {"portions": portions, "shared": list(evidence.shared)}


def _evidence(body: dict[str, Any]) -> Evidence:
    try:
        portions = tuple(base64.b64decode(portion, validate=True) for portion in body["portions"])
    except binascii.Error as error:
        raise ValueError(f"evidence: {error}") from error
    shared = body["shared"]
    if not all(isinstance(name, str) for name in shared):
        raise ValueError("evidence: a name that is no text")
    return Evidence(portions=portions, shared=tuple(shared))


_SIGNED: Final = ("battery_key", "buyer_key", "battery_signature", "buyer_signature")

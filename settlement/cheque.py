"""A cheque: a contract that both parties signed, with what both or one of them signed about the delivery.

With these bytes alone the battery can be paid, through any endpoint and while the buyer is gone. Cheques are values:
the rooms that learn something of a trade hand in what they know, and `merged` joins it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from settlement.errors import TermsError
from settlement.signing import Party, check_contract, check_receipt

if TYPE_CHECKING:
    from settlement.contract import Contract
    from settlement.receipt import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReceipt:
    """A receipt with the signatures that are known: 64 bytes each, None where a party has not signed it."""

    receipt: Receipt
    battery_signature: bytes | None = None
    buyer_signature: bytes | None = None

    @property
    def is_cosigned(self) -> bool:
        """Whether both parties stand for it."""
        return self.battery_signature is not None and self.buyer_signature is not None

    def merged(self, other: SignedReceipt | None) -> SignedReceipt:
        """Return this receipt with the signatures that another copy of it has. Raises TermsError if they differ."""
        if other is None:
            return self
        if other.receipt != self.receipt:
            raise TermsError("receipt", "two different ones of one kind")
        return SignedReceipt(
            receipt=self.receipt,
            battery_signature=self.battery_signature or other.battery_signature,
            buyer_signature=self.buyer_signature or other.buyer_signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheque:
    """One trade as one of its parties knows it."""

    role: Party
    """Whose knowledge this is."""
    contract: Contract
    battery_key: bytes
    buyer_key: bytes
    """The identity keys that signed the contract, 32 bytes each."""
    battery_signature: bytes
    buyer_signature: bytes
    interim: SignedReceipt | None = None
    """The co-signed receipt of the running delivery that says most."""
    final: SignedReceipt | None = None
    """There is one per trade."""

    @property
    def trade_id(self) -> bytes:
        """The 32 bytes that name the trade."""
        return self.contract.trade_id

    @property
    def most_units(self) -> int:
        """What it may come to at most, fee included, in base units: by its final receipt, else its whole reserve."""
        if self.final is None:
            return self.contract.reserve
        split = self.contract.split(self.final.receipt.delivered_wh)
        return split.payout + split.fee

    def check(self) -> None:
        """Verify every signature strictly. Raises SignatureRefusedError, or TermsError for what does not belong."""
        check_contract(self.contract, "battery", self.battery_key, self.battery_signature)
        check_contract(self.contract, "buyer", self.buyer_key, self.buyer_signature)
        for signed in (self.interim, self.final):
            if signed is None:
                continue
            if signed.receipt.final != (signed is self.final):
                raise TermsError("final", "an interim receipt as the last one, or the reverse")
            if signed.battery_signature is not None:
                check_receipt(signed.receipt, self.contract, "battery", self.battery_key, signed.battery_signature)
            if signed.buyer_signature is not None:
                check_receipt(signed.receipt, self.contract, "buyer", self.buyer_key, signed.buyer_signature)

    def merged(self, other: Cheque) -> Cheque:
        """Return what both copies know of one trade.

        Raises TermsError for copies of different trades or with different final receipts.
        """
        if other.trade_id != self.trade_id:
            raise TermsError("trade_id", "two different trades")
        final = other.final if self.final is None else self.final.merged(other.final)
        return replace(self, interim=_more(self.interim, other.interim), final=final)


def _more(one: SignedReceipt | None, other: SignedReceipt | None) -> SignedReceipt | None:
    if one is None or other is None:
        return one or other
    return other if other.receipt.delivered_wh > one.receipt.delivered_wh else one

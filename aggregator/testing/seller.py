"""A battery's side of settlement in a few lines: its keys, its terms, and what it signs. For tests and stand-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from settlement.contract import Contract, Venue
from settlement.keyring import KeyRing
from settlement.receipt import Receipt
from settlement.signing import sign_contract, sign_receipt
from settlement.terms import MarketTerms

if TYPE_CHECKING:
    from etp.extensions import Contract as WireContract
    from etp.extensions import Receipt as WireReceipt

TERMS: Final = MarketTerms(
    venue=Venue(program_id=bytes([4]) * 32, genesis_hash=bytes([5]) * 32, mint=bytes([6]) * 32),
    base_units_per_cent=10_000,
    fee_bps=50,
    dispute_window_s=86_400,
    resolver=bytes([9]) * 32,
)
BATTERY_KEYS: Final = KeyRing(bytes([1]) * 32)
BUYER_KEYS: Final = KeyRing(bytes([2]) * 32)


@dataclass
class Seller:
    """Signs what it is asked to sign."""

    keys: KeyRing = BATTERY_KEYS
    terms: MarketTerms = TERMS
    next_no: int = 0
    contracts: dict[int, Contract] = field(default_factory=dict)
    """What was accepted, by the bid's id."""

    @property
    def wallet(self) -> bytes:
        """Where it is paid."""
        return self.keys.public_keys["wallet"]

    def offer(self, **changes: Any) -> WireContract:
        """Return what its Register carries."""
        return self.terms.offer(self.wallet)._replace(**changes)

    def accept(
        self, bid: WireContract, *, buyer_key: bytes, bid_id: int, price_e4: int, energy_wh: int, **changes: Any
    ) -> WireContract:
        """Return what its Accept carries; `changes` are signed too."""
        wire = bid._replace(**{"contract_no": self.next_no, **changes})
        self.next_no += 1
        contract = self.terms.contract(
            wire,
            battery_key=self.keys.public_keys["identity"],
            buyer_key=buyer_key,
            message_id=bid_id,
            price_e4=price_e4,
            energy_wh=energy_wh,
        )
        self.contracts[bid_id] = contract
        return contract.to_wire(sign_contract(contract, self.keys.identity))

    def receipt(self, bid_id: int, delivered_wh: int, *, final: bool, **changes: Any) -> WireReceipt:
        """Return a receipt of a contract, signed."""
        contract = self.contracts[bid_id]
        fields = {
            "delivered_wh": delivered_wh,
            "started_at_s": contract.starts_at_s,
            "ended_at_s": contract.starts_at_s + 60,
            "evidence": bytes([3]) * 32,
            **changes,
        }
        receipt = Receipt(trade_id=contract.trade_id, final=final, **fields)
        return receipt.to_wire(sign_receipt(receipt, contract, self.keys.identity))

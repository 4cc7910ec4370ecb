"""The papers of a trade that is paid on a ledger: the contract as the battery signed it, and what a Confirm adds. Pure.

A deal holds them as text, so that the journal's award and confirm records carry them and a replay has them again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from settlement.cheque import Cheque
from settlement.contract import Contract
from settlement.errors import SignatureRefusedError, TermsError
from settlement.signing import check_contract
from settlement.terms import check_confirm

if TYPE_CHECKING:
    from agent.records import Deal
    from etp.connection import Received
    from etp.extensions import Contract as WireContract


class Paper(NamedTuple):
    """A contract, and the battery's identity key (32 bytes) with its signature of it (64 bytes)."""

    contract: Contract
    key: bytes
    signature: bytes

    @property
    def wire(self) -> WireContract:
        """What the Accept carries."""
        return self.contract.to_wire(self.signature)

    @property
    def window_s(self) -> int:
        """How long the delivery may take, in seconds."""
        return self.contract.ends_at_s - self.contract.starts_at_s

    def objection(self, confirm: Received) -> str:
        """Return why a Confirm does not make this a trade, in words; "" when the buyer has signed just this."""
        wire = confirm.extensions.contract
        if wire is None or confirm.signer is None:
            return "the contract is missing"
        try:
            check_confirm(self.wire, wire)
            check_contract(self.contract, "buyer", confirm.signer, wire.signature)
        except (TermsError, SignatureRefusedError) as error:
            return str(error)
        return ""


def with_paper(deal: Deal, paper: Paper) -> Deal:
    """Return a deal with its contract, whose window is the delivery's."""
    return replace(
        deal,
        window_s=paper.window_s,
        contract=paper.contract.encoded.hex(),
        battery_key=paper.key.hex(),
        battery_signature=paper.signature.hex(),
    )


def paper_of(deal: Deal) -> Paper | None:
    """Return a deal's contract, None when it has none. Raises TermsError or ValueError for a torn one."""
    if not deal.contract:
        return None
    contract = Contract.decode(bytes.fromhex(deal.contract))
    return Paper(contract, bytes.fromhex(deal.battery_key), bytes.fromhex(deal.battery_signature))


def cheque_of(deal: Deal) -> Cheque | None:
    """Return what a confirmed deal is worth on the ledger, None without a contract or the buyer's signature of it."""
    paper = paper_of(deal)
    if paper is None or not deal.buyer_signature or deal.signer is None:
        return None
    return Cheque(
        role="battery",
        contract=paper.contract,
        battery_key=paper.key,
        buyer_key=bytes.fromhex(deal.signer),
        battery_signature=paper.signature,
        buyer_signature=bytes.fromhex(deal.buyer_signature),
    )

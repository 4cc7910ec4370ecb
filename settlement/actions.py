"""From a step to instructions: who consents how, which accounts, how much compute, what it costs.

Whoever submits signs as a wallet, which is its consent; the other party's signature travels in the precompile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from solders.pubkey import Pubkey

from settlement.errors import SettlementError
from settlement.program import instructions as program
from settlement.program.accounts import Trade
from settlement.progress import Action
from settlement.signing import SignatureKind, signed_bytes
from settlement.transaction import Consent, consent

if TYPE_CHECKING:
    from solders.instruction import Instruction

    from settlement.chain import Counterpart, Map, View
    from settlement.cheque import Cheque, SignedReceipt
    from settlement.contract import Contract
    from settlement.receipt import Receipt

SIGNATURE_LAMPORTS: Final = 5_000
"""The cluster's fee for each signature, the precompile's included."""
RENT_LAMPORTS_A_BYTE: Final = 6_960
RENT_OVERHEAD_BYTES: Final = 128
TRADE_RENT_LAMPORTS: Final = (RENT_OVERHEAD_BYTES + Trade.SIZE) * RENT_LAMPORTS_A_BYTE
CLAIM_LAMPORTS: Final = TRADE_RENT_LAMPORTS + 4 * SIGNATURE_LAMPORTS
"""What a wallet must hold to claim: the rent comes back when the trade ends; then two signatures, and room for a fee
that is raised."""
UNITS: Final = {
    Action.SETTLE: 20_000,
    Action.CLAIM: 40_000,
    Action.ATTEST: 20_000,
    Action.FINALIZE: 20_000,
    Action.DISPUTE: 20_000,
    Action.TIMEOUT: 20_000,
    Action.VOID: 20_000,
}
"""Compute limits: twice and more of what was measured, because an address may take several tries to derive."""
COLLECT: Final = "collect"
COLLECT_UNITS: Final = 20_000


class NotReadyError(SettlementError):
    """What an action needs is not on the ledger, or not in the cheque."""


class Planned(NamedTuple):
    """What goes into a transaction; `lamports` is what the payer must hold for it."""

    instructions: tuple[Instruction, ...]
    units: int
    lamports: int


def plan(action: Action, cheque: Cheque, atlas: Map, view: View, *, buyer_wh: int = 0) -> Planned:
    """Return the instructions of a step. Raises NotReadyError."""
    pair = atlas.counterpart(atlas.other(cheque.contract))
    job = _Job(cheque, atlas, view, pair)
    match action:
        case Action.SETTLE:
            made = _settle(job)
        case Action.CLAIM:
            made = _claim(job)
        case Action.ATTEST:
            made = _attest(job)
        case Action.FINALIZE:
            made = (program.finalize(atlas.program_id, **_payment(job), rent_payer=_rent_payer(job), **_events(job)),)
        case Action.TIMEOUT:
            made = (program.timeout(atlas.program_id, **_payment(job), rent_payer=_rent_payer(job), **_events(job)),)
        case Action.DISPUTE:
            made = (_dispute(job, buyer_wh),)
        case Action.VOID:
            number = cheque.contract.contract_no
            made = (program.void(atlas.program_id, battery_wallet=atlas.wallet, line=pair.line, contract_no=number),)
        case _:
            raise NotReadyError(f"{action.value} is no transaction")
    rent = TRADE_RENT_LAMPORTS if action is Action.CLAIM else 0
    return Planned(made, UNITS[action], rent + (1 + len(made)) * SIGNATURE_LAMPORTS)


def plan_collect(atlas: Map, pair: Counterpart) -> Planned:
    """Return the instruction that brings what a battery could not be paid to its own token account."""
    made = program.collect(
        atlas.program_id,
        battery=pair.battery,
        escrow=pair.escrow,
        vault=pair.vault,
        unpaid=pair.unpaid,
        destination=atlas.tokens,
        event_authority=atlas.event_authority,
    )
    return Planned((made,), COLLECT_UNITS, SIGNATURE_LAMPORTS)


class _Job(NamedTuple):
    cheque: Cheque
    atlas: Map
    view: View
    pair: Counterpart


def _settle(job: _Job) -> tuple[Instruction, ...]:
    signed = _cosigned(job.cheque.final)
    trade = job.view.trades.get(job.cheque.trade_id)
    made = program.settle(
        job.atlas.program_id,
        config=job.atlas.config,
        **_payment(job),
        **_events(job),
        **_terms(job.cheque.contract),
        **_delivery(signed.receipt),
        instructions=program.INSTRUCTIONS,
        rent_payer=None if trade is None else Pubkey.from_bytes(trade.rent_payer),
        **_present(job),
    )
    return _others_receipt(job, signed), made


def _claim(job: _Job) -> tuple[Instruction, ...]:
    cheque, final = job.cheque, job.cheque.final
    if final is None:
        raise NotReadyError("no final receipt to claim with")
    message = signed_bytes(SignatureKind.CONTRACT, cheque.trade_id)
    promised = consent([Consent(cheque.buyer_key, cheque.buyer_signature, message)])
    made = program.claim(
        job.atlas.program_id,
        payer=job.atlas.wallet,
        config=job.atlas.config,
        battery=job.pair.battery,
        buyer=job.pair.buyer,
        line=job.pair.line,
        trade=job.atlas.trade(cheque.trade_id),
        event_authority=job.atlas.event_authority,
        battery_wallet=job.atlas.wallet,
        **_terms(cheque.contract),
        **_delivery(final.receipt),
    )
    return promised, made


def _attest(job: _Job) -> tuple[Instruction, ...]:
    signed = _cosigned(job.cheque.interim)
    made = program.attest(
        job.atlas.program_id,
        **_payment(job),
        **_events(job),
        **_delivery(signed.receipt),
        instructions=program.INSTRUCTIONS,
        **_present(job),
    )
    return _others_receipt(job, signed), made


def _dispute(job: _Job, buyer_wh: int) -> Instruction:
    return program.dispute(
        job.atlas.program_id,
        buyer_wallet=job.atlas.wallet,
        config=job.atlas.config,
        **_payment(job),
        **_events(job),
        buyer_wh=buyer_wh,
    )


def _others_receipt(job: _Job, signed: SignedReceipt) -> Instruction:
    """The receipt signature of the party that does not submit."""
    cheque = job.cheque
    if job.atlas.role == "battery":
        key, signature = cheque.buyer_key, signed.buyer_signature
    else:
        key, signature = cheque.battery_key, signed.battery_signature
    message = signed_bytes(SignatureKind.RECEIPT, signed.receipt.digest)
    return consent([Consent(key, signature or b"", message)])


def _cosigned(signed: SignedReceipt | None) -> SignedReceipt:
    if signed is None or not signed.is_cosigned:
        raise NotReadyError("a receipt that both sides signed is missing")
    return signed


def _present(job: _Job) -> dict[str, Any]:
    mine, theirs = (
        ("battery_wallet", "buyer_wallet") if job.atlas.role == "battery" else ("buyer_wallet", "battery_wallet")
    )
    return {mine: job.atlas.wallet, theirs: None}


def _payment(job: _Job) -> dict[str, Any]:
    line = job.view.lines.get(job.pair.wallet)
    if line is None:
        raise NotReadyError("the Line is not on the ledger")
    return {
        "battery": job.pair.battery,
        "buyer": job.pair.buyer,
        "escrow": job.pair.escrow,
        "vault": job.pair.vault,
        "line": job.pair.line,
        "trade": job.atlas.trade(job.cheque.trade_id),
        "payee": Pubkey.from_bytes(line.payee),
        "unpaid": job.pair.unpaid,
    }


def _rent_payer(job: _Job) -> Pubkey:
    trade = job.view.trades.get(job.cheque.trade_id)
    if trade is None:
        raise NotReadyError("the trade is not on the ledger")
    return Pubkey.from_bytes(trade.rent_payer)


def _events(job: _Job) -> dict[str, Any]:
    return {"event_authority": job.atlas.event_authority}


def _terms(contract: Contract) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in _TERMS}


def _delivery(receipt: Receipt) -> dict[str, Any]:
    return {name: getattr(receipt, name) for name in ("delivered_wh", "started_at_s", "ended_at_s", "evidence")}


_TERMS: Final = tuple(
    name for name in program.CLAIM.names if name not in ("delivered_wh", "started_at_s", "ended_at_s", "evidence")
)

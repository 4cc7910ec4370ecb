"""Checks a trade from its bundle and from the ledger, believing neither: everything is recomputed. Pure.

Each check is a `Finding`: what was looked at, whether it holds, and in words what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.errors import SignatureRefusedError, TermsError
from settlement.evidence import evidence_of
from settlement.exchange import to_base58
from settlement.money import amount_of, fee_of
from settlement.program import events
from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, HOW_RESOLVED, HOW_TIMED_OUT
from settlement.signing import check_contract, check_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from settlement.bundle import Bundle
    from settlement.cheque import SignedReceipt
    from settlement.program.history import Happened
    from settlement.signing import Party

_HOW: Final = {
    HOW_COSIGNED: "co-signed",
    HOW_FINALIZED: "claimed and not disputed",
    HOW_RESOLVED: "ruled on",
    HOW_TIMED_OUT: "timed out",
}


class Finding(NamedTuple):
    """One check."""

    name: str
    holds: bool
    text: str


def check_papers(bundle: Bundle) -> Iterator[Finding]:
    """Yield what the bundle alone proves: signatures of both over contract and receipts, and the samples' hash."""
    cheque, contract = bundle.cheque, bundle.cheque.contract
    words = (
        f"{contract.energy_wh} Wh at {contract.price_e4 / 10_000:.2f} c/kWh, trade {cheque.trade_id.hex()[:16]}, "
        f"{contract.reserve} base units reserved"
    )
    yield Finding("contract", True, words)
    parties: tuple[tuple[Party, bytes, bytes], ...] = (
        ("battery", cheque.battery_key, cheque.battery_signature),
        ("buyer", cheque.buyer_key, cheque.buyer_signature),
    )
    for party, key, signature in parties:
        yield _signature(f"contract signed by the {party}", _contract_check(bundle, party, key, signature))
    for name, signed in (("interim receipt", cheque.interim), ("final receipt", cheque.final)):
        if signed is not None:
            yield from _receipt(name, bundle, signed)
    if bundle.evidence is not None and cheque.final is not None:
        yield _evidence(bundle, cheque.final)


def check_payment(bundle: Bundle, happened: Happened, earlier: Sequence[Happened] = ()) -> Iterator[Finding]:
    """Yield whether a finalized transaction of the contract's program paid this trade, and by the formula.

    `earlier` are other transactions of the trade: what a dispute has paid already is not taken back by an agreement.
    """
    contract = bundle.cheque.contract
    event = next((one for one in happened.events if _settles(one, bundle)), None)
    landed = happened.error is None
    yield Finding("transaction", landed, f"{happened.signature} in slot {happened.slot}, {happened.units} CU")
    if not isinstance(event, events.Settled):
        yield Finding("payment", False, "the transaction does not end this trade")
        return
    wallets = (event.battery_wallet, event.buyer_wallet) == (contract.battery_wallet, contract.buyer_wallet)
    yield Finding("parties", wallets, f"{to_base58(event.battery_wallet)} was paid by {to_base58(event.buyer_wallet)}")
    yield _energy(bundle, event)
    by_energy = amount_of(contract.price_e4, event.delivered_wh, contract.base_units_per_cent)
    payout = max(by_energy, _safe_already(bundle, earlier)) if event.how == HOW_COSIGNED else by_energy
    fee = fee_of(payout, contract.fee_bps)
    by_formula = (event.payout, event.fee) == (payout, fee)
    words = (
        f"{event.payout} base units for {event.delivered_wh} Wh and {event.fee} fee; {payout} and {fee} by the formula"
    )
    yield Finding("payout", by_formula, words)
    parts = event.payout + event.fee + event.returned
    words = f"{event.payout} + {event.fee} + {event.returned} of {contract.reserve} reserved"
    yield Finding("sum", parts == event.reserved == contract.reserve, words)


def _safe_already(bundle: Bundle, earlier: Sequence[Happened]) -> int:
    """Return what a dispute had paid or held of the safe part, in base units."""
    told = [event for one in earlier for event in one.events]
    ours = [
        event
        for event in told
        if isinstance(event, events.Disputed | events.Attested) and event.trade_id == bundle.cheque.trade_id
    ]
    held = sum(event.held for event in ours if isinstance(event, events.Disputed))
    return max((event.paid for event in ours), default=0) + held


def ends(bundle: Bundle, happened: Happened) -> bool:
    """Whether a transaction ended this trade."""
    return any(_settles(event, bundle) for event in happened.events)


def _settles(event: object, bundle: Bundle) -> bool:
    return isinstance(event, events.Settled) and event.trade_id == bundle.cheque.trade_id


def _energy(bundle: Bundle, event: events.Settled) -> Finding:
    """The energy that was paid for, against what the receipts say."""
    contract, final = bundle.cheque.contract, bundle.cheque.final
    how = _HOW.get(event.how, f"way {event.how}")
    if final is None:
        words = f"{event.delivered_wh} Wh paid ({how}); who exported this has no final receipt"
        return Finding("energy", event.how != HOW_COSIGNED and event.delivered_wh <= contract.energy_wh, words)
    claimed_wh = min(final.receipt.delivered_wh, contract.energy_wh)
    if event.how in (HOW_COSIGNED, HOW_FINALIZED):
        holds = event.delivered_wh == claimed_wh and (event.how != HOW_COSIGNED or final.is_cosigned)
    else:
        holds = event.delivered_wh <= claimed_wh
    return Finding("energy", holds, f"{event.delivered_wh} Wh paid ({how}), {claimed_wh} Wh in the final receipt")


def _contract_check(bundle: Bundle, party: Party, key: bytes, signature: bytes) -> Callable[[], None]:
    return lambda: check_contract(bundle.cheque.contract, party, key, signature)


def _receipt(name: str, bundle: Bundle, signed: SignedReceipt) -> Iterator[Finding]:
    cheque, receipt = bundle.cheque, signed.receipt
    yield Finding(name, receipt.final == (name == "final receipt"), f"{receipt.delivered_wh} Wh")
    parties: tuple[tuple[Party, bytes, bytes | None], ...] = (
        ("battery", cheque.battery_key, signed.battery_signature),
        ("buyer", cheque.buyer_key, signed.buyer_signature),
    )
    for party, key, signature in parties:
        if signature is not None:
            yield _signature(f"{name} signed by the {party}", _receipt_check(bundle, signed, party, key, signature))


def _receipt_check(
    bundle: Bundle, signed: SignedReceipt, party: Party, key: bytes, signature: bytes
) -> Callable[[], None]:
    return lambda: check_receipt(signed.receipt, bundle.cheque.contract, party, key, signature)


def _signature(name: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except (SignatureRefusedError, TermsError) as error:
        return Finding(name, False, str(error))
    return Finding(name, True, "by the strict rules")


def _evidence(bundle: Bundle, final: SignedReceipt) -> Finding:
    evidence = bundle.evidence
    if evidence is None:
        raise AssertionError("looked for only where it is")
    try:
        found = evidence_of(bundle.cheque.trade_id.hex(), evidence.portions, evidence.shared)
    except ValueError as error:
        return Finding("evidence", False, str(error))
    samples = sum(len(portion) for portion in evidence.portions) // 40
    return Finding("evidence", found == final.receipt.evidence, f"{samples} samples, hash {found.hex()[:16]}")

"""Steps of trades as instructions, with the signatures that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from solders.pubkey import Pubkey

from settlement.program import instructions
from settlement.receipt import Receipt
from settlement.signing import SignatureKind, signed_bytes
from tests.settlement.program.drafts_accounts import payment
from tests.settlement.program.model_terms import CONTRACT_TERMS
from tests.settlement.program.scene import AT, PROGRAM, keypair, wallet
from tests.settlement.program.steps import KEYS, Agreed, Draft, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.keypair import Keypair

    from settlement.contract import Contract


def _key(state: State, person: int, how: str) -> Keypair:
    """Return the key with which a person signs: the one in force, the previous one, or a stranger's."""
    participant = state.participant(person)
    if participant is None or how == "stranger":
        return keypair("stranger")
    key = participant.previous_key if how == "old" else participant.signing_key
    return KEYS.get(key, keypair("stranger"))


def _consent(state: State, agreed: Agreed, how: dict[str, Any], message: bytes) -> dict[str, Any]:
    """Return wallets and proofs: `how` says of each party wallet, key, old, stranger or none."""
    proofs, wallets = [], {}
    for party, person in (("battery", agreed.battery), ("buyer", agreed.buyer)):
        if how[party] == "wallet":
            wallets[f"{party}_wallet"] = wallet(person)
        elif how[party] != "none":
            proofs.append((_key(state, person, how[party]), message))
    return {"proofs": tuple(proofs), "wallets": wallets}


def terms_of(contract: Contract) -> dict[str, Any]:
    """Return the arguments that say a contract."""
    return {name: getattr(contract, name) for name in CONTRACT_TERMS}


def _delivery(values: dict[str, Any], contract: Contract) -> dict[str, Any]:
    return {
        "delivered_wh": values["wh"],
        "started_at_s": contract.starts_at_s,
        "ended_at_s": contract.ends_at_s,
        "evidence": bytes([values.get("evidence", 7)]) * 32,
    }


def _receipt(values: dict[str, Any], contract: Contract, *, final: bool) -> bytes:
    receipt = Receipt(trade_id=contract.trade_id, final=final, **_delivery(values, contract))
    return signed_bytes(SignatureKind.RECEIPT, receipt.digest)


def _settle(state: State, values: dict[str, Any]) -> Draft | None:
    agreed = state.book.get(values["trade"])
    if agreed is None:
        return None
    contract = agreed.contract
    consent = _consent(state, agreed, values, _receipt(values, contract, final=True))
    trade = state.trade(contract)
    heir = Pubkey.from_bytes(trade.rent_payer) if trade and values.get("with_heir", True) else None
    accounts = {**payment(agreed), **consent["wallets"], "rent_payer": heir}
    if consent["proofs"]:
        accounts["instructions"] = instructions.INSTRUCTIONS
    arguments = {**terms_of(contract), **_delivery(values, contract)}
    made = instructions.settle(PROGRAM, config=AT.config(), **accounts, **arguments)
    return Draft(made, consent["proofs"])


def _claim(state: State, values: dict[str, Any]) -> Draft | None:
    agreed = state.book.get(values["trade"])
    if agreed is None:
        return None
    contract = agreed.contract
    proofs = [(_key(state, agreed.buyer, values["buyer"]), signed_bytes(SignatureKind.CONTRACT, contract.trade_id))]
    by_wallet = values["battery"] == "wallet"
    if not by_wallet:
        said = _receipt(values, contract, final=True)
        proofs.insert(0, (_key(state, agreed.battery, values["battery"]), said))
    accounts: dict[str, Any] = {
        name: payment(agreed)[name] for name in ("battery", "buyer", "line", "trade", "event_authority")
    }
    made = instructions.claim(
        PROGRAM,
        payer=keypair("relay").pubkey() if values.get("relayed") else wallet(agreed.battery),
        config=AT.config(),
        battery_wallet=wallet(agreed.battery) if by_wallet else None,
        **accounts,
        **terms_of(contract),
        **_delivery(values, contract),
    )
    return Draft(made, tuple(proofs))


def _attest(state: State, values: dict[str, Any]) -> Draft | None:
    agreed = state.book.get(values["trade"])
    if agreed is None:
        return None
    consent = _consent(state, agreed, values, _receipt(values, agreed.contract, final=False))
    back = instructions.INSTRUCTIONS if consent["proofs"] else None
    delivery = _delivery(values, agreed.contract)
    accounts: dict[str, Any] = {**payment(agreed), **consent["wallets"]}
    made = instructions.attest(PROGRAM, **accounts, **delivery, instructions=back)
    return Draft(made, consent["proofs"])


def _end(name: str) -> Callable[[State, dict[str, Any]], Draft | None]:
    """Return the builder of an end of a trade, or of a dispute."""

    def build(state: State, values: dict[str, Any]) -> Draft | None:
        agreed = state.book.get(values["trade"])
        trade = agreed and state.trade(agreed.contract)
        if agreed is None:
            return None
        more: dict[str, Any] = {}
        if name == "dispute":
            more = {"buyer_wallet": wallet(agreed.buyer), "config": AT.config(), "buyer_wh": values["wh"]}
        else:
            more["rent_payer"] = Pubkey.from_bytes(trade.rent_payer) if trade else wallet(agreed.battery)
        if name == "resolve":
            other = keypair("resolver", values["resolver"]).pubkey() if "resolver" in values else None
            more |= {"resolver": other or Pubkey.from_bytes(agreed.contract.resolver), "ruling_wh": values["wh"]}
        return Draft(getattr(instructions, name)(PROGRAM, **payment(agreed), **more))

    return build


TRADES: Final[dict[str, Callable[[State, dict[str, Any]], Draft | None]]] = {
    "settle": _settle,
    "claim": _claim,
    "attest": _attest,
    **{name: _end(name) for name in ("finalize", "dispute", "resolve", "timeout")},
}

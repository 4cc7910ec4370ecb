"""Cheques for tests, signed for real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from settlement import Cheque, Contract, IdentityKey, Receipt, SignedReceipt
from settlement.signing import Party, sign_contract, sign_receipt
from tests.settlement.terms import BATTERY, BUYER, CONTRACT, contract_with


def cheque(
    role: Party = "battery",
    *,
    contract: Contract = CONTRACT,
    battery: IdentityKey = BATTERY,
    buyer: IdentityKey = BUYER,
) -> Cheque:
    return Cheque(
        role=role,
        contract=contract,
        battery_key=battery.public_key,
        buyer_key=buyer.public_key,
        battery_signature=sign_contract(contract, battery),
        buyer_signature=sign_contract(contract, buyer),
    )


def numbered(number: int, role: Party = "battery", **terms: Any) -> Cheque:
    return cheque(role, contract=contract_with(contract_no=number, message_id=number, **terms))


def with_final(
    one: Cheque,
    wh: int | None = None,
    *,
    cosigned: bool,
    battery: IdentityKey = BATTERY,
    buyer: IdentityKey = BUYER,
    ended_at_s: int | None = None,
) -> Cheque:
    receipt = _receipt(one.contract, one.contract.energy_wh if wh is None else wh, final=True, ended_at_s=ended_at_s)
    return replace(one, final=_signed(receipt, one.contract, battery, buyer if cosigned else None))


def with_interim(one: Cheque, wh: int, *, battery: IdentityKey = BATTERY, buyer: IdentityKey = BUYER) -> Cheque:
    return replace(one, interim=_signed(_receipt(one.contract, wh, final=False), one.contract, battery, buyer))


def _receipt(contract: Contract, wh: int, *, final: bool, ended_at_s: int | None = None) -> Receipt:
    return Receipt(
        trade_id=contract.trade_id,
        final=final,
        delivered_wh=wh,
        started_at_s=contract.starts_at_s,
        ended_at_s=contract.ends_at_s - 10 if ended_at_s is None else ended_at_s,
        evidence=bytes([10]) * 32,
    )


def _signed(receipt: Receipt, contract: Contract, battery: IdentityKey, buyer: IdentityKey | None) -> SignedReceipt:
    return SignedReceipt(
        receipt=receipt,
        battery_signature=sign_receipt(receipt, contract, battery),
        buyer_signature=None if buyer is None else sign_receipt(receipt, contract, buyer),
    )

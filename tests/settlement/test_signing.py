"""Signatures: for one purpose, one trade, one party, and never a bare hash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import (
    SignatureKind,
    SignatureRefusedError,
    TermsError,
    check_contract,
    check_receipt,
    device_id,
    sign_contract,
    sign_receipt,
    signed_bytes,
)
from settlement.signing import check, sign
from settlement.strict import SMALL_ORDER_POINTS
from tests.settlement.terms import BATTERY, BUYER, CONTRACT, RECEIPT, STRANGER, contract_with, receipt_with

DIGEST = bytes(range(32))


def test_what_a_signature_covers() -> None:
    for kind in SignatureKind:
        assert signed_bytes(kind, DIGEST) == b"\xffwattbid-sign" + bytes([kind, 1]) + DIGEST
    assert len(signed_bytes(SignatureKind.CONTRACT, DIGEST)) == 47
    assert [int(kind) for kind in SignatureKind] == [1, 2, 3, 4]
    for size in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            signed_bytes(SignatureKind.CONTRACT, bytes(size))


@given(st.sampled_from(SignatureKind), st.sampled_from(SignatureKind), st.binary(min_size=32, max_size=32))
def test_a_signature_is_good_for_its_kind_alone(kind: SignatureKind, other: SignatureKind, digest: bytes) -> None:
    signature = sign(kind, digest, BATTERY)
    check(kind, digest, BATTERY.public_key, signature)
    if other != kind:
        with pytest.raises(SignatureRefusedError, match="does not hold"):
            check(other, digest, BATTERY.public_key, signature)


def test_both_parties_sign_and_each_signature_is_its_own() -> None:
    battery, buyer = sign_contract(CONTRACT, BATTERY), sign_contract(CONTRACT, BUYER)
    check_contract(CONTRACT, "battery", BATTERY.public_key, battery)
    check_contract(CONTRACT, "buyer", BUYER.public_key, buyer)
    with pytest.raises(SignatureRefusedError, match="does not hold"):
        check_contract(CONTRACT, "battery", BATTERY.public_key, buyer)
    with pytest.raises(SignatureRefusedError, match="not the key of the buyer"):
        check_contract(CONTRACT, "buyer", BATTERY.public_key, battery)
    with pytest.raises(SignatureRefusedError, match="not the key of the battery"):
        check_contract(
            CONTRACT, "battery", STRANGER.public_key, sign(SignatureKind.CONTRACT, CONTRACT.trade_id, STRANGER)
        )


def test_a_changed_contract_is_not_the_one_that_was_signed() -> None:
    signature = sign_contract(CONTRACT, BATTERY)
    for change in ({"price_e4": 251_200}, {"contract_no": 8}, {"generation": 1}, {"fee_bps": 51}):
        with pytest.raises(SignatureRefusedError, match="does not hold"):
            check_contract(contract_with(**change), "battery", BATTERY.public_key, signature)


def test_receipts_are_signed_by_the_parties_of_their_trade() -> None:
    battery, buyer = sign_receipt(RECEIPT, CONTRACT, BATTERY), sign_receipt(RECEIPT, CONTRACT, BUYER)
    check_receipt(RECEIPT, CONTRACT, "battery", BATTERY.public_key, battery)
    check_receipt(RECEIPT, CONTRACT, "buyer", BUYER.public_key, buyer)
    with pytest.raises(SignatureRefusedError, match="not the key of the buyer"):
        check_receipt(RECEIPT, CONTRACT, "buyer", BATTERY.public_key, battery)
    for change in ({"final": False}, {"delivered_wh": 2_501}, {"ended_at_s": RECEIPT.ended_at_s + 1}):
        with pytest.raises(SignatureRefusedError, match="does not hold"):
            check_receipt(receipt_with(**change), CONTRACT, "battery", BATTERY.public_key, battery)


def test_a_receipt_of_another_trade_is_neither_signed_nor_taken() -> None:
    foreign = receipt_with(trade_id=bytes([1]) * 32)
    with pytest.raises(TermsError, match="another trade"):
        sign_receipt(foreign, CONTRACT, BATTERY)
    with pytest.raises(TermsError, match="another trade"):
        check_receipt(foreign, CONTRACT, "battery", BATTERY.public_key, bytes(64))


def test_a_stranger_signs_nothing() -> None:
    with pytest.raises(TermsError, match="neither the battery's nor the buyer's"):
        sign_contract(CONTRACT, STRANGER)
    with pytest.raises(TermsError, match="neither the battery's nor the buyer's"):
        sign_receipt(RECEIPT, CONTRACT, STRANGER)


@pytest.mark.parametrize("key", SMALL_ORDER_POINTS, ids=bytes.hex)
def test_a_party_of_small_order_binds_nobody(key: bytes) -> None:
    contract = contract_with(buyer_device_id=device_id(key))
    receipt = receipt_with(trade_id=contract.trade_id)
    lax = SMALL_ORDER_POINTS[0] + bytes(32)
    with pytest.raises(SignatureRefusedError, match="the key is of small order"):
        check_contract(contract, "buyer", key, lax)
    with pytest.raises(SignatureRefusedError, match="the key is of small order"):
        check_receipt(receipt, contract, "buyer", key, lax)


def test_lax_signatures_of_an_honest_key_are_refused_at_both_doors() -> None:
    good = sign_contract(CONTRACT, BUYER)
    order = 2**252 + 27742317777372353535851937790883648493
    second_form = good[:32] + (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little")
    for lax, why in (
        (SMALL_ORDER_POINTS[0] + good[32:], "R is of small order"),
        (b"\xef" + b"\xff" * 30 + b"\x7f" + good[32:], "R is not encoded canonically"),
        (second_form, "S is not below the group order"),
        (good[:63], "63 bytes"),
        (bytes(64), "R is of small order"),
    ):
        with pytest.raises(SignatureRefusedError, match=why):
            check_contract(CONTRACT, "buyer", BUYER.public_key, lax)
        with pytest.raises(SignatureRefusedError, match=why):
            check_receipt(RECEIPT, CONTRACT, "buyer", BUYER.public_key, lax)


class Broken:
    """A signer whose device answers with something else."""

    public_key = BATTERY.public_key

    def sign(self, data: bytes) -> bytes:
        return data


def test_a_signer_that_returns_no_signature_is_named() -> None:
    with pytest.raises(SignatureRefusedError, match="the signer returned 47 bytes"):
        sign_contract(CONTRACT, Broken())

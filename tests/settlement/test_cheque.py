"""Cheques join what is known of a trade, and count only with signatures that hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from settlement import Cheque, Receipt, SignatureRefusedError, SignedReceipt, TermsError
from settlement.signing import sign_contract, sign_receipt
from tests.settlement.terms import BATTERY, BUYER, CONTRACT, receipt_with

CHEQUE = Cheque(
    role="battery",
    contract=CONTRACT,
    battery_key=BATTERY.public_key,
    buyer_key=BUYER.public_key,
    battery_signature=sign_contract(CONTRACT, BATTERY),
    buyer_signature=sign_contract(CONTRACT, BUYER),
)
LAST = receipt_with(delivered_wh=100)


def interim(wh: int) -> Receipt:
    return receipt_with(final=False, delivered_wh=wh)


def test_signatures_of_both_are_checked() -> None:
    CHEQUE.check()
    with pytest.raises(SignatureRefusedError):
        replace(CHEQUE, buyer_signature=CHEQUE.battery_signature).check()


def test_a_receipt_signed_by_the_other_party_does_not_count() -> None:
    good = SignedReceipt(receipt=LAST, battery_signature=sign_receipt(LAST, CONTRACT, BATTERY))
    replace(CHEQUE, final=good).check()
    with pytest.raises(SignatureRefusedError):
        replace(CHEQUE, final=replace(good, buyer_signature=good.battery_signature)).check()


def test_an_interim_receipt_is_no_final_one() -> None:
    with pytest.raises(TermsError):
        replace(CHEQUE, final=SignedReceipt(receipt=interim(100))).check()
    with pytest.raises(TermsError):
        replace(CHEQUE, interim=SignedReceipt(receipt=LAST)).check()


def test_joining_keeps_the_larger_interim_and_both_signatures() -> None:
    small, large = (SignedReceipt(receipt=interim(wh)) for wh in (40, 60))
    ours = SignedReceipt(receipt=LAST, battery_signature=sign_receipt(LAST, CONTRACT, BATTERY))
    theirs = SignedReceipt(receipt=LAST, buyer_signature=sign_receipt(LAST, CONTRACT, BUYER))
    one = replace(CHEQUE, interim=large, final=ours)
    other = replace(CHEQUE, interim=small, final=theirs)
    for joined in (one.merged(other), other.merged(one)):
        assert joined.interim == large
        assert joined.final is not None
        assert joined.final.is_cosigned
        joined.check()


def test_two_different_last_words_are_refused() -> None:
    one = replace(CHEQUE, final=SignedReceipt(receipt=LAST))
    other = replace(CHEQUE, final=SignedReceipt(receipt=receipt_with(delivered_wh=90)))
    with pytest.raises(TermsError):
        one.merged(other)

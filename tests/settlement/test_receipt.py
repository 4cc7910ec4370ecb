"""Receipts: bytes and back, and nothing that is no receipt ever exists."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.extensions import Receipt as WireReceipt
from settlement import Receipt, TermsError
from settlement.receipt import RECEIPT_BYTES
from settlement.values import I64_MAX
from tests.settlement.terms import CONTRACT, RECEIPT, receipt_with, receipts


def by_hand(receipt: Receipt) -> bytes:
    """The 106 bytes, written out from the page and not from the code."""

    def little(value: int, size: int) -> bytes:
        return bytes(value >> 8 * at & 255 for at in range(size))

    data = b"\xff" + b"wattbid-receipt" + b"\x01" + receipt.trade_id + (b"\x01" if receipt.final else b"\x00")
    data += little(receipt.delivered_wh, 8) + little(receipt.started_at_s, 8) + little(receipt.ended_at_s, 8)
    return data + receipt.evidence


@given(receipts())
def test_bytes_are_as_the_page_says_and_come_back(receipt: Receipt) -> None:
    assert receipt.encoded == by_hand(receipt)
    assert len(receipt.encoded) == RECEIPT_BYTES == 106
    assert receipt.digest == sha256(receipt.encoded).digest()
    assert Receipt.decode(receipt.encoded) == receipt


@given(receipts(), st.binary(min_size=64, max_size=64))
def test_the_wire_carries_it(receipt: Receipt, signature: bytes) -> None:
    wire = WireReceipt.decode(receipt.to_wire(signature).encode())
    assert wire.signature == signature
    assert Receipt.from_wire(wire, receipt.trade_id) == receipt


@given(receipts(), st.integers(0, 106 * 8 - 1))
def test_every_bit_is_refused_or_makes_another_receipt(receipt: Receipt, at: int) -> None:
    flipped = bytearray(receipt.encoded)
    flipped[at // 8] ^= 1 << at % 8
    try:
        other = Receipt.decode(bytes(flipped))
    except TermsError:
        return
    assert other != receipt
    assert other.digest != receipt.digest
    assert other.encoded == bytes(flipped)


@given(st.binary(max_size=120) | st.binary(min_size=89, max_size=89).map(lambda rest: RECEIPT.encoded[:17] + rest))
def test_any_bytes_are_a_receipt_or_an_error_of_ours(data: bytes) -> None:
    try:
        receipt = Receipt.decode(data)
    except TermsError:
        return
    assert receipt.encoded == data


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("trade_id", bytes(32), "nobody"),
        ("trade_id", bytes(33), "33 bytes"),
        ("final", 1, "neither true nor false"),
        ("delivered_wh", -1, "not within"),
        ("delivered_wh", 1 << 64, "not within"),
        ("delivered_wh", 2.0, "not a whole number"),
        ("started_at_s", -1, "not within"),
        ("ended_at_s", RECEIPT.started_at_s - 1, "not within"),
        ("ended_at_s", I64_MAX + 1, "not within"),
        ("evidence", bytes(31), "31 bytes"),
    ],
)
def test_what_is_no_receipt_cannot_be_made(field: str, value: object, why: str) -> None:
    with pytest.raises(TermsError, match=why) as caught:
        receipt_with(**{field: value})
    assert caught.value.field == field


def test_the_bounds_themselves_are_good() -> None:
    nothing = receipt_with(delivered_wh=0, started_at_s=0, ended_at_s=0, evidence=bytes(32), final=False)
    assert Receipt.decode(nothing.encoded) == nothing
    assert receipt_with(ended_at_s=RECEIPT.started_at_s).ended_at_s == RECEIPT.started_at_s


def test_another_domain_or_a_third_kind() -> None:
    foreign = b"\xffwattbid-contract"[:17] + RECEIPT.encoded[17:]
    with pytest.raises(TermsError, match="another domain or version"):
        Receipt.decode(foreign)
    with pytest.raises(TermsError, match="2 is neither 0 nor 1"):
        Receipt.decode(RECEIPT.encoded[:49] + b"\x02" + RECEIPT.encoded[50:])
    with pytest.raises(TermsError, match="105 bytes"):
        Receipt.decode(RECEIPT.encoded[:-1])


def test_the_same_delivery_of_another_trade_has_another_digest() -> None:
    assert receipt_with(trade_id=bytes([1]) * 32).digest != RECEIPT.digest
    assert RECEIPT.trade_id == CONTRACT.trade_id

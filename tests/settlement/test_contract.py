"""Contracts: bytes and back, and nothing that is no contract ever exists."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.extensions import Contract as WireContract
from settlement import Contract, TermsError, Venue
from settlement.contract import CONTRACT_BYTES
from settlement.values import I64_MAX
from tests.settlement.terms import BATTERY, CONTRACT, STRANGER, TERMS, VENUE, contract_with, contracts


def by_hand(contract: Contract) -> bytes:
    """The 328 bytes, written out from the page and not from the code."""

    def little(value: int, size: int) -> bytes:
        return bytes(value >> 8 * at & 255 for at in range(size))

    data = b"\xff" + b"wattbid-contract" + b"\x01"
    data += contract.venue.program_id + contract.venue.genesis_hash + contract.venue.mint
    data += contract.battery_wallet + contract.buyer_wallet
    data += little(contract.generation, 8) + little(contract.contract_no, 8)
    data += little(contract.battery_device_id, 8) + little(contract.buyer_device_id, 8)
    data += little(contract.message_id, 8) + little(contract.price_e4, 4) + little(contract.energy_wh, 4)
    data += little(contract.base_units_per_cent, 8)
    data += little(contract.starts_at_s, 8) + little(contract.ends_at_s, 8) + little(contract.valid_until_s, 8)
    data += little(contract.fee_bps, 2) + little(contract.dispute_window_s, 4)
    return data + contract.resolver + contract.meter_key


@given(contracts())
def test_bytes_are_as_the_page_says_and_come_back(contract: Contract) -> None:
    assert contract.encoded == by_hand(contract)
    assert len(contract.encoded) == CONTRACT_BYTES == 328
    assert contract.trade_id == sha256(contract.encoded).digest()
    again = Contract.decode(contract.encoded)
    assert again == contract
    assert again.trade_id == contract.trade_id


@given(contracts(), st.binary(min_size=64, max_size=64))
def test_the_wire_carries_it(contract: Contract, signature: bytes) -> None:
    wire = WireContract.decode(contract.to_wire(signature).encode())
    assert wire.signature == signature
    assert wire.market == sha256(contract.venue.program_id + contract.venue.genesis_hash + contract.venue.mint).digest()
    again = Contract.from_wire(
        wire,
        contract.venue,
        battery_device_id=contract.battery_device_id,
        buyer_device_id=contract.buyer_device_id,
        message_id=contract.message_id,
        price_e4=contract.price_e4,
        energy_wh=contract.energy_wh,
    )
    assert again == contract


def test_a_foreign_market_is_refused() -> None:
    elsewhere = Venue(program_id=VENUE.program_id, genesis_hash=VENUE.genesis_hash, mint=bytes([66]) * 32)
    with pytest.raises(TermsError, match="market: another program, cluster or mint"):
        Contract.from_wire(
            CONTRACT.to_wire(),
            elsewhere,
            battery_device_id=1,
            buyer_device_id=2,
            message_id=3,
            price_e4=100,
            energy_wh=100,
        )


@given(contracts(), st.integers(0, 328 * 8 - 1))
def test_every_bit_is_refused_or_makes_another_trade(contract: Contract, at: int) -> None:
    flipped = bytearray(contract.encoded)
    flipped[at // 8] ^= 1 << at % 8
    try:
        other = Contract.decode(bytes(flipped))
    except TermsError:
        return
    assert other != contract
    assert other.encoded == bytes(flipped)
    assert other.trade_id != contract.trade_id


@given(st.binary(max_size=400) | st.binary(min_size=310, max_size=310).map(lambda rest: CONTRACT.encoded[:18] + rest))
def test_any_bytes_are_a_contract_or_an_error_of_ours(data: bytes) -> None:
    try:
        contract = Contract.decode(data)
    except TermsError:
        return
    assert contract.encoded == data


@pytest.mark.parametrize("size", [0, 327, 329])
def test_another_size(size: int) -> None:
    with pytest.raises(TermsError, match=f"{size} bytes, not 328"):
        Contract.decode((CONTRACT.encoded + b"\0")[:size])


@pytest.mark.parametrize("at", [0, 1, 16, 17])
def test_another_domain_or_version(at: int) -> None:
    data = bytearray(CONTRACT.encoded)
    data[at] ^= 3
    with pytest.raises(TermsError, match="another domain or version"):
        Contract.decode(bytes(data))


END = CONTRACT.ends_at_s
REFUSED: list[tuple[str, object, str]] = [
    ("venue", None, "NoneType where a Venue belongs"),
    ("battery_wallet", bytes(32), "nobody"),
    ("battery_wallet", bytes(31), "31 bytes"),
    ("battery_wallet", bytearray(b"7" * 32), "bytearray"),
    ("buyer_wallet", TERMS["battery_wallet"], "the battery's own wallet"),
    ("buyer_wallet", bytes(32), "nobody"),
    ("resolver", bytes(32), "nobody"),
    ("resolver", TERMS["battery_wallet"], "nobody rules on his own dispute"),
    ("resolver", TERMS["buyer_wallet"], "nobody rules on his own dispute"),
    ("meter_key", b"\x01" + bytes(31), "small order"),
    ("meter_key", bytes([2]) + bytes(31), "no point of the curve"),
    ("meter_key", STRANGER.public_key[:31], "31 bytes"),
    ("generation", 0, "not within 1"),
    ("generation", 1 << 64, "not within"),
    ("contract_no", -1, "not within"),
    ("contract_no", 1 << 64, "not within"),
    ("battery_device_id", 1 << 64, "not within"),
    ("buyer_device_id", BATTERY.device_id, "the battery's own id"),
    ("buyer_device_id", -1, "not within"),
    ("message_id", 1 << 63, "not within"),
    ("price_e4", -100, "not within"),
    ("price_e4", 1 << 32, "not within"),
    ("price_e4", 251_350, "whole number of ticks"),
    ("price_e4", 251_300.0, "not a whole number"),
    ("energy_wh", 0, "not within"),
    ("energy_wh", 2_550, "whole number of steps"),
    ("energy_wh", True, "not a whole number"),
    ("base_units_per_cent", 0, "not within"),
    ("base_units_per_cent", 10_000_001, "not within"),
    ("starts_at_s", 0, "not within"),
    ("ends_at_s", CONTRACT.starts_at_s, "not after the start"),
    ("ends_at_s", CONTRACT.starts_at_s - 1, "not after the start"),
    ("valid_until_s", END + 86_399, "86399 s after the end"),
    ("valid_until_s", END + 7 * 86_400 + 1, "604801 s after the end"),
    ("valid_until_s", I64_MAX + 1, "not within"),
    ("fee_bps", 501, "not within"),
    ("fee_bps", -1, "not within"),
    ("dispute_window_s", 0, "not within"),
    ("dispute_window_s", 1 << 32, "not within"),
]


@pytest.mark.parametrize(("field", "value", "why"), REFUSED)
def test_what_is_no_contract_cannot_be_made(field: str, value: object, why: str) -> None:
    with pytest.raises(TermsError, match=why) as caught:
        contract_with(**{field: value})
    assert caught.value.field == field


def test_every_field_has_a_refusal() -> None:
    assert {field for field, _, _ in REFUSED} == {field.name for field in fields(Contract)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contract_no", 0),
        ("price_e4", 0),
        ("valid_until_s", END + 86_400),
        ("valid_until_s", END + 7 * 86_400),
        ("fee_bps", 0),
        ("fee_bps", 500),
        ("base_units_per_cent", 10_000_000),
        ("meter_key", STRANGER.public_key),
        ("ends_at_s", CONTRACT.starts_at_s + 1),
    ],
)
def test_the_bounds_themselves_are_good(field: str, value: object) -> None:
    terms = {field: value}
    if field == "ends_at_s":
        terms["valid_until_s"] = CONTRACT.starts_at_s + 1 + 86_400
    assert getattr(contract_with(**terms), field) == value


def test_an_amount_that_64_bits_do_not_hold_with_its_fee() -> None:
    dear = {"price_e4": 4_294_967_200, "energy_wh": 4_294_967_200, "base_units_per_cent": 10_000_000}
    assert contract_with(**dear, fee_bps=0).reserve == 4_294_967_200**2
    with pytest.raises(TermsError, match="with the fee, more than 64 bits hold"):
        contract_with(**dear, fee_bps=50)


def test_a_contract_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        CONTRACT.price_e4 = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        VENUE.mint = bytes(32)  # type: ignore[misc]


@pytest.mark.parametrize("field", ["program_id", "genesis_hash", "mint"])
def test_a_venue_names_all_three(field: str) -> None:
    good = {"program_id": bytes([1]) * 32, "genesis_hash": bytes([2]) * 32, "mint": bytes([3]) * 32}
    for value in (bytes(32), bytes(31)):
        with pytest.raises(TermsError) as caught:
            Venue(**{**good, field: value})
        assert caught.value.field == field
    assert Venue(**good).market != Venue(**{**good, field: bytes([9]) * 32}).market


@given(contracts(), st.integers(0, (1 << 64) - 1))
def test_what_is_reserved_is_split_without_remainder(contract: Contract, delivered_wh: int) -> None:
    split = contract.split(delivered_wh)
    assert sum(split) == contract.reserve
    assert min(split) >= 0
    assert split.payout <= contract.amount
    if delivered_wh >= contract.energy_wh:
        assert split == (contract.amount, contract.reserve - contract.amount, 0)
    assert contract.split(0) == (0, 0, contract.reserve)


def test_a_delivery_is_a_whole_number_of_watt_hours() -> None:
    for delivered in (-1, 1 << 64, 1.5):
        with pytest.raises(TermsError, match="delivered_wh"):
            CONTRACT.split(delivered)  # type: ignore[arg-type]

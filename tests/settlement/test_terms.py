"""What battery and buyer agree on before there is a contract: copies, times, and a refusal that names the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.extensions import ZERO_KEY
from etp.extensions import Contract as WireContract
from settlement import TermsError, check_contract, sign_contract
from settlement.terms import (
    MarketTerms,
    Windows,
    bid_of,
    check_accept,
    check_bid,
    check_confirm,
    times_for,
    window_s,
)
from tests.settlement import terms as good

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_S: Final = good.CONTRACT.starts_at_s
MARKET: Final = MarketTerms(
    venue=good.VENUE,
    base_units_per_cent=10_000,
    fee_bps=50,
    dispute_window_s=86_400,
    resolver=bytes([9]) * 32,
)
OFFER: Final = MARKET.offer(good.CONTRACT.battery_wallet)
WINDOWS: Final = Windows(2_310, 2_310)
BID: Final = bid_of(
    OFFER,
    buyer_wallet=good.CONTRACT.buyer_wallet,
    generation=good.CONTRACT.generation,
    times=times_for(NOW_S, 2_310),
)
PARTIES: Final[dict[str, Any]] = {
    "battery_key": good.BATTERY.public_key,
    "buyer_key": good.BUYER.public_key,
    "message_id": 4_711,
    "price_e4": 251_300,
    "energy_wh": 2_500,
}


def refused(check: Callable[[], object]) -> str:
    with pytest.raises(TermsError) as caught:
        check()
    return caught.value.field


def test_a_window_is_five_quarters_of_the_lot_and_a_minute() -> None:
    assert window_s(1_250, 5_000) == 1_185
    assert window_s(1_250, 4_999) == 1_186
    with pytest.raises(ValueError, match="needs power"):
        window_s(1_000, 0)


@given(st.integers(100, 50_000), st.integers(1, 1_000_000))
def test_a_window_leaves_a_quarter_more_time_than_the_energy_takes(energy_wh: int, power_w: int) -> None:
    assert window_s(energy_wh, power_w) * power_w >= energy_wh * 4_500 + 60 * power_w
    assert (window_s(energy_wh, power_w) - 61) * power_w < energy_wh * 4_500


def test_from_register_to_confirm_both_sides_come_to_the_same_contract() -> None:
    MARKET.check_offer(OFFER)
    check_bid(BID, OFFER, now_s=NOW_S, windows=WINDOWS)
    accept = MARKET.contract(BID._replace(contract_no=7), **PARTIES)
    assert accept == good.CONTRACT
    accept_wire = accept.to_wire(sign_contract(accept, good.BATTERY))
    check_accept(BID, accept_wire)
    read = MARKET.contract(accept_wire, **PARTIES)
    check_contract(read, "battery", good.BATTERY.public_key, accept_wire.signature)
    confirm_wire = accept_wire._replace(signature=sign_contract(read, good.BUYER))
    check_confirm(accept_wire, confirm_wire)
    check_contract(accept, "buyer", good.BUYER.public_key, confirm_wire.signature)


@pytest.mark.parametrize("name", WireContract._fields)
def test_any_other_value_in_a_register_is_refused_by_name(name: str) -> None:
    wrong = OFFER._replace(**{name: changed(getattr(OFFER, name))})
    if name == "battery_wallet":
        MARKET.check_offer(wrong)
        wrong = OFFER._replace(battery_wallet=ZERO_KEY)
    assert refused(lambda: MARKET.check_offer(wrong)) == name


@pytest.mark.parametrize("name", WireContract._fields)
def test_any_other_value_in_a_bid_is_refused_by_name(name: str) -> None:
    wrong = BID._replace(**{name: changed(getattr(BID, name))})
    if name in {"buyer_wallet", "generation", "starts_at_s", "valid_until_s"}:
        wrong = wrong._replace(ends_at_s=wrong.starts_at_s + 2_310)
        check_bid(wrong, OFFER, now_s=NOW_S, windows=WINDOWS)  # the buyer's to choose
        return
    assert refused(lambda: check_bid(wrong, OFFER, now_s=NOW_S, windows=WINDOWS)) == name


def changed(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize(
    ("field", "terms"),
    [
        ("generation", {"generation": 0}),
        ("buyer_wallet", {"buyer_wallet": ZERO_KEY}),
        ("buyer_wallet", {"buyer_wallet": OFFER.battery_wallet}),
        ("buyer_wallet", {"buyer_wallet": OFFER.resolver}),
        ("starts_at_s", {"starts_at_s": NOW_S - 31, "ends_at_s": NOW_S - 31 + 2_310}),
        ("starts_at_s", {"starts_at_s": NOW_S + 31, "ends_at_s": NOW_S + 31 + 2_310}),
        ("starts_at_s", {"starts_at_s": -(2**63), "ends_at_s": 2_310 - 2**63}),
        ("ends_at_s", {"ends_at_s": BID.ends_at_s + 1}),
        ("ends_at_s", {"ends_at_s": BID.starts_at_s}),
        ("ends_at_s", {"ends_at_s": BID.starts_at_s - 2_310}),
        ("valid_until_s", {"valid_until_s": BID.ends_at_s + 86_399}),
        ("valid_until_s", {"valid_until_s": BID.ends_at_s + 7 * 86_400 + 1}),
        ("valid_until_s", {"valid_until_s": 2**63 - 1}),
    ],
)
def test_times_that_do_not_suit_are_refused_by_name(field: str, terms: dict[str, Any]) -> None:
    assert refused(lambda: check_bid(BID._replace(**terms), OFFER, now_s=NOW_S, windows=WINDOWS)) == field


def test_a_start_within_thirty_seconds_of_the_clock_and_every_quoted_window_is_taken() -> None:
    for now_s in (NOW_S - 30, NOW_S + 30):
        check_bid(BID, OFFER, now_s=now_s, windows=WINDOWS)
    for windows in (Windows(2_310, 4_000), Windows(60, 2_310)):
        check_bid(BID, OFFER, now_s=NOW_S, windows=windows)
    assert refused(lambda: check_bid(BID, OFFER, now_s=NOW_S, windows=Windows(2_311, 4_000))) == "ends_at_s"


@pytest.mark.parametrize("name", WireContract._fields)
def test_an_accept_changes_number_and_signature_alone_and_a_confirm_the_signature(name: str) -> None:
    wrong = BID._replace(**{name: changed(getattr(BID, name))})
    if name in {"contract_no", "signature"}:
        check_accept(BID, wrong)
    else:
        assert refused(lambda: check_accept(BID, wrong)) == name
    if name == "signature":
        check_confirm(BID, wrong)
    else:
        assert refused(lambda: check_confirm(BID, wrong)) == name


def test_a_contract_beyond_64_bits_of_money_or_with_oneself_is_none() -> None:
    dear = MarketTerms(
        venue=good.VENUE, base_units_per_cent=10**7, fee_bps=500, dispute_window_s=1, resolver=bytes([9]) * 32
    )
    wire = BID._replace(base_units_per_cent=10**7, fee_bps=500)
    huge = {**PARTIES, "price_e4": 4_294_967_200, "energy_wh": 4_294_967_200}
    assert refused(lambda: dear.contract(wire, **huge)) == "amount"
    with_oneself = BID._replace(buyer_wallet=BID.battery_wallet)
    assert refused(lambda: MARKET.contract(with_oneself, **PARTIES)) == "buyer_wallet"
    same_key = {**PARTIES, "buyer_key": good.BATTERY.public_key}
    assert refused(lambda: MARKET.contract(BID, **same_key)) == "buyer_device_id"
    foreign = BID._replace(market=bytes(32))
    assert refused(lambda: MARKET.contract(foreign, **PARTIES)) == "market"


WIRES: Final = st.builds(
    WireContract,
    *[
        st.binary(min_size=len(value), max_size=len(value)) | st.just(value)
        if isinstance(value, bytes)
        else st.integers(-(2**63), 2**64 - 1) | st.just(value)
        for value in BID
    ],
)


@given(WIRES, st.integers(0, 2**40))
def test_whatever_comes_it_is_taken_or_refused_with_the_field(wire: WireContract, now_s: int) -> None:
    checks: list[Callable[[], object]] = [
        lambda: MARKET.check_offer(wire),
        lambda: check_bid(wire, OFFER, now_s=now_s, windows=WINDOWS),
        lambda: check_accept(BID, wire),
        lambda: check_confirm(BID, wire),
        lambda: MARKET.contract(wire, **PARTIES),
    ]
    named = {field_refused(check) for check in checks}
    assert named <= {"", "amount", *WireContract._fields}


def field_refused(check: Callable[[], object]) -> str:
    try:
        check()
    except TermsError as error:
        return error.field
    return ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_units_per_cent", 0),
        ("fee_bps", 501),
        ("dispute_window_s", 0),
        ("resolver", bytes(32)),
        ("meter_key", b""),
    ],
)
def test_a_market_with_impossible_terms_is_refused(field: str, value: object) -> None:
    terms: dict[str, Any] = {
        "venue": good.VENUE,
        "base_units_per_cent": 1,
        "fee_bps": 0,
        "dispute_window_s": 1,
        "resolver": bytes([9]) * 32,
    }
    assert refused(lambda: MarketTerms(**{**terms, field: value})) == field

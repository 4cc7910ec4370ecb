"""Contracts and receipts for tests: one that is good, and any that could be."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from etp.messages import FIRST_BATTERY_ID
from settlement import Contract, IdentityKey, Receipt, Venue
from settlement.values import I64_MAX, U32_MAX, U64_MAX

BATTERY: Final = IdentityKey(bytes([1]) * 32)
BUYER: Final = IdentityKey(bytes([2]) * 32)
STRANGER: Final = IdentityKey(bytes([3]) * 32)
VENUE: Final = Venue(program_id=bytes([4]) * 32, genesis_hash=bytes([5]) * 32, mint=bytes([6]) * 32)
TERMS: Final[dict[str, Any]] = {
    "venue": VENUE,
    "battery_wallet": bytes([7]) * 32,
    "buyer_wallet": bytes([8]) * 32,
    "generation": 435_888_001,
    "contract_no": 7,
    "battery_device_id": BATTERY.device_id,
    "buyer_device_id": BUYER.device_id,
    "message_id": 4_711,
    "price_e4": 251_300,
    "energy_wh": 2_500,
    "base_units_per_cent": 10_000,
    "starts_at_s": 1_700_000_000,
    "ends_at_s": 1_700_002_310,
    "valid_until_s": 1_700_261_510,
    "fee_bps": 50,
    "dispute_window_s": 86_400,
    "resolver": bytes([9]) * 32,
}
CONTRACT: Final = Contract(**TERMS)
RECEIPT: Final = Receipt(
    trade_id=CONTRACT.trade_id,
    final=True,
    delivered_wh=2_500,
    started_at_s=1_700_000_003,
    ended_at_s=1_700_002_000,
    evidence=bytes([10]) * 32,
)


def contract_with(**terms: object) -> Contract:
    return Contract(**{**TERMS, **terms})


def receipt_with(**fields: object) -> Receipt:
    names = ("trade_id", "final", "delivered_wh", "started_at_s", "ended_at_s", "evidence")
    return Receipt(**{**{name: getattr(RECEIPT, name) for name in names}, **fields})


_HASH = st.binary(min_size=32, max_size=32).filter(any)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    u64 = st.integers(0, U64_MAX)
    battery_wallet, buyer_wallet, resolver = draw(st.lists(_HASH, min_size=3, max_size=3, unique=True))
    battery_device_id, buyer_device_id = draw(st.lists(u64, min_size=2, max_size=2, unique=True))
    starts_at_s = draw(st.integers(1, I64_MAX - 8 * 86_400))
    ends_at_s = draw(st.integers(starts_at_s + 1, I64_MAX - 7 * 86_400))
    price_e4 = draw(st.integers(0, U32_MAX // 100)) * 100
    energy_wh = draw(st.integers(1, U32_MAX // 100)) * 100
    rate = draw(st.integers(1, 9_000_000))  # at 10^7 the fee of the dearest contract is beyond u64
    return Contract(
        venue=Venue(program_id=draw(_HASH), genesis_hash=draw(_HASH), mint=draw(_HASH)),
        battery_wallet=battery_wallet,
        buyer_wallet=buyer_wallet,
        generation=draw(st.integers(1, U64_MAX)),
        contract_no=draw(u64),
        battery_device_id=battery_device_id,
        buyer_device_id=buyer_device_id,
        message_id=draw(st.integers(0, FIRST_BATTERY_ID - 1)),
        price_e4=price_e4,
        energy_wh=energy_wh,
        base_units_per_cent=rate,
        starts_at_s=starts_at_s,
        ends_at_s=ends_at_s,
        valid_until_s=draw(st.integers(ends_at_s + 86_400, ends_at_s + 7 * 86_400)),
        fee_bps=draw(st.integers(0, 500)),
        dispute_window_s=draw(st.integers(1, U32_MAX)),
        resolver=resolver,
        meter_key=draw(st.sampled_from((bytes(32), STRANGER.public_key))),
    )


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    started_at_s = draw(st.integers(0, I64_MAX))
    return Receipt(
        trade_id=draw(_HASH),
        final=draw(st.booleans()),
        delivered_wh=draw(st.integers(0, U64_MAX)),
        started_at_s=started_at_s,
        ended_at_s=draw(st.integers(started_at_s, I64_MAX)),
        evidence=draw(st.binary(min_size=32, max_size=32)),
    )

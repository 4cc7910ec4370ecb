"""The body codec: every message comes back as it went, and anything else is a named refusal."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.errors import BodyError
from etp.messages import BODY_BYTES, FIRST_BATTERY_ID, Body, MessageType, ReasonCode

IDS = st.integers(0, (1 << 64) - 1)
PRICES = st.integers(0, 1 << 32)
ENERGIES = st.integers(0, 1 << 32)
POWERS = st.integers(-(1 << 31), 0)
CODES = st.sampled_from(ReasonCode)
HEALTH = st.integers(0, 255)
FLOATS = [name for name, value in Body.register(1, 2)._asdict().items() if isinstance(value, float)]

bodies = st.one_of(
    st.builds(Body.register, IDS, IDS),
    st.builds(Body.query, IDS, IDS, energy_wh=ENERGIES),
    st.builds(
        Body.query_response,
        IDS,
        IDS,
        beat_e4=PRICES,
        own_e4=PRICES,
        usable_wh=ENERGIES,
        lot_wh=ENERGIES,
        lot_power_w=POWERS,
        remaining_wh=ENERGIES,
        voltage_mv=ENERGIES,
        health=HEALTH,
        code=CODES,
    ),
    st.builds(Body.bid, st.integers(0, FIRST_BATTERY_ID - 1), IDS, price_e4=PRICES, energy_wh=ENERGIES),
    st.builds(Body.bid_accept, IDS, IDS, price_e4=PRICES, energy_wh=ENERGIES, power_w=POWERS),
    st.builds(Body.bid_confirm, IDS, IDS, price_e4=PRICES, energy_wh=ENERGIES),
    st.builds(Body.bid_reject, IDS, IDS, code=CODES, beat_e4=PRICES),
    st.builds(Body.terminate, IDS, IDS, code=CODES, delivered_wh=ENERGIES),
    st.builds(Body.device_failure, IDS, IDS, code=CODES),
    st.builds(
        Body.bess_status,
        IDS,
        IDS,
        delivered_wh=ENERGIES,
        remaining_wh=ENERGIES,
        health=HEALTH,
        voltage_mv=ENERGIES,
        power_w=POWERS,
        code=CODES,
    ),
)


@given(bodies)
def test_every_message_survives_the_wire(body: Body) -> None:
    data = body.encode()
    assert len(data) == BODY_BYTES
    assert Body.decode(data) == body
    assert Body.decode(b"\x00" + data, 1) == body


def test_the_fields_lie_where_the_protocol_says() -> None:
    body = Body(3, 1, 2, 5, 1.5, 2.5, 3.5, 4.5, 5.5, 6, 7.5, 1, 8.5, 9.5)
    assert body.encode() == struct.pack("<BQQBdddddBdBdd", 3, 1, 2, 5, 1.5, 2.5, 3.5, 4.5, 5.5, 6, 7.5, 1, 8.5, 9.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, -5e-324])
@pytest.mark.parametrize("field", FLOATS)
def test_no_field_may_be_negative_or_no_number(field: str, value: float) -> None:
    broken = Body(**{**Body.register(1, 2)._asdict(), field: value}).encode()
    with pytest.raises(BodyError) as caught:
        Body.decode(broken)
    assert caught.value.field == field


def test_more_than_all_is_not_for_sale() -> None:
    with pytest.raises(BodyError, match="above 100") as caught:
        Body.decode(Body.register(1, 2)._replace(percentage_for_sale=100.00001).encode())
    assert caught.value.field == "percentage_for_sale"


@pytest.mark.parametrize("size", [0, 1, 83])
def test_a_short_body_is_refused(size: int) -> None:
    with pytest.raises(BodyError, match=f"{size} bytes"):
        Body.decode(Body.register(1, 2).encode()[:size])


@given(st.binary(max_size=200))
def test_garbage_is_decoded_or_refused(data: bytes) -> None:
    try:
        body = Body.decode(data)
    except BodyError:
        return
    assert body.message_type in set(MessageType)
    assert all(abs(value) < 1 << 63 for value in (body.bid_price_e4, body.sale_price_e4, body.energy_wh, body.power_w))


def test_an_expired_frame_is_no_error() -> None:
    assert Body.decode(Body.register(1, 2)._replace(ttl=0).encode()).ttl == 0


def test_a_buyer_cannot_build_a_bid_with_a_batterys_id() -> None:
    with pytest.raises(BodyError, match="below 2\\^63"):
        Body.bid(FIRST_BATTERY_ID, 1, price_e4=1, energy_wh=1)


def test_a_quote_without_energy_has_no_percentage() -> None:
    assert Body.query_response(1, 2, beat_e4=5, usable_wh=0, lot_wh=0).percentage_for_sale == 0.0
    assert Body.query_response(1, 2, beat_e4=5, usable_wh=8_000, lot_wh=4_000).percentage_for_sale == 50.0


def test_numbers_come_back_in_the_products_units() -> None:
    accept = Body.bid_accept(1, 2, price_e4=125_000, energy_wh=2_500, power_w=-5_000)
    assert (accept.sale_price_e4, accept.energy_wh, accept.power_w) == (125_000, 2_500, -5_000)
    assert Body.bid(1, 2, price_e4=125_000, energy_wh=100).bid_price_e4 == 125_000

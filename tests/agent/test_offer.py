"""What may be offered: every obstacle, in the order of the protocol's codes, and never more than is free."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.guardrails import Guardrails, Obstacle
from agent.offer import Offer, Promises, SellingLimits, offer_of
from drivers.device import BatteryInfo, BatteryState, Value
from etp.messages import ReasonCode

NOW_MS = 10_000
INFO = BatteryInfo(family="sunspec", rated_power_w=5_000, capacity_wh=13_500, min_power_w=50, dead_man_ms=20_000)
LIMITS = SellingLimits(floor_permille=200, share_permille=1_000)


def value(number: int) -> Value:
    return Value(number, NOW_MS - 100)


WELL = BatteryState(
    soc_permille=value(800),
    power_w=value(0),
    voltage_mv=value(51_000),
    temp_min_dc=value(200),
    temp_max_dc=value(250),
    max_discharge_w=value(5_000),
    connected=True,
    fault="",
    ready=True,
    grid_ok=True,
    status_at_ms=NOW_MS - 100,
    answered_at_ms=NOW_MS - 100,
)


def offer(state: BatteryState = WELL, info: BatteryInfo | None = INFO, **changes: Any) -> Offer:
    arguments: dict[str, Any] = {
        "limits": LIMITS,
        "rules": Guardrails(),
        "promises": Promises(),
        "stopped": "",
        "trouble": None,
        "smallest_need_wh": None,
        "now_ms": NOW_MS,
    }
    return offer_of(state, info, **(arguments | changes))


def test_a_well_battery_offers_a_quarter_of_an_hour_at_rated_power() -> None:
    made = offer()
    assert made.code == ReasonCode.NONE
    assert made.usable_wh == 600 * 13_500 * 950 // 1_000_000
    assert made.lot_wh == 1_200
    assert made.free_power_w == 5_000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"connected": False}, ReasonCode.OFFLINE),
        ({"soc_permille": None}, ReasonCode.OFFLINE),
        ({"soc_permille": Value(800, NOW_MS - 2_501)}, ReasonCode.OFFLINE),
        ({"max_discharge_w": None}, ReasonCode.OFFLINE),
        ({"power_w": None}, ReasonCode.OFFLINE),
        ({"fault": "contactor"}, ReasonCode.FAULT),
        ({"grid_ok": False}, ReasonCode.FAULT),
        ({"ready": False}, ReasonCode.FAULT),
        ({"temp_max_dc": value(510)}, ReasonCode.FAULT),
        ({"temp_max_dc": None}, ReasonCode.OFFLINE),
        ({"max_discharge_w": value(0)}, ReasonCode.NO_LOT),
        ({"soc_permille": value(200)}, ReasonCode.NO_LOT),
    ],
)
def test_nothing_is_offered_on_a_dead_or_forbidding_value(changes: dict[str, Any], code: ReasonCode) -> None:
    made = offer(replace(WELL, **changes))
    assert made.code == code
    assert made.lot_wh == 0
    assert made.reason


def test_the_owner_goes_before_every_other_reason() -> None:
    broken = replace(WELL, fault="contactor")
    assert offer(broken, stopped="owner").code == ReasonCode.WITHDRAWN


@pytest.mark.parametrize("stopped", ["", "owner"])
def test_a_failing_battery_is_told_whatever_else_forbids_selling(stopped: str) -> None:
    assert offer(replace(WELL, fault="contactor"), stopped=stopped).failing
    assert offer(replace(WELL, connected=False), stopped=stopped).failing
    assert not offer(stopped=stopped).failing
    assert not offer(replace(WELL, max_discharge_w=value(0)), stopped=stopped).failing


def test_what_is_promised_beyond_what_is_usable_is_short_also_while_stopped() -> None:
    empty = replace(WELL, soc_permille=value(250))
    assert offer(empty).usable_wh == 641
    assert offer(empty, promises=Promises(energy_wh=1_000, power_w=1_000)).short_wh == 359
    assert offer(empty, promises=Promises(energy_wh=1_000, power_w=1_000), stopped="owner").short_wh == 359
    no_discharge = replace(empty, max_discharge_w=value(0))
    assert offer(no_discharge, promises=Promises(energy_wh=1_000, power_w=1_000)).short_wh == 359
    assert offer(empty, promises=Promises(energy_wh=1_000, power_w=1_000)).reason == "what is left is promised"


def test_the_site_s_own_ratings_go_before_the_device_s() -> None:
    made = offer(limits=replace(LIMITS, capacity_wh=10_000, max_power_w=2_000, min_power_w=300, lot_wh=900))
    assert made.usable_wh == 600 * 10_000 * 950 // 1_000_000
    assert (made.free_power_w, made.min_power_w, made.lot_wh) == (2_000, 300, 900)
    too_weak = replace(LIMITS, max_power_w=200, min_power_w=300)
    assert (offer(limits=too_weak).code, offer(limits=too_weak).reason) == (ReasonCode.NO_LOT, "no power is free")


def test_trouble_with_deliveries_forbids_sales() -> None:
    assert offer(trouble=Obstacle(ReasonCode.FAULT, "did not follow")).reason == "did not follow"


def test_a_device_that_never_answered_offers_nothing() -> None:
    assert offer(info=None).code == ReasonCode.OFFLINE


def test_the_device_floor_counts_where_it_is_higher() -> None:
    assert offer(replace(WELL, device_floor_permille=value(700))).usable_wh == 100 * 13_500 * 950 // 1_000_000


def test_what_has_left_since_the_gauge_last_moved_is_not_sold_again() -> None:
    plain, fallen = offer(), offer(unseen_wh=100)
    assert fallen.usable_wh == plain.usable_wh - 100
    assert fallen.sellable_wh == plain.sellable_wh - 100
    assert offer(unseen_wh=50_000).usable_wh == 0


def test_an_award_is_kept_as_long_as_the_gauge_covers_it() -> None:
    promises = Promises(energy_wh=7_600)
    assert offer(promises=promises, unseen_wh=100).short_wh == 0
    assert offer(promises=promises, unseen_wh=100).sellable_wh == 0
    assert offer(promises=Promises(energy_wh=7_700)).short_wh == 5


def test_granted_power_is_not_offered_again() -> None:
    assert offer(promises=Promises(energy_wh=1_200, power_w=5_000)).code == ReasonCode.NO_LOT
    assert offer(promises=Promises(energy_wh=1_200, power_w=4_000)).free_power_w == 1_000


def test_the_smallest_regular_need_bounds_the_lot() -> None:
    assert offer(smallest_need_wh=400).lot_wh == 400


@given(
    soc=st.integers(0, 1_000),
    energy_wh=st.integers(0, 14_000),
    power_w=st.integers(0, 6_000),
    share=st.integers(0, 1_000),
    lot_wh=st.integers(100, 50_000),
)
def test_a_lot_and_the_promises_never_exceed_what_is_usable(
    soc: int, energy_wh: int, power_w: int, share: int, lot_wh: int
) -> None:
    made = offer(
        replace(WELL, soc_permille=value(soc)),
        promises=Promises(energy_wh=energy_wh, power_w=power_w),
        limits=replace(LIMITS, share_permille=share, lot_wh=lot_wh),
    )
    if made.lot_wh:
        assert made.lot_wh + energy_wh <= made.usable_wh
        assert made.lot_wh <= lot_wh
        assert made.lot_wh % 100 == 0
        assert made.free_power_w + power_w <= 5_000
    assert (made.short_wh > 0) == (energy_wh > made.usable_wh)

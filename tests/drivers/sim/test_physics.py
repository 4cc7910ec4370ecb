"""The battery's physics: energy is conserved, limits hold, protection refuses, time-lapse touches energy alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.sim.physics import BatteryConfig, BatteryModel

RATED_W = 5_000
CAPACITY_WH = 13_500


def make(**changes: int) -> BatteryModel:
    return BatteryModel(BatteryConfig(**changes))


def test_discharge_takes_dc_energy_at_95_per_cent() -> None:
    model = make(ramp_w_per_s=1_000_000)
    before = (model.stored_wh, model.counters.ac_discharged_wh, model.counters.dc_discharged_wh)
    model.target_w = -3_600.0
    model.step(1_000_000)
    assert model.counters.ac_discharged_wh - before[1] == pytest.approx(1_000, abs=0.1)
    assert model.counters.dc_discharged_wh - before[2] == pytest.approx(1_000 / 0.95, abs=0.1)
    assert before[0] - model.stored_wh == pytest.approx(1_000 / 0.95, abs=0.1)


def test_charge_stores_95_per_cent() -> None:
    model = make(ramp_w_per_s=1_000_000, soc_permille=300)
    stored_wh, counted_wh = model.stored_wh, model.counters.ac_charged_wh
    model.target_w = 3_600.0
    model.step(1_000_000)
    assert model.counters.ac_charged_wh - counted_wh == pytest.approx(1_000, abs=0.1)
    assert model.stored_wh - stored_wh == pytest.approx(950, abs=0.1)
    assert model.counters.ac_discharged_wh == BatteryModel(model.config).counters.ac_discharged_wh


def test_power_ramps_in_real_time() -> None:
    model = make(time_lapse=100)
    model.target_w = -5_000.0
    model.step(500)
    assert model.power_w == pytest.approx(-2_500)
    model.step(600)
    assert model.power_w == -5_000


def test_ramp_through_zero_charges_and_discharges() -> None:
    model = make(soc_permille=500)
    model.target_w = -5_000.0
    model.step(10_000)
    before = model.counters.ac_charged_wh, model.counters.ac_discharged_wh
    model.target_w = 5_000.0
    model.step(2_000)
    half_triangle_wh = 5_000 * 1 / 2 / 3_600
    assert model.counters.ac_charged_wh - before[0] == pytest.approx(half_triangle_wh, rel=1e-6)
    assert model.counters.ac_discharged_wh - before[1] == pytest.approx(half_triangle_wh, rel=1e-6)


def test_time_lapse_multiplies_energy() -> None:
    slow, fast = make(), make(time_lapse=60)
    for model in (slow, fast):
        model.target_w = -1_000.0
        model.step(2_000)  # both ramps done
    start = slow.stored_wh, fast.stored_wh
    slow.step(60_000)
    fast.step(1_000)
    assert start[0] - slow.stored_wh == pytest.approx(start[1] - fast.stored_wh, rel=1e-6)


def test_an_empty_battery_refuses_until_it_is_charged_a_little() -> None:
    model = make(soc_permille=60, time_lapse=60)
    model.target_w = -5_000.0
    model.step(120_000)
    assert model.empty
    assert model.power_w == 0
    assert model.soc == pytest.approx(0.05, abs=0.003)
    assert model.limits().discharge_w == 0
    model.target_w = 5_000.0
    model.step(10_000)
    assert model.limits().discharge_w > 0


def test_power_falls_near_empty_before_it_stops() -> None:
    model = make(soc_permille=65)
    model.target_w = -5_000.0
    model.step(5_000)
    assert -5_000 < model.power_w < 0


def test_a_full_battery_refuses_to_charge() -> None:
    model = make(soc_permille=999, time_lapse=60)
    model.target_w = 5_000.0
    model.step(600_000)
    assert model.full
    assert model.power_w == 0
    assert model.stored_wh == CAPACITY_WH


def test_the_reserve_stops_discharge() -> None:
    model = make(soc_permille=310, time_lapse=60)
    model.reserve = 0.3
    model.target_w = -5_000.0
    model.step(300_000)
    assert model.soc == pytest.approx(0.3, abs=0.003)
    assert model.empty


def test_heat_derates_and_then_stops() -> None:
    model = make()
    model.switches.hot_c = 50.0
    model.target_w = -5_000.0
    model.step(3_000)
    assert model.power_w == pytest.approx(-2_500)
    assert model.hot_warning
    model.switches.hot_c = 60.0
    model.step(3_000)
    assert model.power_w == 0
    assert model.over_temperature


def test_frost_forbids_charging_only() -> None:
    model = make(ambient_dc=-50, soc_permille=500)
    limits = model.limits()
    assert limits.charge_w == 0
    assert limits.discharge_w == RATED_W
    assert make(ambient_dc=-150).limits().discharge_w == 0


@pytest.mark.parametrize("switch", ["fault", "grid_lost", "disconnected", "standby"])
def test_a_switch_stops_power_at_once(switch: str) -> None:
    model = make()
    model.target_w = -5_000.0
    model.step(2_000)
    setattr(model.switches, switch, True)
    model.apply_switches()
    assert model.power_w == 0
    model.step(5_000)
    assert model.power_w == 0


def test_voltage_sags_under_load_and_rises_while_charging() -> None:
    model = make(soc_permille=500)
    resting_v = model.voltage_v
    model.target_w = -5_000.0
    model.step(2_000)
    loaded_v = model.voltage_v
    model.target_w = 5_000.0
    model.step(3_000)
    assert loaded_v < resting_v < model.voltage_v
    assert model.voltage_v * model.current_a == pytest.approx(model.dc_power_w)


def test_work_warms_and_rest_cools() -> None:
    model = make(time_lapse=60, capacity_wh=1_000_000)
    model.target_w = -5_000.0
    model.step(60_000)
    warm_c = model.temp_c
    model.target_w = 0.0
    model.step(60_000)
    assert 20 < model.temp_c < warm_c < 30
    assert model.cabinet_c == pytest.approx(model.temp_c)


def test_own_control_is_what_happens_without_a_target() -> None:
    model = make(own_power_w=-300)
    model.step(1_000)
    assert model.power_w == -300
    model.charge_cap_w, model.discharge_cap_w = 0.0, 100.0
    model.step(1_000)
    assert model.power_w == -100


def test_impossible_nameplates_and_times_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity_wh"):
        make(capacity_wh=0)
    with pytest.raises(ValueError, match="discharge"):
        BatteryConfig(discharge_efficiency=1.2)
    with pytest.raises(ValueError, match="backwards"):
        make().step(-1)
    with pytest.raises(ValueError, match="soc_permille"):
        make().set_soc(1_001)


def test_charge_can_be_put_anywhere() -> None:
    model = make()
    model.set_soc(0)
    assert model.limits().discharge_w == 0
    model.set_soc(500)
    assert model.limits().discharge_w == RATED_W
    assert model.soc == 0.5


steps = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-9_000, 9_000)), st.integers(0, 900_000)), min_size=1, max_size=12
)


@pytest.mark.no_cover
@settings(max_examples=60, deadline=None)
@given(steps=steps, soc_permille=st.integers(0, 1_000), time_lapse=st.sampled_from([1, 60]))
def test_energy_is_conserved_and_limits_hold(
    steps: list[tuple[float | None, int]], soc_permille: int, time_lapse: int
) -> None:
    model = make(soc_permille=soc_permille, time_lapse=time_lapse)
    start_wh, first = model.stored_wh, BatteryModel(model.config).counters
    for target_w, dt_ms in steps:
        model.target_w = target_w
        before = model.counters.ac_charged_wh, model.counters.ac_discharged_wh
        model.step(dt_ms)
        assert 0 <= model.stored_wh <= CAPACITY_WH
        assert abs(model.power_w) <= RATED_W
        assert model.counters.ac_charged_wh >= before[0]
        assert model.counters.ac_discharged_wh >= before[1]
    moved_wh = (model.counters.dc_charged_wh - first.dc_charged_wh) - (
        model.counters.dc_discharged_wh - first.dc_discharged_wh
    )
    assert model.stored_wh - start_wh == pytest.approx(moved_wh, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.integers(1, 3_000), min_size=1, max_size=10), target_w=st.floats(-5_000, 5_000))
def test_how_often_somebody_looks_changes_nothing(parts: list[int], target_w: float) -> None:
    often, once = make(soc_permille=500), make(soc_permille=500)
    often.target_w = once.target_w = target_w
    for part_ms in parts:
        often.step(part_ms)
    once.step(sum(parts))
    assert often.stored_wh == pytest.approx(once.stored_wh, abs=1e-6)
    assert often.power_w == pytest.approx(once.power_w, abs=1e-6)

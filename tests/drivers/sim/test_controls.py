"""Commands and reversion timers of models 704 and 124."""

from __future__ import annotations

import pytest

from drivers.sim.controls import FULL_RATE, AcControls, IllegalValueError, StorageControls

INFINITE = float("inf")


def selling_704(watts: int = 2_000, seconds: int = 10, now_ms: int = 0) -> AcControls:
    controls = AcControls(5_000)
    controls.write({"WSetMod": 1}, now_ms)
    controls.write({"WSetRvrtTms": seconds}, now_ms)
    controls.write({"WSet": watts}, now_ms)
    controls.write({"WSetEna": 1}, now_ms)
    return controls


def test_without_a_command_the_battery_is_its_own_master() -> None:
    for controls in (AcControls(5_000), StorageControls(5_000)):
        assert controls.command() == (None, INFINITE, INFINITE)
        assert controls.deadline_ms is None


def test_a_generation_setpoint_is_a_discharge_target() -> None:
    controls = selling_704()
    assert controls.command().target_w == -2_000
    controls.write({"WSet": -1_500}, 0)
    assert controls.command().target_w == 1_500


def test_a_setpoint_in_per_cent() -> None:
    controls = selling_704()
    controls.write({"WSetMod": 0, "WSetPct": 2_500}, 0)
    assert controls.command().target_w == -1_250


def test_the_timer_counts_down_and_reverts() -> None:
    controls = selling_704(seconds=10)
    assert controls.values(0)["WSetRvrtRem"] == 10
    assert controls.values(9_001)["WSetRvrtRem"] == 1
    controls.expire(9_999)
    assert controls.command().target_w == -2_000
    controls.expire(10_000)
    assert controls.command().target_w is None
    assert controls.deadline_ms is None
    assert controls.values(10_000)["WSetRvrtRem"] == 0


def test_reversion_may_mean_another_setpoint() -> None:
    controls = selling_704()
    controls.write({"WSetRvrt": 100, "WSetEnaRvrt": 1}, 0)
    controls.expire(10_000)
    assert controls.command().target_w == -100


def test_writing_the_setpoint_again_renews_but_writing_the_seconds_does_not() -> None:
    controls = selling_704(seconds=10)
    controls.write({"WSet": 2_000}, 6_000)
    assert controls.deadline_ms == 16_000
    controls.write({"WSetRvrtTms": 60}, 7_000)
    assert controls.deadline_ms == 16_000


def test_disabling_stops_the_timer_and_zero_seconds_never_revert() -> None:
    controls = selling_704()
    controls.write({"WSetEna": 0}, 1_000)
    assert controls.deadline_ms is None
    assert controls.command().target_w is None
    assert selling_704(seconds=0).deadline_ms is None


def test_a_generation_limit_caps_discharge_and_reverts_by_itself() -> None:
    controls = AcControls(5_000)
    controls.write({"WMaxLimPct": 4_000, "WMaxLimPctRvrtTms": 5, "WMaxLimPctEna": 1}, 0)
    assert controls.command() == (None, INFINITE, 2_000)
    assert controls.values(1_000)["WMaxLimPctRvrtRem"] == 4
    controls.expire(5_000)
    assert controls.command().discharge_cap_w == INFINITE


@pytest.mark.parametrize(
    "changes", [{"WSet": 5_001}, {"WSetEna": 2}, {"WSetPct": -10_001}, {"WMaxLimPct": 10_001}, {"WSetMod": 7}]
)
def test_values_out_of_range_are_refused_and_nothing_changes(changes: dict[str, int]) -> None:
    controls = selling_704()
    before = controls.values(0)
    with pytest.raises(IllegalValueError):
        controls.write({"WSetPct": 1, **changes}, 0)
    assert controls.values(0) == before


def test_124_negative_charge_rate_forces_discharge() -> None:
    controls = StorageControls(5_000)
    controls.write({"InOutWRte_RvrtTms": 30, "InWRte": -4_000, "OutWRte": FULL_RATE, "StorCtl_Mod": 1}, 0)
    assert controls.command() == (-2_000, 0, INFINITE)
    assert controls.deadline_ms == 30_000
    controls.expire(30_000)
    assert controls.command() == (None, INFINITE, INFINITE)
    assert controls.values(0)["InWRte"] == FULL_RATE


def test_124_negative_discharge_rate_forces_charge_where_the_grid_may() -> None:
    controls = StorageControls(5_000)
    controls.write({"OutWRte": -1_000, "StorCtl_Mod": 2}, 0)
    assert controls.command() == (500, INFINITE, 0)
    controls.write({"ChaGriSet": 0}, 0)
    assert controls.command().target_w == 0
    assert controls.deadline_ms is None


def test_124_positive_rates_are_caps() -> None:
    controls = StorageControls(5_000)
    controls.write({"InWRte": 0, "OutWRte": 5_000, "StorCtl_Mod": 3}, 0)
    assert controls.command() == (None, 0, 2_500)
    controls.write({"InWRte": -10_000}, 0)
    assert controls.command() == (-5_000, 0, 2_500)


def test_124_releasing_stops_the_timer() -> None:
    controls = StorageControls(5_000)
    controls.write({"InOutWRte_RvrtTms": 30, "InWRte": -4_000, "StorCtl_Mod": 1}, 0)
    controls.write({"StorCtl_Mod": 0}, 1_000)
    assert controls.deadline_ms is None
    controls.expire(40_000)
    assert controls.values(0)["InWRte"] == -4_000
    with pytest.raises(IllegalValueError):
        controls.write({"StorCtl_Mod": 4}, 0)

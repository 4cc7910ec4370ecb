"""The values of the device interface."""

import json

import pytest

from drivers.device import LIVE_FIELDS, SLOW_AGE_MAX_MS, SLOW_FIELDS, BatteryState, TakeOver, Value


def full(at_ms: int = 1_000) -> BatteryState:
    values = {name: Value(7, at_ms) for name in (*LIVE_FIELDS, *SLOW_FIELDS)}
    return BatteryState(
        **values,  # type: ignore[arg-type]
        connected=True,
        fault="",
        ready=True,
        grid_ok=True,
        status_at_ms=at_ms,
        answered_at_ms=at_ms,
    )


def test_every_value_field_has_an_age_rule() -> None:
    named = {name for name in BatteryState.__slots__ if isinstance(getattr(full(), name), Value)}
    assert named == {*LIVE_FIELDS, *SLOW_FIELDS}


def test_a_fresh_state_is_the_same_object() -> None:
    state = full()
    assert state.fresh(3_500, 2_500) is state


def test_stale_values_are_absent_and_slow_ones_last_longer() -> None:
    state = full().fresh(3_501, 2_500)
    assert all(getattr(state, name) is None for name in LIVE_FIELDS)
    assert all(getattr(state, name) == Value(7, 1_000) for name in SLOW_FIELDS)
    assert (state.connected, state.fault, state.ready, state.grid_ok) == (False, None, None, None)
    late = full().fresh(1_001 + SLOW_AGE_MAX_MS, 2_500)
    assert all(getattr(late, name) is None for name in SLOW_FIELDS)


def test_one_old_value_goes_alone() -> None:
    state = BatteryState(soc_permille=Value(1, 0), power_w=Value(2, 900), connected=True, answered_at_ms=900)
    fresh = state.fresh(1_000, 500)
    assert (fresh.soc_permille, fresh.power_w, fresh.connected) == (None, Value(2, 900), True)
    assert BatteryState(connected=True).fresh(0, 500).connected is False


def test_a_take_over_survives_json() -> None:
    record = TakeOver(
        found={"ena": 0, "set": -5}, recipe=(("ena", 0), ("set", 0)), addresses={"ena": (9, 1)}, unit=3, serial="x"
    )
    assert TakeOver.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("body", [{}, {"found": {}}, {"found": 3, "recipe": [], "addresses": {}, "unit": 1}])
def test_something_else_is_no_take_over(body: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        TakeOver.from_json(body)

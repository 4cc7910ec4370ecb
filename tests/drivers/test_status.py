"""State registers to ready, fault and grid."""

from typing import Any

from drivers.declaration import Status
from drivers.device import Value
from drivers.loader import load_family
from drivers.status import StatusView, evaluate

RULES = (
    Status(point="inv", ready=frozenset({3}), wake=frozenset({7}), faults={6: "inverter fault"}, words={7: "standby"}),
    Status(point="alarms", fault_bits={1: "hot", 3: "cold"}, grid_lost_bits=frozenset({4})),
    Status(point="conn", grid=frozenset({1})),
    Status(point="hz", grid_range=(45_000, 65_000)),
)
GOOD = {"inv": 3, "alarms": 0, "conn": 1, "hz": 50_000}


def view(*, may_wake: bool = False, **changes: int | None) -> StatusView:
    read = {**GOOD, **changes}
    values = {name: None if v is None else Value(v, 10 + i) for i, (name, v) in enumerate(read.items())}
    return evaluate(RULES, values, may_wake=may_wake)


def test_all_is_well() -> None:
    assert view() == StatusView(ready=True, fault="", grid_ok=True, at_ms=10, words=())


def test_states_that_forbid_discharge_are_named() -> None:
    assert view(inv=7)[:2] == (False, "")
    assert view(inv=7).words == ("standby",)
    assert view(inv=2).words == ("inv is 2",)
    assert view(inv=7, may_wake=True).ready is True


def test_faults_by_value_and_by_bit() -> None:
    assert view(inv=6).fault == "inverter fault"
    assert view(alarms=0b1010).fault == "hot, cold"
    assert view(alarms=0b0100).fault == ""


def test_the_grid_is_lost_by_state_bit_or_frequency() -> None:
    assert view(conn=0).grid_ok is False
    assert view(alarms=1 << 4).grid_ok is False
    assert view(hz=44_999).grid_ok is False


def test_what_cannot_be_read_is_unknown() -> None:
    assert view(inv=None)[:3] == (None, None, True)
    assert view(conn=None).grid_ok is None
    assert view(alarms=None)[:3] == (True, None, None)
    assert view(inv=None, alarms=0b10).fault == "hot"
    assert view(inv=None, conn=0).grid_ok is False
    assert view(inv=None, alarms=None, conn=None, hz=None).at_ms is None


def test_a_device_without_states_says_nothing() -> None:
    assert evaluate((), {}, may_wake=False) == StatusView(ready=None, fault="", grid_ok=None, at_ms=None, words=())


def test_sunspec_states_mean_what_the_models_say() -> None:
    rules = [rule for rule in load_family("sunspec").file.status if rule.point.startswith(("ac.", "bat.", "storage."))]
    good: dict[str, Any] = {"ac.state": 1, "ac.inverter_state": 3, "ac.connection": 1, "ac.alarms": 0, "ac.mode": 1}
    good |= {"storage.status": 0, "bat.loc_rem_ctl": 0, "bat.state": 3, "bat.events": 0}

    def outcome(**changes: int) -> tuple[bool | None, str | None, bool | None]:
        read = {**good, **{name.replace("__", "."): value for name, value in changes.items()}}
        return evaluate(rules, {name: Value(value, 0) for name, value in read.items()}, may_wake=False)[:3]

    assert outcome() == (True, "", True)
    assert outcome(ac__inverter_state=7)[0] is False
    assert outcome(ac__inverter_state=6)[1] == "inverter fault"
    assert outcome(ac__connection=0)[2] is False
    assert outcome(ac__mode=2)[2] is False
    assert outcome(ac__alarms=1 << 7)[1] == "over temperature"
    assert outcome(storage__status=2)[1] == "storage error"
    assert outcome(storage__status=1) == (True, "", True)
    assert outcome(bat__loc_rem_ctl=1)[0] is False
    assert outcome(bat__state=99)[1] == "battery fault"
    assert outcome(bat__events=1 << 2) == (True, "", True)
    assert outcome(bat__events=1 << 1)[1] == "battery over temperature"

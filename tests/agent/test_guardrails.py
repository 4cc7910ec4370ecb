from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.guardrails import Guardrails, obstacle_of, sale_obstacle
from drivers.device import BatteryState, Value
from etp.messages import ReasonCode

NOW_MS = 50_000
WELL = BatteryState(
    soc_permille=Value(800, NOW_MS),
    power_w=Value(0, NOW_MS),
    temp_min_dc=Value(180, NOW_MS),
    temp_max_dc=Value(260, NOW_MS),
    max_discharge_w=Value(5_000, NOW_MS),
    connected=True,
    fault="",
    ready=True,
    grid_ok=True,
    status_at_ms=NOW_MS,
    answered_at_ms=NOW_MS,
)


def test_a_well_battery_has_no_obstacle() -> None:
    assert obstacle_of(WELL, Guardrails(), NOW_MS) is None
    assert sale_obstacle(WELL, Guardrails(), NOW_MS + 2_500) is None
    assert sale_obstacle(replace(WELL, grid_ok=None), Guardrails(), NOW_MS) is None


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"connected": False}, ReasonCode.OFFLINE, "does not answer"),
        ({"connected": False, "reason": "link lost", "fault": "x"}, ReasonCode.OFFLINE, "link lost"),
        ({"fault": "over-temperature"}, ReasonCode.FAULT, "over-temperature"),
        ({"grid_ok": False}, ReasonCode.FAULT, "grid lost"),
        ({"ready": False}, ReasonCode.FAULT, "forbids discharge"),
        ({"ready": False, "reason": "local mode"}, ReasonCode.FAULT, "local mode"),
        ({"ready": None}, ReasonCode.OFFLINE, "status is absent"),
        ({"fault": None}, ReasonCode.OFFLINE, "status is absent"),
        ({"soc_permille": None, "reason": "all zero"}, ReasonCode.OFFLINE, "state of charge is absent: all zero"),
        ({"power_w": None}, ReasonCode.OFFLINE, "power is absent"),
        ({"max_discharge_w": None}, ReasonCode.OFFLINE, "discharge limit is absent"),
        ({"temp_min_dc": None}, ReasonCode.OFFLINE, "cell temperature is absent"),
        ({"temp_max_dc": None}, ReasonCode.OFFLINE, "cell temperature is absent"),
        ({"temp_min_dc": Value(-1, NOW_MS)}, ReasonCode.FAULT, "cells at -0.1..26.0 C, allowed 0..50 C"),
        ({"temp_max_dc": Value(501, NOW_MS)}, ReasonCode.FAULT, "50.1 C"),
    ],
)
def test_every_obstacle_stops_delivery_and_sale(change: dict[str, Any], code: ReasonCode, words: str) -> None:
    state = replace(WELL, **change)
    for obstacle in (obstacle_of(state, Guardrails(), NOW_MS), sale_obstacle(state, Guardrails(), NOW_MS)):
        assert obstacle is not None
        assert obstacle.code == code
        assert words in obstacle.reason


def test_what_is_old_is_absent() -> None:
    obstacle = obstacle_of(WELL, Guardrails(), NOW_MS + 2_501)
    assert obstacle is not None
    assert obstacle.code == ReasonCode.OFFLINE


def test_a_battery_that_allows_no_discharge_sells_nothing_but_goes_on_delivering() -> None:
    empty = replace(WELL, max_discharge_w=Value(0, NOW_MS))
    assert obstacle_of(empty, Guardrails(), NOW_MS) is None
    obstacle = sale_obstacle(empty, Guardrails(), NOW_MS)
    assert obstacle is not None
    assert obstacle.code == ReasonCode.NO_LOT

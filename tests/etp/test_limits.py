"""Limits: what may be switched off, and what must always bound something."""

from __future__ import annotations

from dataclasses import fields

import pytest

from etp.limits import Limits

MAY_BE_OFF = {
    "connections",
    "per_address",
    "address_frames_per_s",
    "bad_frames_per_min",
    "half_frame_ms",
    "stalled_ms",
    "idle_ms",
}


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_no_limit_is_negative(name: str) -> None:
    with pytest.raises(ValueError, match=f"limit {name} = -1"):
        Limits(**{name: -1})


@pytest.mark.parametrize("name", sorted(MAY_BE_OFF))
def test_a_site_may_switch_these_off(name: str) -> None:
    assert getattr(Limits(**{name: 0}), name) == 0


@pytest.mark.parametrize(
    "name", sorted({field.name for field in fields(Limits)} - MAY_BE_OFF - {"frames_per_s", "burst"})
)
def test_memory_stays_bounded(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(**{name: 0})


def test_rate_and_burst_go_together() -> None:
    assert Limits(frames_per_s=0, burst=0).burst == 0
    with pytest.raises(ValueError, match="together"):
        Limits(frames_per_s=0)
    with pytest.raises(ValueError, match="together"):
        Limits(burst=0)


def test_a_limit_is_a_whole_number() -> None:
    with pytest.raises(ValueError, match="whole number"):
        Limits(connections=1.5)  # type: ignore[arg-type]

"""What a lithium iron phosphate pack does by itself: open-circuit voltage, internal resistance, warmth, derating.

Pure functions over floats in SI units, used by `physics` alone. Numbers are those of an ordinary 16-cell pack, scaled
to the pack's nominal voltage and rated power; they are plausible, not a datasheet.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

# State of charge against open-circuit voltage as a share of nominal (3.2 V a cell).
_OCV: Final = (
    (0.00, 0.906),
    (0.05, 0.984),
    (0.10, 1.006),
    (0.20, 1.016),
    (0.40, 1.025),
    (0.60, 1.031),
    (0.80, 1.041),
    (0.95, 1.047),
    (1.00, 1.078),
)
_SAG_AT_RATED_POWER: Final = 0.02
_THERMAL_RESISTANCE_K_PER_W: Final = 8.0
_THERMAL_TIME_S: Final = 7_200.0

COLD_CHARGE_C: Final = 0.0
COLD_DISCHARGE_C: Final = -10.0
HOT_DERATE_C: Final = 45.0
HOT_WARNING_C: Final = 48.0
HOT_STOP_C: Final = 55.0
_LEAST_DERATED_SHARE: Final = 0.1


def open_circuit_v(soc: float, nominal_v: float) -> float:
    """Return the voltage without load at a state of charge of 0..1."""
    below = _OCV[0]
    for above in _OCV[1:]:
        if soc <= above[0]:
            share = (max(soc, 0.0) - below[0]) / (above[0] - below[0])
            return nominal_v * (below[1] + share * (above[1] - below[1]))
        below = above
    return nominal_v * _OCV[-1][1]


def internal_resistance_ohm(nominal_v: float, rated_power_w: float) -> float:
    """Return the resistance that costs 2 % of the voltage at rated power."""
    return _SAG_AT_RATED_POWER * nominal_v * nominal_v / rated_power_w


def loaded(ocv_v: float, resistance_ohm: float, dc_power_w: float) -> tuple[float, float]:
    """Return terminal voltage (V) and current (A, positive = charging) at a DC power (positive = charging)."""
    root = sqrt(max(ocv_v * ocv_v + 4.0 * resistance_ohm * dc_power_w, 0.0))
    current_a = (root - ocv_v) / (2.0 * resistance_ohm)
    return ocv_v + current_a * resistance_ohm, current_a


def warmed(temp_c: float, ambient_c: float, heat_share: float, seconds: float) -> float:
    """Return the temperature after some seconds (at most 60) of a loss of `heat_share` per cent of rated power.

    First order: the pack settles `heat_share` x 8 K above ambient with a time constant of two hours.
    """
    settled_c = ambient_c + heat_share * _THERMAL_RESISTANCE_K_PER_W
    return temp_c + (settled_c - temp_c) * seconds / _THERMAL_TIME_S


def heat_share(power_w: float, rated_power_w: float) -> float:
    """Return the heat as a share of the heat at rated power: it grows with the square of the load."""
    return (power_w / rated_power_w) ** 2


def discharge_share(temp_c: float) -> float:
    """Return the share of rated discharge power that the temperature allows."""
    if temp_c <= COLD_DISCHARGE_C:
        return 0.0
    return _hot_share(temp_c)


def charge_share(temp_c: float) -> float:
    """Return the share of rated charge power that the temperature allows: nothing at or below freezing."""
    if temp_c <= COLD_CHARGE_C:
        return 0.0
    return min(_hot_share(temp_c), max(_LEAST_DERATED_SHARE, temp_c / 10.0))


def band_share(distance: float, band: float) -> float:
    """Return the share of power allowed at a distance (0..1 of capacity) from a limit: 10 % close to it, then all."""
    return 0.0 if distance <= 0.0 else max(_LEAST_DERATED_SHARE, min(1.0, distance / band))


def _hot_share(temp_c: float) -> float:
    if temp_c >= HOT_STOP_C:
        return 0.0
    return min(1.0, (HOT_STOP_C - temp_c) / (HOT_STOP_C - HOT_DERATE_C))

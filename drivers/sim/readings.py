"""What the battery's own instruments show: a snapshot of the physics with measurement noise, and its scale factors.

Noise is a pure function of seed and time (a new value every half second), so the same run shows the same numbers.
Power and current count discharge positive here, as the SunSpec models with a fixed sign do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from drivers.sim.physics import BatteryModel

_NOISE_MS: Final = 500
_POWER_NOISE: Final = 0.002
_VOLTAGE_NOISE: Final = 0.0002
_MASK: Final = 0xFFFFFFFFFFFFFFFF
_INT16_ROOM: Final = 30_000


class Scales(NamedTuple):
    """Powers of ten of the registers of one battery: large batteries have coarser registers."""

    power: int
    energy: int
    volt: int
    amp: int
    charge: int  # ampere-hours

    @classmethod
    def of(cls, model: BatteryModel) -> Scales:
        """Choose the finest scale factors in which every value of this battery fits."""
        config = model.config
        nominal_v = config.nominal_voltage_mv / 1_000
        return cls(
            power=_scale(config.rated_power_w * 1.3, 0),
            energy=_scale(float(config.capacity_wh), 0),
            volt=_scale(nominal_v * 1.2, -2),
            amp=_scale(config.rated_power_w * 1.3 / nominal_v, -2),
            charge=_scale(config.capacity_wh / nominal_v, -1),
        )


class Reading(NamedTuple):
    """One look at the instruments; powers in W and currents in A are positive while discharging."""

    ac_power_w: float
    dc_power_w: float
    volt: float
    amp: float
    ac_volt: float
    hertz: float
    soc: float
    cell_c: float
    cabinet_c: float
    ambient_c: float
    discharged_wh: int
    charged_wh: int
    dc_discharged_wh: int
    dc_charged_wh: int
    cycles: int
    heartbeat: int


def take(model: BatteryModel, seed: int, now_ms: int) -> Reading:
    """Read the instruments."""
    tick = now_ms // _NOISE_MS
    power_factor = 1 + _POWER_NOISE * _noise(seed, tick, 1)
    dc_power_w = -model.dc_power_w * power_factor
    volt = model.voltage_v * (1 + _VOLTAGE_NOISE * _noise(seed, tick, 2))
    lost = model.switches.grid_lost
    counters = model.counters
    return Reading(
        ac_power_w=-model.power_w * power_factor,
        dc_power_w=dc_power_w,
        volt=volt,
        amp=dc_power_w / volt if volt > 0 else 0.0,
        ac_volt=0.0 if lost else 230.0 * (1 + 0.005 * _noise(seed, tick, 3)),
        hertz=0.0 if lost else 50.0 + 0.02 * _noise(seed, tick, 4),
        soc=model.soc,
        cell_c=model.temp_c,
        cabinet_c=model.cabinet_c,
        ambient_c=model.config.ambient_dc / 10,
        discharged_wh=int(counters.ac_discharged_wh),
        charged_wh=int(counters.ac_charged_wh),
        dc_discharged_wh=int(counters.dc_discharged_wh),
        dc_charged_wh=int(counters.dc_charged_wh),
        cycles=int(counters.dc_discharged_wh / model.config.capacity_wh),
        heartbeat=now_ms // 1_000 & 0x7FFF,
    )


def scaled(value: float, scale: int) -> int:
    """Return a register's whole number for a value and its power of ten."""
    return round(value / 10.0**scale)


def _scale(largest: float, finest: int) -> int:
    scale = finest
    while largest / 10.0**scale > _INT16_ROOM:
        scale += 1
    return scale


def _noise(seed: int, tick: int, channel: int) -> float:
    """Return a number in -1..1 that seed, tick and channel alone decide (splitmix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + tick * 0xBF58476D1CE4E5B9 + channel * 0x94D049BB133111EB) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) & 0xFFFFFFFF) / 0x7FFFFFFF - 1.0

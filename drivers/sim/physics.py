"""The battery itself: energy, power, voltage, warmth, limits and counters. Pure and deterministic.

`BatteryModel.step(dt_ms)` is the only thing that lets time pass. Power is AC power in W, positive = charging. Stored
energy is DC energy behind a charge and a discharge efficiency. The battery management system derates near empty, near
full and when hot, and refuses beyond. `time_lapse` multiplies the time that energy and warmth see; the power ramp (and
every timer kept elsewhere) stays in real time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drivers.sim import chemistry

_PHYSICS_CHUNK_MS: Final = 10_000  # longest stretch of energy time over which limits count as constant
_DERATING_BAND: Final = 0.03
_HYSTERESIS: Final = 0.02  # an empty (full) battery discharges (charges) again this far from its limit
_LIFETIME_DISCHARGED_WH: Final = 1_250_000.0
_LIFETIME_CHARGED_WH: Final = 1_400_000.0
_INVERTER_WARMTH_C: Final = 12.0  # cabinet above cells at rated power


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryConfig:
    """What stands on the battery's nameplate, and where it starts. Raises ValueError for what cannot be built."""

    capacity_wh: int = 13_500
    rated_power_w: int = 5_000
    soc_permille: int = 800
    soc_min_permille: int = 50
    soc_max_permille: int = 1_000
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    nominal_voltage_mv: int = 51_200
    ambient_dc: int = 200  # tenths of a degree Celsius
    ramp_w_per_s: int = 0  # 0 = rated power in one second
    own_power_w: int = 0  # what the battery does when nobody commands it
    time_lapse: int = 1

    def __post_init__(self) -> None:
        """Refuse impossible nameplates."""
        for name, value, low, high in (
            ("capacity_wh", self.capacity_wh, 100, 100_000_000),
            ("rated_power_w", self.rated_power_w, 100, 3_000_000),
            ("soc_permille", self.soc_permille, 0, 1_000),
            ("soc_min_permille", self.soc_min_permille, 0, 500),
            ("soc_max_permille", self.soc_max_permille, 600, 1_000),
            ("nominal_voltage_mv", self.nominal_voltage_mv, 12_000, 1_500_000),
            ("ambient_dc", self.ambient_dc, -400, 800),
            ("ramp_w_per_s", self.ramp_w_per_s, 0, 100_000_000),
            ("time_lapse", self.time_lapse, 1, 3_600),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} = {value} is outside {low}..{high}")
        for name, share in (("charge_efficiency", self.charge_efficiency), ("discharge", self.discharge_efficiency)):
            if not 0.5 <= share <= 1.0:
                raise ValueError(f"{name} = {share} is outside 0.5..1")


class Limits(NamedTuple):
    """What the battery management system allows now, as magnitudes in W."""

    charge_w: float
    discharge_w: float


@dataclass(slots=True)
class Counters:
    """Lifetime energy in Wh: AC at the connection, DC at the cells. They only grow."""

    ac_charged_wh: float = _LIFETIME_CHARGED_WH / 0.95
    ac_discharged_wh: float = _LIFETIME_DISCHARGED_WH * 0.95
    dc_charged_wh: float = _LIFETIME_CHARGED_WH
    dc_discharged_wh: float = _LIFETIME_DISCHARGED_WH


@dataclass(slots=True)
class Switches:
    """What stops a battery whatever it is told."""

    fault: bool = False
    grid_lost: bool = False
    disconnected: bool = False
    standby: bool = False
    hot_c: float | None = None  # forces the temperature

    def blocked(self) -> bool:
        """Whether no power can flow at all."""
        return self.fault or self.grid_lost or self.disconnected or self.standby


@dataclass(slots=True)
class BatteryModel:
    """One battery. Set `target_w` (None = its own control), the limits and switches; let time pass with `step`."""

    config: BatteryConfig
    target_w: float | None = None
    own_power_w: float = 0.0
    charge_cap_w: float = field(default=float("inf"))  # set from outside, on top of the BMS limits
    discharge_cap_w: float = field(default=float("inf"))
    reserve: float = 0.0  # discharge stops here, 0..1
    ceiling: float = 1.0  # charging stops here, 0..1
    stored_wh: float = 0.0
    power_w: float = 0.0
    temp_c: float = 0.0
    counters: Counters = field(default_factory=Counters)
    switches: Switches = field(default_factory=Switches)
    _empty: bool = False
    _full: bool = False

    def __post_init__(self) -> None:
        """Start at rest, at ambient temperature, with the configured charge."""
        self.stored_wh = self.config.capacity_wh * self.config.soc_permille / 1_000
        self.temp_c = self.config.ambient_dc / 10
        self.own_power_w = float(self.config.own_power_w)
        self.reserve = self.config.soc_min_permille / 1_000
        self._latch()

    @property
    def soc(self) -> float:
        """State of charge, 0..1."""
        return self.stored_wh / self.config.capacity_wh

    @property
    def dc_power_w(self) -> float:
        """Power at the cells, positive = charging."""
        if self.power_w < 0:
            return self.power_w / self.config.discharge_efficiency
        return self.power_w * self.config.charge_efficiency

    @property
    def voltage_v(self) -> float:
        """Terminal voltage under the present load."""
        return self._terminal()[0]

    @property
    def current_a(self) -> float:
        """Cell current, positive = charging."""
        return self._terminal()[1]

    @property
    def cabinet_c(self) -> float:
        """Temperature of the inverter's cabinet."""
        return self.temp_c + _INVERTER_WARMTH_C * chemistry.heat_share(self.power_w, self.config.rated_power_w)

    @property
    def over_temperature(self) -> bool:
        """Whether the temperature alone forbids any power."""
        return self.temp_c >= chemistry.HOT_STOP_C

    @property
    def hot_warning(self) -> bool:
        """Whether the temperature is close to the limit."""
        return self.temp_c >= chemistry.HOT_WARNING_C

    @property
    def empty(self) -> bool:
        """Whether the battery refuses to discharge because it is at its lower limit."""
        return self._empty

    @property
    def full(self) -> bool:
        """Whether the battery refuses to charge because it is at its upper limit."""
        return self._full

    def set_soc(self, soc_permille: int) -> None:
        """Put the charge somewhere else, as a tester would. Raises ValueError outside 0..1000."""
        if not 0 <= soc_permille <= 1_000:
            raise ValueError(f"soc_permille = {soc_permille} is outside 0..1000")
        self.stored_wh = self.config.capacity_wh * soc_permille / 1_000
        self._empty = self._full = False
        self._latch()

    def limits(self) -> Limits:
        """Return what the battery management system allows now."""
        if self.switches.blocked():
            return Limits(0.0, 0.0)
        rated_w = float(self.config.rated_power_w)
        down = 0.0 if self._empty else chemistry.band_share(self.soc - self._floor(), _DERATING_BAND)
        up = 0.0 if self._full else chemistry.band_share(self._ceiling() - self.soc, _DERATING_BAND)
        return Limits(
            rated_w * up * chemistry.charge_share(self.temp_c),
            rated_w * down * chemistry.discharge_share(self.temp_c),
        )

    def wanted_w(self) -> float:
        """Return the power the battery moves towards: the target (or its own wish) inside every limit."""
        limits = self.limits()
        target_w = self.own_power_w if self.target_w is None else self.target_w
        least_w = -min(limits.discharge_w, self.discharge_cap_w)
        return max(least_w, min(target_w, limits.charge_w, self.charge_cap_w))

    def step(self, dt_ms: int) -> None:
        """Let real time pass. Raises ValueError for a negative time."""
        if dt_ms < 0:
            raise ValueError(f"time cannot run backwards: {dt_ms} ms")
        chunk_ms = max(1, _PHYSICS_CHUNK_MS // self.config.time_lapse)
        while dt_ms > 0:
            part_ms = min(dt_ms, chunk_ms)
            self._advance(part_ms / 1_000)
            dt_ms -= part_ms

    def apply_switches(self) -> None:
        """Let a changed switch act at once: blocked means no power, a forced temperature is the temperature."""
        if self.switches.blocked():
            self.power_w = 0.0
        if self.switches.hot_c is not None:
            self.temp_c = self.switches.hot_c

    def _advance(self, seconds: float) -> None:
        self.apply_switches()
        wanted_w = self.wanted_w()
        ramp_w_per_s = float(self.config.ramp_w_per_s or self.config.rated_power_w)
        away_w = wanted_w - self.power_w
        ramp_s = min(seconds, abs(away_w) / ramp_w_per_s)
        reached_w = wanted_w
        if ramp_s == seconds:
            reached_w = self.power_w + (ramp_w_per_s if away_w > 0 else -ramp_w_per_s) * seconds
        self._ramp(self.power_w, reached_w, ramp_s)
        self.power_w = reached_w
        self._transfer(reached_w, seconds - ramp_s)
        self._warm(seconds * self.config.time_lapse)
        self._latch()

    def _ramp(self, from_w: float, to_w: float, seconds: float) -> None:
        if from_w * to_w < 0:
            share = from_w / (from_w - to_w)
            self._transfer(from_w / 2, seconds * share)
            self._transfer(to_w / 2, seconds * (1 - share))
        else:
            self._transfer((from_w + to_w) / 2, seconds)

    def _transfer(self, power_w: float, seconds: float) -> None:
        """Move energy at a constant AC power for some real seconds; never beyond empty or full."""
        ac_wh = power_w * seconds * self.config.time_lapse / 3_600
        counters = self.counters
        if ac_wh < 0:
            dc_wh = min(-ac_wh / self.config.discharge_efficiency, self.stored_wh)
            self.stored_wh -= dc_wh
            counters.dc_discharged_wh += dc_wh
            counters.ac_discharged_wh += dc_wh * self.config.discharge_efficiency
        elif ac_wh > 0:
            dc_wh = min(ac_wh * self.config.charge_efficiency, self.config.capacity_wh - self.stored_wh)
            self.stored_wh += dc_wh
            counters.dc_charged_wh += dc_wh
            counters.ac_charged_wh += dc_wh / self.config.charge_efficiency

    def _warm(self, seconds: float) -> None:
        if self.switches.hot_c is not None:
            return
        share = chemistry.heat_share(self.power_w, self.config.rated_power_w)
        self.temp_c = chemistry.warmed(self.temp_c, self.config.ambient_dc / 10, share, seconds)

    def _latch(self) -> None:
        above, below = self.soc - self._floor(), self._ceiling() - self.soc
        self._empty = above <= 0 or (self._empty and above < _HYSTERESIS)
        self._full = below <= 0 or (self._full and below < _HYSTERESIS)

    def _floor(self) -> float:
        return max(self.config.soc_min_permille / 1_000, self.reserve)

    def _ceiling(self) -> float:
        return min(self.config.soc_max_permille / 1_000, self.ceiling)

    def _terminal(self) -> tuple[float, float]:
        nominal_v = self.config.nominal_voltage_mv / 1_000
        resistance_ohm = chemistry.internal_resistance_ohm(nominal_v, self.config.rated_power_w)
        return chemistry.loaded(chemistry.open_circuit_v(self.soc, nominal_v), resistance_ohm, self.dc_power_w)

"""One simulated battery as a Modbus device without a socket: registers in, registers out, time handed in.

Everything is computed when somebody looks: `advance` lets the physics and the revert timers run up to `now_ms`, with
each reversion performed at its own moment in between.
"""

from __future__ import annotations

from typing import Any, Final

from drivers.sim.controls import AcControls, Controls, StorageControls
from drivers.sim.faults import FaultSwitches
from drivers.sim.image import RegisterImage
from drivers.sim.models import PROFILES
from drivers.sim.physics import BatteryConfig, BatteryModel
from drivers.sim.readings import Scales, take
from drivers.sim.settings import Settings
from drivers.sim.values import VALUES
from drivers.sim.view import Values, View

_CONTROL_MODELS: Final = frozenset({704, 124})
_LONGEST_IDLE_MS: Final = 86_400_000


class SimulatedBattery:
    """A battery of one profile (`704` or `124`) that starts at `now_ms`. Raises ValueError for another profile."""

    def __init__(
        self, config: BatteryConfig, *, profile: str = "704", unit: int = 1, seed: int = 0, now_ms: int = 0
    ) -> None:
        if profile not in PROFILES:
            raise ValueError(f"no profile {profile!r}; known: {', '.join(PROFILES)}")
        if not 1 <= unit <= 247:
            raise ValueError(f"unit {unit} is outside 1..247")
        self.unit = unit
        self.model = BatteryModel(config)
        self.faults = FaultSwitches()
        self.reads = self.writes = 0
        self._seed = seed
        self._scales = Scales.of(self.model)
        self._controls: Controls = (AcControls if profile == "704" else StorageControls)(config.rated_power_w)
        self._settings = Settings(self.model, 10**self._scales.power)
        self._image = RegisterImage(PROFILES[profile], self._values_of)
        self._now_ms = now_ms
        self._kept: dict[int, Values] = {}  # what the `stuck` switch goes on showing
        self._obey()

    def start_at(self, now_ms: int) -> None:
        """Begin to live at this moment, without catching up from an earlier one."""
        self._now_ms = now_ms

    def read(self, address: int, count: int, now_ms: int) -> list[int]:
        """Return holding registers. Raises IllegalAddressError."""
        self.advance(now_ms)
        self.reads += 1
        return self._image.read(address, count)

    def write(self, address: int, registers: list[int], now_ms: int) -> None:
        """Write holding registers, all or none. Raises IllegalAddressError, TornPointError or IllegalValueError."""
        self.advance(now_ms)
        changes = self._image.resolve(address, registers)
        settings = {name: value for name, value in changes.items() if self._settings.knows(name)}
        commands = {name: value for name, value in changes.items() if name not in settings}
        self._controls.write(commands, now_ms)
        self._settings.write(settings)
        self.writes += 1
        self._obey()

    def advance(self, now_ms: int) -> None:
        """Let time pass up to `now_ms` (an earlier moment changes nothing)."""
        while (due_ms := self._controls.deadline_ms) is not None and due_ms <= now_ms:
            self._step_to(due_ms)
            self._controls.expire(due_ms)
            self._obey()
        self._step_to(now_ms)

    def set_fault(self, name: str, value: int | str | None = None) -> None:
        """Switch a fault on. Raises ValueError with what is allowed."""
        self.faults.set(name, value)
        self._kept.clear()
        self._obey()

    def clear_fault(self, name: str | None = None) -> None:
        """Switch one fault off, or all. Raises ValueError for an unknown name."""
        was_hot = self.faults.on("over-temperature")
        self.faults.clear(name)
        self._kept.clear()
        if was_hot and not self.faults.on("over-temperature"):
            self.model.temp_c = self.model.config.ambient_dc / 10
        self._obey()

    def address_of(self, model_id: int, name: str) -> tuple[int, int]:
        """Return first address and size of a point. Raises KeyError for what this profile does not have."""
        return self._image.address_of(model_id, name)

    def truth(self, now_ms: int) -> dict[str, Any]:
        """Return what is really so now, whatever the registers show. Powers positive = charging; energies in Wh."""
        self.advance(now_ms)
        model, counters, limits = self.model, self.model.counters, self.model.limits()
        return {
            "at_ms": now_ms,
            "soc_permille": round(model.soc * 1_000, 3),
            "stored_wh": round(model.stored_wh, 3),
            "capacity_wh": model.config.capacity_wh,
            "power_w": round(model.power_w, 3),
            "dc_power_w": round(model.dc_power_w, 3),
            "voltage_mv": round(model.voltage_v * 1_000),
            "current_ma": round(model.current_a * 1_000),
            "temp_dc": round(model.temp_c * 10),
            "target_w": model.target_w,
            "max_charge_w": round(limits.charge_w),
            "max_discharge_w": round(limits.discharge_w),
            "charged_wh": round(counters.ac_charged_wh, 3),
            "discharged_wh": round(counters.ac_discharged_wh, 3),
            "dc_charged_wh": round(counters.dc_charged_wh, 3),
            "dc_discharged_wh": round(counters.dc_discharged_wh, 3),
            "released": model.target_w is None,
            "revert_in_ms": None if self._controls.deadline_ms is None else self._controls.deadline_ms - now_ms,
            "reads": self.reads,
            "writes": self.writes,
            "time_lapse": model.config.time_lapse,
            "faults": self.faults.active(),
        }

    def _step_to(self, now_ms: int) -> None:
        if now_ms > self._now_ms:
            self.model.step(min(now_ms - self._now_ms, _LONGEST_IDLE_MS))
            self._now_ms = now_ms

    def _obey(self) -> None:
        """Hand commands, settings and faults to the physics."""
        command = self._controls.command()
        charge_cap_w, discharge_cap_w = self._settings.power_caps_w()
        model, faults = self.model, self.faults
        local = faults.on("local")
        model.target_w = None if local else command.target_w
        model.charge_cap_w = charge_cap_w if local else min(charge_cap_w, command.charge_cap_w)
        model.discharge_cap_w = discharge_cap_w if local else min(discharge_cap_w, command.discharge_cap_w)
        model.switches.fault = faults.on("fault")
        model.switches.grid_lost = faults.on("grid-lost")
        model.switches.hot_c = float(faults.number("over-temperature")) if faults.on("over-temperature") else None
        model.apply_switches()

    def _values_of(self, model_id: int) -> Values:
        fresh = self.faults.distort(VALUES[model_id](self._view()))
        if not self.faults.on("stuck"):
            return fresh
        kept = self._kept.setdefault(model_id, fresh)
        writable = {name: value for name, value in fresh.items() if self._is_writable(model_id, name)}
        return {**kept, **writable}

    def _is_writable(self, model_id: int, name: str) -> bool:
        return self._settings.knows(name) or (model_id in _CONTROL_MODELS and name in self._controls.values(0))

    def _view(self) -> View:
        return View(
            model=self.model,
            controls=self._controls,
            settings=self._settings,
            scales=self._scales,
            reading=take(self.model, self._seed, self._now_ms),
            now_ms=self._now_ms,
            serial=f"SIM-{self._seed:08d}",
            unit=self.unit,
            local=self.faults.on("local"),
        )

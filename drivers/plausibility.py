"""Whether to believe what a battery says (dispatch.md section 9). Pure: samples in, the believable part out.

`judge` takes the fields of one poll and returns them without what their neighbours or their own past contradict; a
value is never corrected. Rules, each with its own reason:

- *all zero*: state of charge, voltage and power together are 0: the battery is gone, not empty. Voltage 0 alone too.
- *range*: power beyond twice the rating.
- *frozen*: fields marked live, only while |power| > 5 % of rated, unchanged for 60 s. A field that steps with energy
  (state of charge, counters) must have been passed by three steps' worth as well; a field that does not (power,
  voltage, current may stand still on a steady setpoint) is frozen only when every live field is.
- *sign*: power against state of charge, judged only after energy worth three steps of it, seen in several samples (what
  the power did between two of them is a guess, and with a time lapse a lot can flow there); 60 s of rest clear it.
- *counter*: a step of more than twice rated power x elapsed time, or backwards without a rollover. During a delivery
  the counter then stays away until the delivery ends; outside one it is taken as the new start.

`time_lapse` multiplies elapsed time in the energy rules; the 60 s are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.device import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

FROZEN_MS: Final = 60_000
STEPS: Final = 3
SIGN_SAMPLES: Final = 4  # one wrong guess between two samples is then outweighed by the others
COUNTER_LAG_MS: Final = 5_000  # a device may update its counter more slowly than we read it
SAMPLE_GAP_MS: Final = 5_000  # energy between samples further apart is unknown
_ENERGY: Final = 3_600_000  # W x ms in one Wh
_COUNTERS: Final = ("discharged_wh", "charged_wh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the rules need to know of a device. `rollover_wh`: the counter's modulus, by field."""

    rated_power_w: int
    capacity_wh: int
    soc_step_permille: int = 1
    counter_step_wh: Mapping[str, int] = field(default_factory=dict)
    rollover_wh: Mapping[str, int] = field(default_factory=dict)
    live: frozenset[str] = frozenset()
    time_lapse: int = 1


class Verdict(NamedTuple):
    """The fields that may be believed, and why the others may not."""

    values: dict[str, Value]
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Watch:
    value: int
    since_ms: int
    energy: int = 0  # W x ms that passed since


@dataclass(slots=True)
class _Counter:
    last: Value
    offset_wh: int = 0
    blocked: bool = False


@dataclass(slots=True)
class _SignWindow:
    soc_permille: int
    energy: int = 0
    samples: int = 0


class Plausibility:
    """The memory between samples. One per device connection of any length; `judge` once per poll."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._busy_w = rules.rated_power_w // 20
        self._power: Value | None = None
        self._watches: dict[str, _Watch] = {}
        self._sign: _SignWindow | None = None
        self._contradicted = False
        self._busy_at_ms = 0
        self._counters: dict[str, _Counter] = {}
        self._delivering = False

    def delivery(self, *, active: bool) -> None:
        """Say that a delivery begins or ends: a counter that was sent away may come back."""
        self._delivering = active
        self._counters = {name: item for name, item in self._counters.items() if not item.blocked}

    def judge(self, sample: Mapping[str, Value | None], now_ms: int) -> Verdict:
        """Return the believable part of a sample; absent fields stay absent."""
        values = {name: value for name, value in sample.items() if value is not None}
        reasons: list[str] = []
        self._all_zero(values, reasons)
        self._range(values, reasons)
        energy = self._flow(values.get("power_w"))
        if self._busy():
            self._busy_at_ms = now_ms
        elif now_ms - self._busy_at_ms >= FROZEN_MS:
            self._contradicted = False
        sign = self._sign_holds(values, energy)
        frozen = self._frozen(values, energy, now_ms)
        if not sign:
            reasons.append("power and state of charge contradict each other")
            values.pop("power_w", None)
            values.pop("soc_permille", None)
        for name in _COUNTERS:
            self._count(name, values, reasons)
        for name in frozen:
            values.pop(name, None)
        if frozen:
            reasons.append(f"frozen for {FROZEN_MS // 1_000} s: {', '.join(sorted(frozen))}")
        return Verdict(values, tuple(reasons))

    @staticmethod
    def _all_zero(values: dict[str, Value], reasons: list[str]) -> None:
        names = ("soc_permille", "voltage_mv", "power_w")
        if all(name in values and values[name].value == 0 for name in names):
            reasons.append("state of charge, voltage and power are all zero: the battery is gone")
            for name in names:
                del values[name]
        elif "voltage_mv" in values and values["voltage_mv"].value == 0:
            reasons.append("voltage is zero")
            del values["voltage_mv"]

    def _range(self, values: dict[str, Value], reasons: list[str]) -> None:
        power = values.get("power_w")
        if power is not None and abs(power.value) > 2 * self._rules.rated_power_w:
            reasons.append(f"power {power.value} W is more than twice the rating")
            del values["power_w"]

    def _flow(self, power: Value | None) -> int:
        """Return the energy (W x ms, charging positive) since the last sample, 0 where little flows."""
        last, self._power = self._power, power
        if power is None or last is None or not 0 < power.at_ms - last.at_ms <= SAMPLE_GAP_MS:
            return 0
        if min(abs(power.value), abs(last.value)) <= self._busy_w or (power.value > 0) != (last.value > 0):
            return 0
        return (power.value + last.value) * (power.at_ms - last.at_ms) * self._rules.time_lapse // 2

    def _busy(self) -> bool:
        return self._power is not None and abs(self._power.value) > self._busy_w

    def _step_energy(self, name: str) -> int:
        """Return the energy (W x ms) of one step of a field, 0 where it does not step with energy."""
        if name == "soc_permille":
            return self._rules.capacity_wh * self._rules.soc_step_permille * _ENERGY // 1_000
        return self._rules.counter_step_wh.get(name, 0) * _ENERGY

    def _sign_holds(self, values: Mapping[str, Value], energy: int) -> bool:
        soc = values.get("soc_permille")
        window = self._sign
        if soc is None or window is None or energy == 0 or (window.energy > 0) != (energy > 0):
            if soc is not None:
                self._sign = _SignWindow(soc.value, energy)
            return not self._contradicted
        window.energy += energy
        window.samples += 1
        enough = window.samples >= SIGN_SAMPLES
        if enough and abs(window.energy) >= STEPS * self._step_energy("soc_permille"):
            moved = soc.value - window.soc_permille
            if moved:
                self._contradicted = (moved > 0) != (window.energy > 0)
                self._sign = _SignWindow(soc.value)
        return not self._contradicted

    def _frozen(self, values: Mapping[str, Value], energy: int, now_ms: int) -> set[str]:
        live = {name: value for name, value in values.items() if name in self._rules.live}
        self._watches = {name: watch for name, watch in self._watches.items() if name in live}
        for name, value in live.items():
            watch = self._watches.get(name)
            if watch is None or watch.value != value.value or not self._busy():
                self._watches[name] = _Watch(value.value, now_ms)
            elif self._moves(name):
                watch.energy += energy
        still = {name for name, watch in self._watches.items() if now_ms - watch.since_ms >= FROZEN_MS}
        if still and len(still) == len(live):
            return still
        return {name for name in still if self._passed(name)}

    def _moves(self, name: str) -> bool:
        """Whether the present flow moves a field: a discharge counter does not count while charging."""
        if self._power is None or name not in _COUNTERS:
            return True
        return (self._power.value < 0) == (name == "discharged_wh")

    def _passed(self, name: str) -> bool:
        step = self._step_energy(name)
        return step > 0 and abs(self._watches[name].energy) >= STEPS * step

    def _count(self, name: str, values: dict[str, Value], reasons: list[str]) -> None:
        value = values.get(name)
        if value is None:
            return
        counter = self._counters.get(name)
        if counter is None:
            self._counters[name] = _Counter(value)
            return
        if not counter.blocked and value.at_ms != counter.last.at_ms:
            self._step(name, counter, value, reasons)
        if counter.blocked:
            reasons.append(f"{name} is not believed for this delivery")
            del values[name]
        else:
            values[name] = Value(value.value + self._counters[name].offset_wh, value.at_ms)

    def _step(self, name: str, counter: _Counter, value: Value, reasons: list[str]) -> None:
        elapsed_ms = (value.at_ms - counter.last.at_ms + COUNTER_LAG_MS) * self._rules.time_lapse
        limit_wh = 2 * self._rules.rated_power_w * elapsed_ms // _ENERGY + self._rules.counter_step_wh.get(name, 1) + 1
        step_wh = value.value - counter.last.value
        rollover_wh = self._rules.rollover_wh.get(name)
        if step_wh < 0 and rollover_wh is not None and step_wh + rollover_wh <= limit_wh:
            counter.offset_wh += rollover_wh
        elif not 0 <= step_wh <= limit_wh:
            reasons.append(f"{name} stepped by {step_wh} Wh in {value.at_ms - counter.last.at_ms} ms")
            counter.blocked = self._delivering
            if not self._delivering:
                counter.offset_wh = 0
        counter.last = value

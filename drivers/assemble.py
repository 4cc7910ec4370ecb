"""From register images to a `BatteryState`. Pure but for the memory of the plausibility rules.

`values_of` reads the fields, `Assembler.state` judges them and adds what the status rules say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drivers.declaration import Combine
from drivers.device import BatteryState, Value
from drivers.hooks import DERIVED
from drivers.plausibility import Plausibility, Verdict
from drivers.status import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.discovery import Device
    from drivers.image import Aged, Image

_PLAIN: Final = 1_000
_LIMITS: Final = ("max_charge_w", "max_discharge_w")


class Assembler:
    """Makes states of one device. `judge` once per poll, `state` as often as wanted."""

    def __init__(self, device: Device, images: Sequence[Image], *, may_wake: bool) -> None:
        self.plausibility = Plausibility(device.rules)
        self._device = device
        self._images = images
        self._may_wake = may_wake
        self._verdict = Verdict({}, ())

    def judge(self, now_ms: int) -> None:
        """Look at what was read since the last call."""
        self._verdict = self.plausibility.judge(self._values(), now_ms)

    def state(self, *, connected: bool, answered_at_ms: int | None, problem: str, trouble: str) -> BatteryState:
        """Return the state; `problem` and `trouble` say what is wrong with line and command registers."""
        statuses = self._device.statuses
        read = {status.point: self._point(status.point) for status in statuses}
        view = evaluate(statuses, read, may_wake=self._may_wake)
        words = [problem, trouble, *view.words, *self._verdict.reasons]
        fields: dict[str, Any] = dict(self._verdict.values)
        self._add_ratings(fields, answered_at_ms)
        return BatteryState(
            **fields,
            connected=connected,
            fault=view.fault,
            ready=False if trouble else view.ready,
            grid_ok=view.grid_ok,
            status_at_ms=view.at_ms,
            answered_at_ms=answered_at_ms,
            reason="; ".join(word for word in words if word),
        )

    def _values(self) -> dict[str, Value | None]:
        device = self._device
        values = {name: self._field(name, sources) for name, sources in device.sources.items()}
        for name, counter in device.counters.items():
            read = self._point(counter.point)
            if read is not None and counter.derived:
                read = Value(read.value * counter.factor_permille // _PLAIN, read.at_ms)
            values[name] = read
        return values

    def _field(self, name: str, sources: tuple[str, ...]) -> Value | None:
        found = [self._source(source) for source in sources]
        known = [value for value in found if value is not None]
        if not known or len(known) < len(found):
            return None
        combine = self._device.family.file.fields[name].combine
        pick = max if combine is Combine.MAX else min
        return Value(pick(value.value for value in known), min(value.at_ms for value in known))

    def _source(self, source: str) -> Value | None:
        derived = self._device.family.derived.get(source)
        if derived is None:
            return self._point(source)
        inputs = [value for name in derived.points if (value := self._point(name)) is not None]
        if len(inputs) < len(derived.points):
            return None
        hook = DERIVED[derived.hook]
        number = hook(tuple(item.value for item in inputs), self._device.info.efficiency_permille)
        return Value(number, min(item.at_ms for item in inputs))

    def _point(self, name: str) -> Value | None:
        for image in self._images:
            if name in image:
                aged: Aged | None = image.value(name)
                return None if aged is None else Value(aged.scaled.value, aged.at_ms)
        return None

    def _add_ratings(self, fields: dict[str, Any], answered_at_ms: int | None) -> None:
        """Bound the power limits by the nameplate; where a device gives no live limit, the nameplate is the limit."""
        ratings = {"max_charge_w": self._device.rated_charge_w, "max_discharge_w": self._device.info.rated_power_w}
        for name in _LIMITS:
            live: Value | None = fields.get(name)
            if live is not None:
                fields[name] = Value(min(live.value, ratings[name]), live.at_ms)
            elif not self._device.sources.get(name) and answered_at_ms is not None:
                fields[name] = Value(ratings[name], answered_at_ms)

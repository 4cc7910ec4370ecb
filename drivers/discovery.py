"""What a device can do: which points are implemented and chosen, its nameplate, its counters, its command.

`discover` runs once for a device. A field's source is the first declared point that the device implements; it stays the
source for as long as the device is the same one, so a counter or a power never changes its meaning in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.codec import Kind
from drivers.command_plan import CommandPlan, choose_command
from drivers.declaration import Combine, Group
from drivers.device import BatteryInfo
from drivers.errors import NotReady
from drivers.identity import Identity, Reader, identify, read_all
from drivers.places import place
from drivers.plausibility import Rules

if TYPE_CHECKING:
    from drivers.declaration import Counters, Family, FieldRule, Status
    from drivers.image import Image
    from drivers.options import Options
    from drivers.places import PlacedPoint

_POLLED: Final = (Group.LIVE, Group.STATUS, Group.SLOW)
_PLAIN: Final = 1_000


class CounterSource(NamedTuple):
    """The point behind an energy counter; `derived`: DC energy, of which `factor_permille` is taken as AC energy."""

    point: str
    factor_permille: int
    derived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One identified device. `sources`: state field -> its points or derived values; `placed`: what is polled."""

    family: Family
    identity: Identity
    info: BatteryInfo
    rated_charge_w: int
    sources: dict[str, tuple[str, ...]]
    counters: dict[str, CounterSource]
    placed: dict[str, PlacedPoint]
    statuses: tuple[Status, ...]
    command: CommandPlan | None
    rules: Rules


async def discover(reader: Reader, family: Family, options: Options) -> Device:
    """Return the device behind `reader`. Raises NotReady, BadReply, LinkLost."""
    identity = await identify(reader, family)
    numbers = (point for point in family.points.values() if point.kind is not Kind.STRING)
    placed = {point.name: spot for point in numbers if (spot := place(point, identity.layout))}
    image = await read_all(reader, family, placed.values())
    implemented = frozenset(name for name in placed if image.raw(name) is not None)
    return _Survey(family, options, identity, placed, image, implemented).device()


class _Survey(NamedTuple):
    """Everything that was read of a device once, and what follows from it."""

    family: Family
    options: Options
    identity: Identity
    placed: dict[str, PlacedPoint]
    image: Image
    implemented: frozenset[str]

    def device(self) -> Device:
        file = self.family.file
        plan = choose_command(self.family, self.placed, self.implemented, self.image, self.options)
        sources = {name: self._sources(rule) for name, rule in file.fields.items()}
        efficiency = self._efficiency()
        found = {
            "discharged_wh": self._counter(file.discharged, efficiency),
            "charged_wh": self._counter(file.charged, 1_000_000 // efficiency),
        }
        counters = {name: counter for name, counter in found.items() if counter is not None}
        statuses = tuple(status for status in file.status if status.point in self.implemented)
        used = {
            *(name for names in sources.values() for source in names for name in self._inputs(source)),
            *(counter.point for counter in counters.values()),
            *(status.point for status in statuses),
        }
        info = self._info(plan, sources, counters)
        return Device(
            family=self.family,
            identity=self.identity,
            info=info,
            rated_charge_w=self._fact("rated_charge_w") or info.rated_power_w,
            sources=sources,
            counters=counters,
            placed={name: self.placed[name] for name in used if self.placed[name].point.group in _POLLED},
            statuses=statuses,
            command=plan,
            rules=self._rules(info, sources, counters),
        )

    def _efficiency(self) -> int:
        return self.options.efficiency_permille or self.family.file.efficiency_permille

    def _inputs(self, source: str) -> tuple[str, ...]:
        derived = self.family.derived.get(source)
        return (source,) if derived is None else derived.points

    def _sources(self, rule: FieldRule) -> tuple[str, ...]:
        there = tuple(s for s in rule.points if all(name in self.placed for name in self._inputs(s)))
        usable = tuple(s for s in there if all(self.image.value(name) is not None for name in self._inputs(s)))
        return (*usable, *there)[:1] if rule.combine is Combine.FIRST else usable

    def _counter(self, rule: Counters, factor_permille: int) -> CounterSource | None:
        choices = [
            *(CounterSource(name, _PLAIN, derived=False) for name in rule.ac),
            *(CounterSource(name, factor_permille, derived=True) for name in rule.dc),
        ]
        there = [choice for choice in choices if choice.point in self.placed]
        usable = [choice for choice in there if choice.point in self.implemented]
        return next(iter((*usable, *there)), None)

    def _fact(self, name: str) -> int | None:
        rule = self.family.file.facts.get(name)
        for source in rule.points if rule is not None else ():
            if source in self.placed and (value := self.image.value(source)) is not None:
                return value.scaled.value
        return None

    def _step(self, point: str, factor_permille: int = _PLAIN) -> int:
        value = self.image.value(point) if point in self.placed else None
        return 1 if value is None else max(1, math.ceil(value.scaled.step * factor_permille / _PLAIN))

    def _info(
        self, plan: CommandPlan | None, sources: dict[str, tuple[str, ...]], counters: dict[str, CounterSource]
    ) -> BatteryInfo:
        rated_w = self.options.rated_power_w or self._fact("rated_power_w")
        capacity_wh = self.options.capacity_wh or self._fact("capacity_wh")
        if rated_w is None or capacity_wh is None:
            missing = "rated_power_w" if rated_w is None else "capacity_wh"
            raise NotReady(f"the device does not say its {missing}: set it")
        if plan is not None and plan.reference_w is not None:
            rated_w = min(rated_w, plan.reference_w)
        counter = counters.get("discharged_wh")
        soc = sources.get("soc_permille", ())
        texts = self.identity.texts
        return BatteryInfo(
            family=self.family.name,
            manufacturer=texts.get("manufacturer", ""),
            model=texts.get("model", ""),
            version=texts.get("version", ""),
            serial=texts.get("serial", ""),
            rated_power_w=rated_w,
            capacity_wh=capacity_wh,
            min_power_w=max(self.options.min_power_w or 1, plan.min_power_w if plan is not None else 1),
            dead_man_ms=plan.dead_man_s * 1_000 if plan is not None and plan.dead_man_s is not None else None,
            settle_ms=self.options.settle_ms or (plan.command.settle_ms if plan is not None else 10_000),
            release_ms=plan.command.release_ms if plan is not None else 1_000,
            counter_step_wh=self._step(counter.point, counter.factor_permille) if counter is not None else 0,
            counter_point="none" if counter is None else "derived" if counter.derived else "ac",
            efficiency_permille=self._efficiency(),
            soc_step_permille=self._step(soc[0]) if soc else 1,
            command=plan.command.name if plan is not None else "",
            dispatch=plan.command.dispatch if plan is not None else "never",
        )

    def _rules(
        self, info: BatteryInfo, sources: dict[str, tuple[str, ...]], counters: dict[str, CounterSource]
    ) -> Rules:
        chosen = {name: names[0] for name, names in sources.items() if len(names) == 1}
        chosen |= {name: counter.point for name, counter in counters.items()}
        points = self.family.points
        rollover: dict[str, int] = {}
        for name, counter in counters.items():
            point, value = points[counter.point], self.image.value(counter.point)
            if point.rollover and value is not None:
                rollover[name] = int((1 << 16 * point.words) * value.scaled.step * counter.factor_permille / _PLAIN)
        return Rules(
            rated_power_w=info.rated_power_w,
            capacity_wh=info.capacity_wh,
            soc_step_permille=info.soc_step_permille,
            counter_step_wh={n: self._step(c.point, c.factor_permille) for n, c in counters.items()},
            rollover_wh=rollover,
            live=frozenset(name for name, point in chosen.items() if point in points and points[point].live),
            time_lapse=self.options.time_lapse,
        )

"""Which of a family's commands a device can obey, and what its registers would hold for a target. Pure.

The first command whose sections are there and whose registers are implemented is used. A write the device does not
implement is left out if it is optional; without the dead-man's register the command has no dead-man.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from drivers.codec import encode, toward_zero, unsigned
from drivers.declaration import DEAD_MAN, TARGET
from drivers.errors import NotReady, RangeError
from drivers.image import Image
from drivers.places import factor_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.declaration import Command, Family, Step
    from drivers.options import Options
    from drivers.places import PlacedPoint


class Write(NamedTuple):
    """One register write to do: the raw number, and whether to write even if nothing changes."""

    point: str
    raw: int
    feeds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPlan:
    """A command on a device. `placed`: every point it reads or writes. `reference_w`: W at 100 % where per cent."""

    command: Command
    placed: Mapping[str, PlacedPoint]
    left_out: frozenset[str]
    dead_man_s: int | None
    min_power_w: int
    reference_w: int | None
    read_max: int
    gap_max: int
    single_write: bool

    def new_image(self) -> Image:
        """Return an empty image of the command's registers."""
        return Image(self.placed.values(), read_max=self.read_max, gap_max=self.gap_max)

    def writes(self, steps: Sequence[Step], power_w: int, image: Image) -> tuple[Write, ...]:
        """Return the raw writes of `steps` for a target; RangeError or NotReady before anything is written."""
        return tuple(
            Write(step.point, self._raw(step, power_w, image), step.feeds)
            for step in steps
            if step.point not in self.left_out
        )

    def power_w(self, raw: int, image: Image) -> int:
        """Return the power that a raw target register stands for."""
        point = self.placed[self.command.target].point
        value = raw * self._factor(self.command.target, image) * point.sign
        return toward_zero(value * self._reference(image) / 100 if self.command.percent_of else value)

    def registers(self, write: Write) -> tuple[int, ...]:
        """Return the words of a write."""
        point = self.placed[write.point].point
        return encode(point.kind, point.order, write.raw)

    def _raw(self, step: Step, power_w: int, image: Image) -> int:
        point = self.placed[step.point].point
        if step.value == TARGET:
            value = Fraction(power_w * 100, self._reference(image)) if self.command.percent_of else Fraction(power_w)
        elif step.value == DEAD_MAN:
            value = Fraction(self.dead_man_s or 0)
        else:
            value = Fraction(step.value)
        if (point.low is not None and value < point.low) or (point.high is not None and value > point.high):
            raise RangeError(f"{step.point}: {float(value):g} is outside {point.low}..{point.high}")
        raw = toward_zero(value * point.sign / self._factor(step.point, image))
        encode(point.kind, point.order, raw)
        if unsigned(point.kind, raw) in point.sentinels:
            raise RangeError(f"{step.point}: {raw} means 'no value' to the device")
        return raw

    def _factor(self, name: str, image: Image) -> Fraction:
        factor = factor_of(self.placed[name].point, image.scale_word(name))
        if factor is None:
            raise NotReady(f"the scale factor of {name} is not usable")
        return factor

    def _reference(self, image: Image) -> int:
        reference = image.value(self.command.percent_of or "") if self.command.percent_of else None
        if reference is None or reference.scaled.value <= 0:
            raise NotReady(f"{self.command.percent_of} is not usable")
        return reference.scaled.value


def choose_command(
    family: Family,
    placed: Mapping[str, PlacedPoint],
    implemented: frozenset[str],
    image: Image,
    options: Options,
) -> CommandPlan | None:
    """Return the plan of the first command the device can obey, None where it can obey none."""
    for command in family.file.command:
        plan = _Choice(family, command, placed, implemented, image).plan(options)
        if plan is not None:
            return plan
    return None


class _Choice(NamedTuple):
    """One command of a family against one device."""

    family: Family
    command: Command
    placed: Mapping[str, PlacedPoint]
    implemented: frozenset[str]
    image: Image

    def plan(self, options: Options) -> CommandPlan | None:
        """Return the plan, None where the device lacks a register that the command needs."""
        command = self.command
        left_out = self._left_out()
        needed = {step.point for step in self._steps()} - left_out | {command.target, *command.own_control}
        needed |= {command.percent_of} if command.percent_of else set()
        if not needed <= self.implemented:
            return None
        reference = self.image.value(command.percent_of) if command.percent_of else None
        factor = factor_of(self.placed[command.target].point, self.image.scale_word(command.target))
        if factor is None or (command.percent_of and reference is None):
            return None
        step_w = factor * reference.scaled.value / 100 if reference is not None else factor
        return CommandPlan(
            command=command,
            placed={name: self.placed[name] for name in needed | self._watched()},
            left_out=frozenset(left_out),
            dead_man_s=self._dead_man_s(options),
            min_power_w=max(command.min_power_w, math.ceil(step_w)),
            reference_w=reference.scaled.value if reference is not None else None,
            read_max=self.family.file.read_max,
            gap_max=self.family.file.gap_max,
            single_write=self.family.file.single_write == 6,
        )

    def _steps(self) -> tuple[Step, ...]:
        return (*self.command.take, *self.command.change, *self.command.renew, *self.command.release)

    def _left_out(self) -> set[str]:
        names = {step.point for step in self._steps() if step.point not in self.implemented}
        dead_man = self.command.dead_man
        return {
            name
            for name in names
            if self.family.points[name].optional or (dead_man is not None and dead_man.point == name)
        }

    def _watched(self) -> set[str]:
        dead_man = self.command.dead_man
        remaining = {dead_man.remaining} if dead_man is not None and dead_man.remaining is not None else set()
        return {name for name in (*self.command.remote, *remaining) if name in self.implemented}

    def _dead_man_s(self, options: Options) -> int | None:
        dead_man = self.command.dead_man
        if dead_man is None or dead_man.point not in self.implemented:
            return None
        return min(max(options.dead_man_s or dead_man.default_s, dead_man.min_s), dead_man.max_s)

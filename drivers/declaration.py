"""What a family file declares, as frozen values; docs/drivers.md explains the format with an example.

A family has *sections* (a SunSpec model, a fixed address range, or a place found by a hook), each with *points*.
*Fields* of the battery's state and *facts* about the device name the points that may fill them, best first. *Status*
rules turn state registers into ready, fault and grid. A *command* is an ordered list of writes, how to renew them and
how to let go. `drivers.loader` reads the TOML into these types; pydantic checks each table, the loader the whole.
"""

import dataclasses
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from drivers.codec import Kind, WordOrder

TARGET: Final = "target"
DEAD_MAN: Final = "dead_man"

STRICT: Final = ConfigDict(extra="forbid", strict=True)

Register = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$", max_length=60)]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
Space = Literal["holding", "input"]
StepValue = int | Literal["target", "dead_man"]


class Group(StrEnum):
    """How often a point is read; `command` points are read with commands only."""

    LIVE = "live"
    STATUS = "status"
    SLOW = "slow"
    ONCE = "once"
    COMMAND = "command"


class Combine(StrEnum):
    """How several points make one field: the first that the device implements, or the smallest or largest of all."""

    FIRST = "first"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PointEntry:
    """One number of a device, as a section lists it: `value = raw x 10^sf x scale x sign`.

    `offset` counts from the section's base, `sf` is the offset of the scale factor (from the model, in a section found
    inside one). `range` bounds the value: outside it is absent, never clamped. `live`: a working battery changes it
    (dispatch.md section 9). `rollover`: a counter that starts again after the last number its kind can hold. `needs`
    and `unless` name sections that must (not) be there.
    `optional`: a write is left out where the device does not implement the point. `budget_per_day`: how often a stored
    register may be written, absent = volatile, no limit.
    """

    name: Name
    offset: Register
    kind: Kind
    words: Annotated[int, Field(ge=1, le=64)] | None = None
    order: WordOrder | None = None
    group: Group | None = None
    scale: int | str = 1
    sign: Literal[1, -1] = 1
    sf: Register | None = None
    sentinels: frozenset[int] | None = None
    range: tuple[int, int] | None = None
    live: bool = False
    rollover: bool = False
    needs: tuple[Name, ...] = ()
    unless: tuple[Name, ...] = ()
    write: bool = False
    optional: bool = False
    budget_per_day: Annotated[int, Field(ge=1, le=100_000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Section:
    """Where points live: the first SunSpec model of `models` that is there, an `address`, or where `find` says.

    `find` names a hook that looks for the section inside the section `inside` (a repeating group, for instance).
    `length` is the number of registers of an `address` section.
    """

    name: Name
    space: Space = "holding"
    models: tuple[Register, ...] = ()
    address: Register | None = None
    length: Annotated[int, Field(ge=1, le=65_536)] | None = None
    find: str | None = None
    inside: Name | None = None
    group: Group = Group.STATUS
    points: tuple[PointEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Derived:
    """A value computed from several points by the hook named `hook`; its age is the oldest of theirs."""

    name: Name
    hook: str
    points: tuple[Name, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FieldRule:
    """Which points or derived values fill one field of the state (or one fact), best first."""

    points: tuple[Name, ...]
    combine: Combine = Combine.FIRST


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Status:
    """What a state register means. `ready`: values that allow discharge; `wake`: values that do where `wake_s` is set.

    `faults` maps a value, `fault_bits` a bit number, to words. `grid` lists the values that mean connected,
    `grid_lost_bits` the bits that mean it is not, `grid_range` the band of a measured value inside which it is.
    """

    point: Name
    ready: frozenset[int] = frozenset()
    wake: frozenset[int] = frozenset()
    faults: dict[int, str] = Field(default_factory=dict)
    fault_bits: dict[int, str] = Field(default_factory=dict)
    grid: frozenset[int] = frozenset()
    grid_lost_bits: frozenset[int] = frozenset()
    grid_range: tuple[int, int] | None = None
    words: dict[int, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Step:
    """One write: a number in the point's own unit, `target` or `dead_man`. `feeds`: written even if nothing changes."""

    point: Name
    value: StepValue
    feeds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DeadMan:
    """The device's own end time: the `point` to write (s), its bounds, and the one that counts down, if any."""

    point: Name
    default_s: Seconds
    min_s: Seconds
    max_s: Seconds
    remaining: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Command:
    """One way to command a discharge; the first whose `needs` are there and implemented is used.

    `target`: the point that takes the target, in W, or as a per cent of the value of `percent_of`. `own_control`: what
    the mode registers hold when nobody commands. `remote`: registers (where present) that must hold one of these
    values, or nothing is written. `take`, `change`, `renew`, `release` are ordered writes; `take` ends with the one
    that enables. `min_power_w`: what the device needs at least, on top of its resolution.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
    needs: tuple[Name, ...]
    dispatch: Literal["full", "after-commissioning", "never"]
    target: Name
    percent_of: Name | None = None
    min_power_w: Annotated[int, Field(ge=1)] = 1
    settle_ms: Annotated[int, Field(ge=0, le=600_000)] = 10_000
    release_ms: Annotated[int, Field(ge=1, le=600_000)] = 1_000
    own_control: dict[Name, frozenset[int]]
    remote: dict[Name, frozenset[int]] = Field(default_factory=dict)
    dead_man: DeadMan | None = None
    take: tuple[Step, ...]
    change: tuple[Step, ...]
    renew: tuple[Step, ...]
    release: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Counters:
    """Energy counters, best first: AC points as they are, DC points times the family's efficiency (`derived`)."""

    ac: tuple[Name, ...] = ()
    dc: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FamilyFile:
    """A family file as TOML spells it."""

    format: Literal[1]
    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    title: str
    discovery: Literal["sunspec", "fixed"]
    bases: tuple[Register, ...] = ()
    word_order: WordOrder
    read_max: Annotated[int, Field(ge=1, le=125)] = 60
    gap_max: Annotated[int, Field(ge=0, le=124)] = 8
    single_write: Literal[6, 16] = 16
    efficiency_permille: Annotated[int, Field(ge=500, le=1_000)] = 950
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    sentinels: dict[Kind, frozenset[int]] = Field(default_factory=dict)
    section: tuple[Section, ...]
    derived: tuple[Derived, ...] = ()
    fields: dict[Name, FieldRule]
    facts: dict[Name, FieldRule]
    texts: dict[Name, Name] = Field(default_factory=dict)
    discharged: Counters = Field(default_factory=Counters)
    charged: Counters = Field(default_factory=Counters)
    status: tuple[Status, ...] = ()
    command: tuple[Command, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point with everything it inherits from its section and family filled in; `name` is `section.point`."""

    name: str
    section: str
    offset: int
    kind: Kind
    words: int
    order: WordOrder
    group: Group
    scale: Fraction
    sign: int
    sf: int | None
    sentinels: frozenset[int]
    low: int | None
    high: int | None
    live: bool
    rollover: bool
    needs: tuple[str, ...]
    unless: tuple[str, ...]
    write: bool
    optional: bool
    budget_per_day: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One device family: its file, and every point under its full name."""

    file: FamilyFile
    points: dict[str, Point]
    sections: dict[str, Section]
    derived: dict[str, Derived]

    @property
    def name(self) -> str:
        """Return the family's name, as site files spell it."""
        return self.file.family

"""What must hold across a whole family file: every name refers to something, registers do not overlap, commands undo.

`check(family)` raises DeclarationError with one line for the first thing that is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.codec import Kind
from drivers.declaration import DEAD_MAN, TARGET, Command, Group, Section, Status
from drivers.device import LIVE_FIELDS, SLOW_FIELDS
from drivers.errors import DeclarationError
from drivers.hooks import DERIVED, FINDERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.declaration import Family, Point

FACTS: Final = ("rated_power_w", "rated_charge_w", "capacity_wh")
TEXTS: Final = ("manufacturer", "model", "version", "serial")
_COUNTED: Final = ("charged_wh", "discharged_wh")
_BIT_KINDS: Final = (Kind.BITS16, Kind.BITS32)
_REGISTERS: Final = 65_536


def check(family: Family) -> None:
    """Raise DeclarationError for the first inconsistency."""
    for section in family.sections.values():
        _section(family, section)
    for point in family.points.values():
        _point(family, point)
    _names(family)
    for status in family.file.status:
        _status(family, status)
    for command in family.file.command:
        _command(family, command)


def _fail(place: str, reason: str) -> None:
    raise DeclarationError(f"{place}: {reason}")


def _known(place: str, names: Iterable[str], allowed: Iterable[str], what: str) -> None:
    allowed = tuple(allowed)
    for name in names:
        if name not in allowed:
            _fail(place, f"{what} {name!r} does not exist")


def _section(family: Family, section: Section) -> None:
    place = f"section {section.name}"
    kinds = [bool(section.models), section.address is not None, section.find is not None]
    if kinds.count(True) != 1:
        _fail(place, "needs exactly one of `models`, `address`, `find`")
    if section.models and family.file.discovery != "sunspec":
        _fail(place, '`models` needs discovery = "sunspec"')
    if (section.find is None) != (section.inside is None):
        _fail(place, "`find` and `inside` go together")
    if section.find is not None and section.inside is not None:
        _known(place, [section.find], FINDERS, "hook")
        _known(place, [section.inside], family.sections, "section")
        if family.sections[section.inside].find is not None:
            _fail(place, "`inside` must name a section that is not itself found by a hook")
    if (section.address is None) != (section.length is None):
        _fail(place, "`address` and `length` go together")
    if section.address is not None and section.length is not None and section.address + section.length > _REGISTERS:
        _fail(place, "ends beyond address 65535")
    taken: dict[int, str] = {}
    for point in (p for p in family.points.values() if p.section == section.name):
        for register in range(point.offset, point.offset + point.words):
            if register in taken:
                _fail(place, f"{point.name} and {taken[register]} overlap at offset {register}")
            taken[register] = point.name


def _point(family: Family, point: Point) -> None:
    section = family.sections[point.section]
    _known(point.name, (*point.needs, *point.unless), family.sections, "section")
    if section.length is not None:
        for offset, words in ((point.offset, point.words), (point.sf or 0, 1)):
            if offset + words > section.length:
                _fail(point.name, f"offset {offset} is beyond the section's {section.length} registers")
    if point.kind in (*_BIT_KINDS, Kind.ENUM16, Kind.STRING) and (point.sf is not None or point.scale != 1):
        _fail(point.name, f"a {point.kind.value} has no scale")
    if point.words > family.file.read_max:
        _fail(point.name, f"{point.words} registers do not fit one read of {family.file.read_max}")
    if point.write and section.space != "holding":
        _fail(point.name, "only holding registers can be written")
    if point.write and point.kind in (Kind.STRING, Kind.SCALE, Kind.ACC32, Kind.ACC64):
        _fail(point.name, f"a {point.kind.value} cannot be written")


def _names(family: Family) -> None:
    sources = {*family.points, *family.derived}
    fields = [name for name in (*LIVE_FIELDS, *SLOW_FIELDS) if name not in _COUNTED]
    _known("fields", family.file.fields, fields, "field")
    _known("facts", family.file.facts, FACTS, "fact")
    _known("texts", family.file.texts, TEXTS, "text")
    for name, rule in (*family.file.fields.items(), *family.file.facts.items()):
        _known(name, rule.points, sources, "point")
        _known(name, (p for p in rule.points if p in family.points), _numbers(family), "number")
    for name, text in family.file.texts.items():
        _known(name, [text], [p.name for p in family.points.values() if p.kind is Kind.STRING], "text point")
    for derived in family.derived.values():
        _known(f"derived {derived.name}", [derived.hook], DERIVED, "hook")
        _known(f"derived {derived.name}", derived.points, _numbers(family), "point")
    for place, counters in (("discharged", family.file.discharged), ("charged", family.file.charged)):
        _known(place, (*counters.ac, *counters.dc), _numbers(family), "point")


def _numbers(family: Family) -> list[str]:
    return [p.name for p in family.points.values() if p.kind not in (*_BIT_KINDS, Kind.STRING, Kind.ENUM16)]


def _status(family: Family, status: Status) -> None:
    place = f"status {status.point}"
    _known(place, [status.point], family.points, "point")
    bits = family.points[status.point].kind in _BIT_KINDS
    if (status.fault_bits or status.grid_lost_bits) and not bits:
        _fail(place, "bit rules are for bits16 and bits32")
    if family.points[status.point].group in (Group.SLOW, Group.ONCE, Group.COMMAND):
        _fail(place, "a state must be in group live or status")
    rules = (status.ready, status.faults, status.fault_bits, status.grid, status.grid_lost_bits, status.grid_range)
    if not any(rules):
        _fail(place, "says nothing: give ready, faults, fault_bits, grid, grid_lost_bits or grid_range")


def _command(family: Family, command: Command) -> None:
    place = f"command {command.name}"
    _known(place, command.needs, family.sections, "section")
    written = [p.name for p in family.points.values() if p.write]
    steps = (*command.take, *command.change, *command.renew, *command.release)
    _known(place, (step.point for step in steps), written, "writable point")
    _known(place, (*command.own_control, *command.remote), family.points, "point")
    _known(place, [command.target, *([command.percent_of] if command.percent_of else [])], family.points, "point")
    for step in steps:
        if step.value == TARGET and step.point != command.target:
            _fail(place, f"`target` belongs to {command.target}")
        if step.value == DEAD_MAN and (command.dead_man is None or step.point != command.dead_man.point):
            _fail(place, f"{step.point} is not the dead-man's point")
    if not command.take or command.take[-1].point not in command.own_control:
        _fail(place, "`take` must end with the mode register that enables")
    if TARGET not in [step.value for step in command.take] or TARGET not in [step.value for step in command.renew]:
        _fail(place, "`take` and `renew` must write the target")
    _order(place, command)
    _undo(place, command)


def _order(place: str, command: Command) -> None:
    for name, steps in (("take", command.take), ("change", command.change)):
        values = [step.value for step in steps]
        if command.dead_man is not None and (
            DEAD_MAN not in values or TARGET not in values or values.index(DEAD_MAN) > values.index(TARGET)
        ):
            _fail(place, f"`{name}` must write the dead-man before the target")
    if command.dead_man is not None:
        dead_man = command.dead_man
        if not dead_man.min_s <= dead_man.default_s <= dead_man.max_s or dead_man.min_s == 0:
            _fail(place, "dead_man needs 0 < min_s <= default_s <= max_s")


def _undo(place: str, command: Command) -> None:
    released = {step.point: step.value for step in command.release}
    for point, values in command.own_control.items():
        if released.get(point) not in values:
            _fail(place, f"`release` does not put {point} back under the device's own control")
    if command.release[0].point not in command.own_control:
        _fail(place, "`release` must begin with a mode register")

"""Reads a family file: TOML to checked values, or one clear line that says file, place and what is allowed.

Two passes: pydantic checks each table on its own (types, unknown keys, bounds), then `_check` looks at the whole:
names that refer to nothing, registers declared twice, commands that cannot be undone.
"""

from __future__ import annotations

import json
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from drivers import declaration_check
from drivers.codec import WORDS, Kind
from drivers.declaration import Family, FamilyFile, Point, PointEntry, Section
from drivers.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILIES: Final = Path(__file__).parent / "families"
_FILE_BYTES_MAX: Final = 200_000
_ERRORS_SHOWN: Final = 3


def family_names() -> tuple[str, ...]:
    """Return the names of the families that come with the product."""
    return tuple(sorted(path.stem for path in FAMILIES.glob("*.toml")))


def load_family(name: str) -> Family:
    """Return a family that comes with the product; DeclarationError for a name that does not exist."""
    if name not in family_names():
        raise DeclarationError(f"unknown family {name!r}, allowed: {', '.join(family_names())}")
    return load_file(FAMILIES / f"{name}.toml")


def load_file(path: Path) -> Family:
    """Return the family in a file; DeclarationError for anything that is wrong with it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"cannot be read: {error}", device=str(path)) from error
    return parse_family(text, str(path))


def parse_family(text: str, source: str) -> Family:
    """Return the family in TOML text; `source` names it in errors."""
    if len(text) > _FILE_BYTES_MAX:
        raise DeclarationError(f"is longer than {_FILE_BYTES_MAX} characters", device=source)
    try:
        document = json.dumps(tomllib.loads(text))
        file = TypeAdapter(FamilyFile).validate_json(document)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"is not TOML: {error}", device=source) from error
    except TypeError as error:
        raise DeclarationError(f"holds a date or time, which nothing here needs: {error}", device=source) from error
    except ValidationError as error:
        raise DeclarationError("; ".join(_lines(error)), device=source) from error
    try:
        family = _build(file)
        declaration_check.check(family)
    except DeclarationError as error:
        raise DeclarationError(error.reason, device=source) from error
    return family


def _lines(error: ValidationError) -> Iterator[str]:
    problems = error.errors(include_url=False, include_context=False)
    for problem in problems[:_ERRORS_SHOWN]:
        yield f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
    if len(problems) > _ERRORS_SHOWN:
        yield f"and {len(problems) - _ERRORS_SHOWN} more"


def _build(file: FamilyFile) -> Family:
    sections = {section.name: section for section in file.section}
    if len(sections) != len(file.section):
        raise DeclarationError("two sections have the same name")
    points: dict[str, Point] = {}
    for section in file.section:
        for entry in section.points:
            point = _point(file, section, entry)
            if point.name in points:
                raise DeclarationError(f"section {section.name} has two points named {entry.name}")
            points[point.name] = point
    derived = {item.name: item for item in file.derived}
    if len(derived) != len(file.derived):
        raise DeclarationError("two derived values have the same name")
    return Family(file=file, points=points, sections=sections, derived=derived)


def _point(file: FamilyFile, section: Section, entry: PointEntry) -> Point:
    name = f"{section.name}.{entry.name}"
    if (entry.kind is Kind.STRING) != (entry.words is not None):
        raise DeclarationError(f"{name}: `words` is for strings, and strings need it")
    low, high = entry.range or (None, None)
    if low is not None and high is not None and low > high:
        raise DeclarationError(f"{name}: range [{low}, {high}] is empty")
    sentinels = entry.sentinels
    return Point(
        name=name,
        section=section.name,
        offset=entry.offset,
        kind=entry.kind,
        words=entry.words or WORDS[entry.kind],
        order=entry.order or file.word_order,
        group=entry.group or section.group,
        scale=_scale(name, entry.scale),
        sign=entry.sign,
        sf=entry.sf,
        sentinels=file.sentinels.get(entry.kind, frozenset()) if sentinels is None else sentinels,
        low=low,
        high=high,
        live=entry.live,
        rollover=entry.rollover,
        needs=entry.needs,
        unless=entry.unless,
        write=entry.write,
        optional=entry.optional,
        budget_per_day=entry.budget_per_day,
    )


def _scale(name: str, text: int | str) -> Fraction:
    try:
        scale = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise DeclarationError(f'{name}: scale {text!r} is not a number like 10, "0.1" or "1/3"') from error
    if scale <= 0:
        raise DeclarationError(f"{name}: scale {text!r} must be above zero; the direction is `sign`")
    return scale

"""The site file: read once at start, checked strictly, turned into the frozen `Site` that everything else is given.

`load_site` raises SiteError with exactly one line: file, line, key, what is wrong, what is allowed. Keys, units and
defaults: docs/site-file.md.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from agent.config_build import site_of, with_defaults
from agent.config_errors import Problem, SiteError, key_name, shown
from agent.config_lines import key_lines, line_of
from agent.config_model import SiteFile
from agent.config_rules import problems_of
from agent.config_values import BatterySite, NetworkSite, Site, StorageSite

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from agent.config_lines import KeyPath

__all__ = [
    "BatterySite",
    "NetworkSite",
    "Site",
    "SiteError",
    "StorageSite",
    "load_site",
    "parse_site",
    "read_site",
    "site_of",
]

FILE_BYTES_MAX: Final = 1 << 20

_EXPECTED: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list of tables",
    "model_type": "a table",
    "dict_type": "a table",
}


def load_site(path: Path | str) -> Site:
    """Return the site that a file describes. Raises SiteError."""
    return site_of(*read_site(path))


def read_site(path: Path | str) -> tuple[Path, SiteFile]:
    """Return the absolute path of a file and its checked sections with their defaults filled in. Raises SiteError."""
    absolute = Path(path).absolute()
    try:
        with absolute.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        what = "there is no such file; deploy/examples/site.toml is one to start from"
        raise SiteError(absolute, what) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SiteError(absolute, f"cannot be read ({reason})") from error
    return absolute, parse_site(data, absolute)


def parse_site(data: bytes, path: Path) -> SiteFile:
    """Return the checked sections in the bytes of a site file that lies at an absolute path. Raises SiteError."""
    if len(data) > FILE_BYTES_MAX:
        raise SiteError(path, "is too large", allowed=f"at most {FILE_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise SiteError(path, "is not UTF-8 text", line=data.count(b"\n", 0, error.start) + 1) from error
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_toml(path, text, error) from error
    try:
        file = SiteFile.model_validate(raw)
    except ValidationError as error:
        problems = [_problem_of(details) for details in error.errors(include_url=False)]
    else:
        file = with_defaults(file, path.parent)
        problems = problems_of(file)
        if not problems:
            return file
    raise _first(path, text, problems)


def _not_toml(path: Path, text: str, error: Exception) -> SiteError:
    """Move the line from the end of tomllib's message to where ours has it."""
    if isinstance(error, RecursionError):
        return SiteError(path, "is not TOML: nested too deeply")
    what, _, place = str(error).partition(" (at ")
    number = place.removeprefix("line ").partition(",")[0]
    line = text.count("\n") + 1 if place.startswith("end of document") else int(number) if number.isdigit() else 0
    return SiteError(path, f"is not TOML: {what}", line=line)


def _first(path: Path, text: str, problems: list[Problem]) -> SiteError:
    """Return the error for the problem that stands first in the file, and the number of the others."""
    lines = key_lines(text)
    line, first = min(
        ((line_of(lines, problem.path), problem) for problem in problems), key=lambda found: found[0] or FILE_BYTES_MAX
    )
    return SiteError(
        path, first.what, line=line, key=key_name(first.path), allowed=first.allowed, more=len(problems) - 1
    )


def _problem_of(details: ErrorDetails) -> Problem:
    path: KeyPath = details["loc"]
    section, field = _field_at(path)
    if details["type"] == "extra_forbidden":
        return _unknown_key(path, section)
    return Problem(path, _what(details), _allowed(field))


def _what(details: ErrorDetails) -> str:
    """Say in our words what pydantic found."""
    value = shown(details["input"])
    match details["type"]:
        case "missing":
            what = "missing"
        case "value_error":
            what = str(details["ctx"]["error"])
        case "too_short" | "too_long":
            what = f"{details['ctx']['actual_length']} of them"
        case "greater_than_equal":
            what = f"{value} is too small"
        case "less_than_equal":
            what = f"{value} is too large"
        case kind if kind in _EXPECTED:
            what = f"{value} is not {_EXPECTED[kind]}"
        case _:
            what = f"{value} is not allowed"
    return what


def _unknown_key(path: KeyPath, section: type[BaseModel]) -> Problem:
    name = str(path[-1])
    known = list(section.model_fields)
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f', did you mean "{nearest[0]}"?' if nearest else ""
    return Problem(path, f"unknown key{hint}", ", ".join(known))


def _field_at(path: KeyPath) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the section that a path leads into, and the field it names there if there is one."""
    section: type[BaseModel] = SiteFile
    field: FieldInfo | None = None
    for part in path:
        if isinstance(part, int):
            continue
        if field is not None:
            section = _section_in(field) or section
        field = section.model_fields.get(part)
        if field is None:
            break
    return section, field


def _section_in(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a field holds: itself, optional, or in a list."""
    candidates: list[Any] = [field.annotation]
    while candidates:
        candidate = candidates.pop()
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
        candidates.extend(getattr(candidate, "__args__", ()))
    return None


def _allowed(field: FieldInfo | None) -> str:
    about = field.json_schema_extra if field is not None else None
    return str(about.get("allowed", "")) if isinstance(about, dict) else ""

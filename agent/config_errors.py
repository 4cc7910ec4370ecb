"""What is wrong with a site file, as one line: file, line, key, what is wrong, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_lines import KeyPath


class SiteError(AgentError):
    """A site file that cannot be used. `line` is 0 and `key` "" when the whole file is meant."""

    def __init__(
        self, path: Path, what: str, *, line: int = 0, key: str = "", allowed: str = "", more: int = 0
    ) -> None:
        place = f"{path}:{line}" if line else str(path)
        text = ": ".join(part for part in (place, key, what) if part)
        text += f"; allowed: {allowed}" if allowed else ""
        super().__init__(one_line(f"{text} ({more} more after it)" if more else text))
        self.path = path
        self.line = line
        self.key = key
        self.what = what
        self.allowed = allowed


class Problem(NamedTuple):
    """One thing that is wrong, before its line is known."""

    path: KeyPath
    what: str
    allowed: str = ""


def shown(value: object) -> str:
    """Return a value as it may stand in a message: short, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return one_line(text if len(text) <= 60 else f"{text[:57]}...")


def one_line(text: str) -> str:
    """Return text without line breaks and other control characters."""
    return "".join(char if char.isprintable() else "?" for char in text)


def key_name(path: KeyPath) -> str:
    """Return a key path as people read it: `battery #2 floor_percent`, `limits.burst`."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f" #{part + 1}"
        elif name:
            name += f" {part}" if "#" in name.rsplit(" ", 1)[-1] else f".{part}"
        else:
            name = part
    return name

"""What the tables of the aggregator's file share: strictness, and how a fault shows a value or judges a path."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

_PATH_CHARS_MAX: Final = 1_000


class Table(BaseModel):
    """One table of the file: frozen, strict, without unknown keys; a key's docstring is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


def usable_path(value: str | None) -> str | None:
    """Return a path as it is. Raises ValueError."""
    if value is not None and not (0 < len(value) <= _PATH_CHARS_MAX and value.isprintable()):
        raise ValueError(f"{shown(value)} is not a path: 1 to {_PATH_CHARS_MAX} characters, no control characters")
    return value


def shown(value: Any) -> str:
    """Return a value as a fault shows it: on one line, not too long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

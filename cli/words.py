"""Numbers with their nouns, for what the commands tell people."""

from __future__ import annotations


def counted(number: int | None, noun: str, many: str = "") -> str:
    """Return a number with its noun, in the plural (`many`, else with an s) unless there is one; "-" = not known."""
    if number == 1:
        return f"1 {noun}"
    return f"{'-' if number is None else number} {many or f'{noun}s'}"

"""Numbers with their nouns, for what the commands tell people."""

from __future__ import annotations


def counted(number: int | None, noun: str, many: str = "") -> str:
    """Return a number with its noun, in the plural (`many`, else with an s) unless there is one; "-" = not known."""
    if number == 1:
        return f"1 {noun}"
    return f"{'-' if number is None else number} {many or f'{noun}s'}"


def price(price_e4: int | None) -> str:
    """Return a price as people write it."""
    return "-" if price_e4 is None else f"{price_e4 / 10_000:.2f} c"

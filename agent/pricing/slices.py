"""Long work cut into slices: a generator that yields where whoever runs it may do something else, and returns a result.

What runs one on an event loop gives way at every yield; what has time runs it through with `finished`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Slices = Generator[None, None, T]
"""Each slice takes under a millisecond on the smallest gateway, or a few where that cannot be."""


def finished(slices: Slices[T]) -> T:
    """Run all slices at once and return their result."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: T = end.value
            return result

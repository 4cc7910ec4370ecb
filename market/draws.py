"""Chance for studies: every draw is a hash of what it is for, so no draw ever shifts another.

uniform = the first 52 bits of SHA-256("seed:lot:buyer:purpose[:k]"), in the middle of their step: never 0, never 1. A
further buyer, a longer run or another order of events leaves all other draws as they were (common random numbers).
"""

from __future__ import annotations

from hashlib import sha256
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aggregator.strategies import Draws

_STEP: Final = 2.0**-52
_STANDARD: Final = NormalDist()


def uniform(seed: int, lot: int, buyer: int, purpose: str, number: int | None = None) -> float:
    """Return a draw in (0, 1); `number` counts the draws that one buyer makes for one purpose in one lot."""
    name = f"{seed}:{lot}:{buyer}:{purpose}" if number is None else f"{seed}:{lot}:{buyer}:{purpose}:{number}"
    return ((int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 12) + 0.5) * _STEP


def normal(seed: int, lot: int, buyer: int, purpose: str, number: int | None = None) -> float:
    """Return a standard normal draw."""
    return _STANDARD.inv_cdf(uniform(seed, lot, buyer, purpose, number))


def lot_seed(seed: int, lot: int) -> bytes:
    """Return the seed by which a lot breaks its ties."""
    return sha256(f"{seed}:{lot}:ties".encode()).digest()[:16]


def stream(seed: int, lot: int, buyer: int) -> Draws:
    """Return a buyer's chance in one lot: each of its draws is named by what it is for, and numbered."""
    count = 0

    def draw(purpose: str) -> float:
        nonlocal count
        count += 1
        return uniform(seed, lot, buyer, purpose, count)

    return draw

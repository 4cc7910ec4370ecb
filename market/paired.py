"""Means of few independent units, and how sure they are: Student's t, without tables and without dependencies."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from market.sampling import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS: Final = 2_000
_HALVINGS: Final = 60


class Interval(NamedTuple):
    """A mean and its 95 % t interval; without bounds (None) when there is one unit only."""

    mean: float
    low: float | None
    high: float | None


def interval(seen: Sequence[float]) -> Interval:
    """Return the mean of independent units, as paired differences are, and its 95 % interval. Raises on none."""
    if not seen:
        raise ValueError("no units")
    mean, _, se = spread(seen)
    assert mean is not None  # noqa: S101 - there is one unit at least
    if se is None:
        return Interval(mean, None, None)
    half = t_bound(len(seen) - 1) * se
    return Interval(mean, mean - half, mean + half)


@lru_cache(maxsize=256)
def t_bound(freedom: int, inside: float = 0.95) -> float:
    """Return the t between which and its negative a Student variable lies with probability `inside`."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < inside:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _within(middle, freedom) < inside:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """Return the probability of a Student variable between -t and t: Simpson over the angle, where t = sqrt(n) tan."""
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    end = math.atan(t / math.sqrt(freedom))
    width = end / _STEPS
    total = sum(
        (1 if step in {0, _STEPS} else 4 if step % 2 else 2) * math.cos(step * width) ** (freedom - 1)
        for step in range(_STEPS + 1)
    )
    return 2 * math.exp(log_scale) * total * width / 3

"""The mark-up: how far above its cost a battery should ask, learned from the highest and second bids of its lots.

Under the standing-bid rule a winner bids only a little more than the second; what it would have paid is never seen.
What the second was ready to pay is, and so the distribution is inferred from there: with n buyers who draw their values
from the same F, the second-highest value lies below x with probability n F(x)^(n-1) - (n-1) F(x)^n. Values count
relative to the cost of their lot. A lot with fewer than two bids says that the second value was below its reserve; of
what is below the reserve it says nothing, so every point of the grid counts only lots whose reserve was not above it.

Buyers who follow the same market are not independent: then more lots find nobody than F(x)^n says, up to as many as
find fewer than two. How many did, at the reserves that were asked, says how far from one to the other the truth lies,
and the same share is taken at every other point. Fewer than F(x)^n would say that one buyer is stronger than the
others; that is not believed, because it would be tried out on the owner's sales.

With G1 and G2 known at each point (the chance that all values lie below it, or all but one), asking x above cost earns
x [G2(x) - G1(x)] + integral from x of y dG2(y) a lot: at the reserve with one bidder above it, at the second value with
more. The point where that is largest is what to ask (decision 007). Counts fade with weight 1/500 a lot, whole numbers
only: equal lots leave equal states on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agent.pricing.slices import finished
from etp.units import PRICE_TICK_E4, ceil_tick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.pricing.slices import Slices

LOTS_MIN: Final = 200
"""Before so many lots the mark-up is 0."""
_POINTS: Final = 51
_BUYERS_MAX: Final = 8
"""More buyers count as eight: from there on one more hardly changes what the second value says."""
_LOT: Final = 1_000
"""The weight of one lot."""
_KEEP, _OF = 499, 500
_KNOWN: Final = 20 * _LOT
"""A point speaks once the weight of twenty lots stands behind it."""
_DOUBT: Final = 10 * _LOT
"""So many lots speak for independent buyers before the first one was seen."""
_ENOUGH_PERMILLE: Final = 950
"""The smallest mark-up is taken that is expected to earn this much of the most that any could."""
_HALVINGS: Final = 24
_EMPTY: Final = ((0,) * (_BUYERS_MAX + 1),) * _POINTS


class LotSeen(NamedTuple):
    """One lot that is over: what it cost the owner, what was asked, how many buyers were told, and what they bid.

    `best_e4` and `second_e4` are the highest bids of the two highest bidders, None for one that did not reach the
    reserve. All prices a kWh.
    """

    cost_e4: int
    reserve_e4: int
    reached: int
    best_e4: int | None = None
    second_e4: int | None = None


@dataclass(frozen=True)
class Markup:
    """What the lots so far say about the mark-up, which is never above `cap_e4`. Raises ValueError for a negative cap.

    `rows` has one row for each point of a grid from 0 to the cap: the weight of the lots whose second value was not
    above it, then of all that can tell, by the number of buyers reached (from 1). `reach` is the weight of the lots by
    that number; `asked` and `unsold` of all lots and of those nobody bid for, by the point of their reserve.
    """

    cap_e4: int
    lots: int = 0
    rows: tuple[tuple[int, ...], ...] = _EMPTY
    reach: tuple[int, ...] = (0,) * _BUYERS_MAX
    asked: tuple[int, ...] = (0,) * _POINTS
    unsold: tuple[int, ...] = (0,) * _POINTS

    def __post_init__(self) -> None:
        """Refuse a cap that would let the battery sell below its cost."""
        if self.cap_e4 < 0:
            raise ValueError(f"a mark-up of at most {self.cap_e4 / 10_000:.2f} c/kWh; allowed: 0 or more")

    def learn(self, seen: LotSeen) -> Markup:
        """Return the state after one more lot; a lot of which nobody was told says nothing. Raises ValueError."""
        if seen.second_e4 is not None and (seen.best_e4 is None or seen.best_e4 < seen.second_e4):
            raise ValueError(f"the second bid is above the best: {seen}")
        if seen.reached < 1:
            return self
        buyers = min(seen.reached, _BUYERS_MAX)
        after = replace(self, lots=self.lots + 1, reach=_faded(self.reach, buyers - 1))
        if not self.cap_e4:  # no opinion is needed
            return after
        asked_e4 = seen.reserve_e4 - seen.cost_e4
        first = _place(asked_e4, self.cap_e4)
        none = first if seen.best_e4 is None else _POINTS
        after = replace(after, asked=_faded(self.asked, first), unsold=_faded(self.unsold, none))
        if buyers == 1:  # there is no second
            return after
        second_e4 = asked_e4 if seen.second_e4 is None else max(asked_e4, seen.second_e4 - seen.cost_e4)
        below = _place(second_e4, self.cap_e4)
        told = [_faded(row, buyers, below=place >= below) for place, row in enumerate(self.rows[first:], start=first)]
        return replace(after, rows=(*self.rows[:first], *told))

    def markup_e4(self, above_cost_e4: int = 0) -> int:
        """Return the mark-up to ask, on the tick: 0 until 200 lots, at most the cap.

        `above_cost_e4` is what the owner's floor already asks more than the lot costs: that much of it is in.
        """
        if self.lots < LOTS_MIN:
            return 0
        return max(0, min(ceil_tick(self.margin_e4 - max(0, above_cost_e4)), self.cap_e4))

    @cached_property
    def margin_e4(self) -> int:
        """How far above its cost a lot should be asked for by what is known, whatever the number of lots.

        Takes a few ms when asked for the first time, unless `choosing` has been through.
        """
        return finished(self._margin_e4())

    def choosing(self) -> Slices[None]:
        """Work out `margin_e4`, a point of the grid a slice, so that nobody waits for it later."""
        if "margin_e4" not in self.__dict__:
            self.__dict__["margin_e4"] = yield from self._margin_e4()

    def _margin_e4(self) -> Slices[int]:
        quantiles: list[float | None] = []
        for row in self.rows:
            quantiles.append(_quantile(row))
            yield
        first = next((place for place, quantile in enumerate(quantiles) if quantile is not None), None)
        if first is None or not any(self.reach):
            return 0
        least, known = 0.0, []
        for quantile in quantiles[first:]:  # a distribution never falls
            least = max(least, quantile or 0.0)
            known.append(least)
        earned = self._earned(known, first)
        gain = max(earned) - earned[0]
        if gain < PRICE_TICK_E4:  # less than a tick a kWh: not worth a lost sale
            return self._point(first)
        enough = earned[0] + gain * _ENOUGH_PERMILLE / 1_000
        best = next(place for place, worth in enumerate(earned) if worth >= enough)
        return self._point(first + best)

    def _earned(self, known: list[float], first: int) -> list[float]:
        """Return what asking each point from `first` on earns a lot, less what is the same for all of them."""
        total = sum(self.reach)
        shares = [(number, weight / total) for number, weight in enumerate(self.reach, start=1) if weight]
        second = [sum(share * _below_second(f, number) for number, share in shares) for f in known]
        alone = [sum(share * f**number for number, share in shares) for f in known]
        same = self._sameness(second, alone, first)
        best = [one + same * (two - one) for one, two in zip(alone, second, strict=True)]
        earned = [0.0] * len(known)
        area, width = 0.0, self.cap_e4 / (_POINTS - 1)
        for place in range(len(known) - 1, -1, -1):
            if place + 1 < len(known):
                area += (second[place] + second[place + 1]) / 2 * width
            earned[place] = -self._point(first + place) * best[place] - area
        return earned

    def _sameness(self, second: list[float], alone: list[float], first: int) -> float:
        """Return how much buyers move together, from 0 (each for itself) to 1 (as one): by the lots nobody bid for."""
        asked = self.asked[first:]
        expected = sum(weight * one for weight, one in zip(asked, alone, strict=True))
        room = sum(weight * (two - one) for weight, one, two in zip(asked, alone, second, strict=True))
        return max(0.0, min((sum(self.unsold[first:]) - expected) / (room + _DOUBT), 1.0))

    def _point(self, place: int) -> int:
        return self.cap_e4 * place // (_POINTS - 1)

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain JSON."""
        rows = [list(row) for row in self.rows]
        told = {"reach": list(self.reach), "asked": list(self.asked), "unsold": list(self.unsold)}
        return {"cap_e4": self.cap_e4, "lots": self.lots, "rows": rows, **told}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Markup:
        """Return the state in what `to_json` made. Raises KeyError, TypeError or ValueError when it is not one."""
        rows = tuple(tuple(int(weight) for weight in row) for row in plain["rows"])
        told = [tuple(int(weight) for weight in plain[name]) for name in ("reach", "asked", "unsold")]
        sizes = [*map(len, told), *map(len, rows)]
        if sizes != [_BUYERS_MAX, _POINTS, _POINTS, *[_BUYERS_MAX + 1] * _POINTS]:
            raise ValueError("a mark-up's state of another shape")
        return cls(int(plain["cap_e4"]), int(plain["lots"]), rows, *told)


def _faded(weights: tuple[int, ...], place: int, *, below: bool = False) -> tuple[int, ...]:
    """Return weights a lot later: all fade, the one at a place gains the lot (none beyond the end).

    The first gains it, too, where it is `below`.
    """
    faded = [weight * _KEEP // _OF for weight in weights]
    if place < len(faded):
        faded[place] += _LOT
    if below:
        faded[0] += _LOT
    return tuple(faded)


def _place(margin_e4: int, cap_e4: int) -> int:
    """Return the first point of the grid that is not below a margin; one past the last when there is none."""
    return min(max(0, -(-margin_e4 * (_POINTS - 1) // cap_e4)), _POINTS)


def _quantile(row: tuple[int, ...]) -> float | None:
    """Return F at a point: where the expected number of second values below it is the one that was seen."""
    counts = [(number, weight) for number, weight in enumerate(row[1:], start=1) if weight]
    if sum(weight for _, weight in counts) < _KNOWN:
        return None
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(weight * _below_second(middle, number) for number, weight in counts) < row[0]:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _below_second(f: float, buyers: int) -> float:
    """Return the chance that the second-highest of so many values lies below a point below which one does with `f`."""
    return buyers * f ** (buyers - 1) - (buyers - 1) * f**buyers

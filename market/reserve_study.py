"""What a dynamic reserve earns beside fixed ones: the same battery, market and buyers, one rule against another.

A unit is a seed-week: a week of the spot generator under a seed of its own, the weeks spread over the year. Rules that
learn have lived through the weeks before, of which nothing counts; every rule enters the week that counts with a
battery half full. Differences to the simple owner's fixed reserve (tariff + wear) are paired by seed-week.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agent.pricing import HORIZON_SLOTS, SLOT_MS, Band, PriceList, TimeOfUse
from market.aest import hour_of, index_of
from market.markup_study import Regret, cells, regret
from market.paired import Interval, interval
from market.reserve_rules import ZONE, Dynamic, fixed, tiers
from market.reserve_week import CAPPED_E4, WEEK_SLOTS, Account, Rule, Site, World, play
from market.setting import on_grid, whole
from market.spot import HALF_HOURS_A_YEAR, SpotModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEEDS: Final = 10
SEEDS_MAX: Final = 1_000
BUYERS: Final = (1, 2, 5)
SITE: Final = Site()
SIMPLE_E4: Final = SITE.tariff_e4 + SITE.wear_e4
LEVELS_E4: Final = (120_000, 140_000, 160_000, 180_000, 200_000, 250_000, 300_000, 350_000)
_NEVER_E4: Final = 20_300_000
"""As high as a price may be: nothing is sold."""
_BEFORE_WEEKS: Final = 2
_FIRST_DAY: Final = date(2025, 1, 6)
_YEAR_BEFORE: Final = date(2024, 1, 1)
_TABLE_SEED: Final = 0
"""The year from which the owner's table by the time of day is made: no seed-week is of this seed."""
_FOREVER_MS: Final = 10**15


class Arm(NamedTuple):
    """A rule under study; `levels` marks the fixed reserves from which the best is chosen in hindsight."""

    name: str
    kind: str
    price_e4: int = 0
    learns: bool = False

    @property
    def weeks_before(self) -> int:
        """How long it has to have lived: only what learns has anything to learn."""
        return _BEFORE_WEEKS if self.learns or self.kind == "own" else 0


class Row(NamedTuple):
    """One rule at one number of buyers; money in price_e4 a kWh that became available."""

    arm: str
    n: int
    outcome: Interval
    against_simple: Interval
    capped: float
    capped_against_simple: Interval
    lots: float
    price_e4: float | None
    """Per kWh sold; None when nothing was."""
    weeks: tuple[float, ...]
    """The outcome of each seed-week, and the same with no price above 30 c counted."""
    capped_weeks: tuple[float, ...]

    def fields(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        intervals = ("outcome", "against_simple", "capped_against_simple")
        return self._asdict() | {name: getattr(self, name)._asdict() for name in intervals}


class Study(NamedTuple):
    """Everything that was found."""

    seeds: int
    rows: tuple[Row, ...]
    regrets: tuple[Regret, ...]

    def fields(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "seeds": self.seeds,
            "rows": [row.fields() for row in self.rows],
            "markup": [one.fields() for one in self.regrets],
        }


FORECASTS: Final = {"own sales": "own", "time of use": "table", "true spot": "true"}
SIMPLE: Final = Arm("fixed, tariff + wear", "fixed", SIMPLE_E4)
ARMS: Final = (
    Arm("no lots, all at the tariff", "fixed", _NEVER_E4),
    SIMPLE,
    *(Arm(f"fixed, {level // 10_000} c", "fixed", level) for level in LEVELS_E4),
    Arm("by state of charge", "tiers"),
    *(Arm(f"dynamic, {name}", kind) for name, kind in FORECASTS.items()),
)
MARKED_UP: Final = tuple(Arm(f"dynamic, {name}, mark-up", kind, learns=True) for name, kind in FORECASTS.items())
"""Only for several buyers: with one there is nothing to learn a mark-up from."""


def study(seeds: int = SEEDS, progress: Callable[[str], None] | None = None) -> Study:
    """Return everything, over so many seed-weeks, and so many seeds of the mark-up alone."""
    tell = progress or (lambda _: None)
    whole("seeds", seeds, least=1, most=SEEDS_MAX)
    rows = compare([(arm, n) for n in BUYERS for arm in arms_of(n)], seeds=seeds, progress=tell)
    return Study(seeds, rows, tuple(regret(cell, seeds=seeds, progress=tell) for cell in cells()))


def arms_of(n: int) -> tuple[Arm, ...]:
    """Return the rules that are held against each other among `n` buyers."""
    return ARMS if n == 1 else (*ARMS, *MARKED_UP)


def compare(
    cases: Sequence[tuple[Arm, int]], *, seeds: int, progress: Callable[[str], None] | None = None
) -> tuple[Row, ...]:
    """Return a row for each arm and number of buyers; the simple owner must be there for each number."""
    accounts: dict[tuple[Arm, int], list[Account]] = {case: [] for case in cases}
    for number in range(seeds):
        world, week = world_of(number, seeds)
        for (arm, n), found in accounts.items():
            if progress is not None:
                progress(f"week {number + 1} of {seeds}, n = {n}, {arm.name}")
            found.append(account(arm, n, world, week))
    return tuple(_row(arm, n, found, accounts[SIMPLE, n]) for (arm, n), found in accounts.items())


def world_of(number: int, seeds: int) -> tuple[World, range]:
    """Return a seed-week: its world with the weeks before and two days after, and the half hours that count."""
    start = index_of(_FIRST_DAY + timedelta(weeks=number * 52 // seeds))
    first = start - _BEFORE_WEEKS * WEEK_SLOTS
    half_hours = (_BEFORE_WEEKS + 1) * WEEK_SLOTS + HORIZON_SLOTS
    prices = SpotModel.load().path(number + 1, start=first, half_hours=half_hours)
    return World(SITE, number + 1, first, prices), range(start, start + WEEK_SLOTS)


def account(arm: Arm, n: int, world: World, week: range) -> Account:
    """Return what a rule makes of a seed-week among `n` buyers."""
    rule, half_mwh = rule_of(arm, world), world.site.range_wh * 500
    if arm.weeks_before:
        before = range(week.start - arm.weeks_before * WEEK_SLOTS, week.start)
        play(world, rule, n, slots=before, stored_mwh=half_mwh)
    return play(world, rule, n, slots=week, stored_mwh=half_mwh)[0]


def rule_of(arm: Arm, world: World) -> Rule:
    """Return the rule of an arm, with nothing learned."""
    if arm.kind == "fixed":
        return fixed(world.site, arm.price_e4)
    if arm.kind == "tiers":
        return tiers(world.site)
    if arm.kind == "own":
        return Dynamic(world.site, None, learns=arm.learns)
    if arm.kind == "table":
        return Dynamic(world.site, time_of_use(), learns=arm.learns)
    listed = tuple(enumerate(world.prices, world.first))
    return Dynamic(world.site, PriceList(listed, world.first * SLOT_MS, _FOREVER_MS), learns=arm.learns)


@lru_cache(maxsize=1)
def time_of_use() -> TimeOfUse:
    """Return the owner's table: the mean price of each hour of the year before, with no price above 30 c counted."""
    first = index_of(_YEAR_BEFORE)
    hours: list[list[int]] = [[] for _ in range(24)]
    path = SpotModel.load().path(_TABLE_SEED, start=first, half_hours=HALF_HOURS_A_YEAR)
    for index, price_e4 in enumerate(path, first):
        hours[hour_of(index)].append(min(price_e4, CAPPED_E4))
    return TimeOfUse(ZONE, tuple(Band(hour * 60, on_grid(sum(seen) / len(seen))) for hour, seen in enumerate(hours)))


def best_fixed(rows: Sequence[Row], n: int) -> Row:
    """Return the fixed reserve that did best in hindsight among `n` buyers, with no price above 30 c counted."""
    return max(_fixed_rows(rows, n), key=lambda row: row.capped)


def best_paid(rows: Sequence[Row], n: int) -> Row:
    """Return the fixed reserve that did best in hindsight among `n` buyers, with every price counted in full."""
    return max(_fixed_rows(rows, n), key=lambda row: row.outcome.mean)


def _fixed_rows(rows: Sequence[Row], n: int) -> list[Row]:
    levels = {arm.name for arm in ARMS if arm.kind == "fixed" and arm.price_e4 != _NEVER_E4}
    return [row for row in rows if row.n == n and row.arm in levels]


def added(rows: Sequence[Row], arm: str, other: str, n: int) -> tuple[Interval, Interval]:
    """Return what one rule earns more than another, paired, and the same with no price above 30 c counted."""
    one, two = (next(row for row in rows if row.n == n and row.arm == name) for name in (arm, other))
    return (
        interval([more - less for more, less in zip(one.weeks, two.weeks, strict=True)]),
        interval([more - less for more, less in zip(one.capped_weeks, two.capped_weeks, strict=True)]),
    )


def _row(arm: Arm, n: int, accounts: Sequence[Account], simple: Sequence[Account]) -> Row:
    seen = [one.per_kwh(SITE) for one in accounts]
    capped = [one.per_kwh(SITE, capped=True) for one in accounts]
    lots = sum(one.lots for one in accounts)
    return Row(
        arm.name,
        n,
        interval(seen),
        interval([one - other.per_kwh(SITE) for one, other in zip(seen, simple, strict=True)]),
        math.fsum(capped) / len(capped),
        interval([one - other.per_kwh(SITE, capped=True) for one, other in zip(capped, simple, strict=True)]),
        lots / len(accounts),
        sum(one.receipts for one in accounts) / (lots * SITE.lot_wh) if lots else None,
        tuple(seen),
        tuple(capped),
    )

"""The page of the reserve study: every figure from the code, and every sentence that depends on one, too."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from market.markup_study import CAP_E4, COST_E4, COUNTED, LOTS
from market.reserve_rules import STATES, TIERS
from market.reserve_study import BUYERS, FORECASTS, LEVELS_E4, SIMPLE, SIMPLE_E4, SITE, added, best_fixed, best_paid
from market.spot import ATTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from market.markup_study import Regret
    from market.paired import Interval
    from market.reserve_study import Row, Study

_WIDTH: Final = 120
_MARKED: Final = ", mark-up"
_TIERS: Final = ", ".join(f"{tier.price_e4 // 10_000} c from {tier.from_soc_permille // 10} %" for tier in TIERS)
_HEAD: Final = f"""# What a dynamic reserve earns

One battery on the spot generator's weeks, one owner's rule against another, through the production engine (standing \
bid). Then the learned mark-up alone, in the mechanism, beside a reserve at cost and the best one in theory.

## The week

- *The battery:* {SITE.capacity_wh / 1_000} kWh, {SITE.power_w / 1_000:g} kW, floor {SITE.floor_permille // 10} %, \
{SITE.share_permille // 10} % of the rest for sale ({SITE.range_wh / 1_000} kWh in the cells), efficiency \
{SITE.permille / 1_000:g} each way, wear {SITE.wear_e4 // 10_000} c a delivered kWh.
- *The sun* fills what is for sale once a day, from {SITE.solar_hours[0]} to {SITE.solar_hours[-1] + 1} h (AEST). It \
would have been exported at a flat {SITE.tariff_e4 / 10_000:.1f} c, and what finds the battery full is.
- *Lots* of {SITE.lot_wh / 1_000} kWh, one each quarter of an hour while there is energy for one. *Buyers* want all of \
it, bid truthfully at no latency, and draw their values anew for every lot: spot price + a normal private spread of \
{SITE.spread_e4 // 10_000} c. All rules meet the same prices and values.
- *The outcome:* (receipts - wear + exported sun and the change of the stored energy, both at \
{SITE.tariff_e4 / 10_000:.1f} c) per kWh that became \
available, which is the same for all rules: what is for sale, delivered, once a day. Selling nothing is worth \
more than the tariff, since it loses nothing on the way through the cells.
- *Units* are seed-weeks, spread over the year, a seed each; every rule enters its week with the battery half full. \
Own sales and mark-ups have lived through the two weeks before. *Intervals* are 95 % t intervals of paired differences.
- *Capped:* the same sales with no price above 30 c counted. A single spike makes a week, and a few weeks say little \
about spikes: the capped figures are the ones to compare rules by.

The rules:

- *fixed, tariff + wear:* {SIMPLE_E4 // 10_000} c, what an honest simple owner would ask. Other fixed levels; the one \
that did best is best in hindsight only, and marked: in money as paid ("best fixed, paid") and in capped money ("best \
fixed, capped"), in which a kWh sold at 35 c is worth 30. A mark at the highest level tried, \
{LEVELS_E4[-1] // 10_000} c, leaves open how a dearer one does.
- *by state of charge:* {_TIERS}.
- *dynamic:* `agent.pricing` as the agent uses it, floor and fallback {SIMPLE_E4 // 10_000} c, sun at the tariff as \
the only way to fill; the \
forecast is the history of own sales, a table by the hour (the mean spot of the year before, capped at 30 c), or the \
true spot price of the next 48 hours. It has {STATES} levels of charge here, for speed; the agent's has 100.
- *mark-up:* with what `Markup` has learned on top, at most 5 c. With one buyer there is none.
"""


def page(study: Study) -> str:
    """Return the page."""
    lines = "\n".join([_HEAD, *_weeks(study), *_verdict(study.rows), *_markup(study), "", _TAIL]).split("\n")
    return "\n".join(line if line.startswith("|") else _wrapped(line) for line in lines)


def _weeks(study: Study) -> Iterator[str]:
    for n in BUYERS:
        rows = [row for row in study.rows if row.n == n]
        yield f"### {n} buyer{'s' if n > 1 else ''}, {study.seeds} seed-week{'s' if study.seeds > 1 else ''} (c/kWh)"
        yield ""
        yield "| rule | outcome | against tariff + wear | capped | against tariff + wear | lots a week | per kWh sold |"
        yield "|---|---|---|---|---|---|---|"
        yield from (week_row(row, _mark(rows, row)) for row in rows)
        yield ""


def _mark(rows: Sequence[Row], row: Row) -> str:
    """Return by which money a row is the best fixed reserve, empty when by none."""
    bests = {"paid": best_paid(rows, row.n), "capped": best_fixed(rows, row.n)}
    return " and ".join(money for money, best in bests.items() if best is row)


def week_row(row: Row, best: str = "") -> str:
    """Return a rule's line in its table; `best` says by which money it is the best fixed reserve."""
    name = f"{row.arm} (best fixed, {best})" if best else row.arm
    simple = row.arm == SIMPLE.name
    cells = [
        name,
        _c(row.outcome.mean),
        "" if simple else _signed(row.against_simple),
        _c(row.capped),
        "" if simple else _signed(row.capped_against_simple),
        f"{row.lots:.1f}",
        "" if row.price_e4 is None else _c(row.price_e4),
    ]
    return f"| {' | '.join(cells)} |"


def _verdict(rows: Sequence[Row]) -> Iterator[str]:
    """Yield where a dynamic reserve loses, and what the mark-up adds: capped, as pairs of seed-weeks."""
    yield "### Dynamic against the fixed reserve best in capped money, and the mark-up on against off (capped, c/kWh)"
    yield ""
    yield "| forecast | buyers | mark-up off, against best fixed | mark-up on, against best fixed | on - off |"
    yield "|---|---|---|---|---|"
    for name in FORECASTS:
        for n in BUYERS:
            off, on, best = f"dynamic, {name}", f"dynamic, {name}{_MARKED}", best_fixed(rows, n).arm
            has_markup = n > 1
            cells = [
                _signed(added(rows, off, best, n)[1]),
                _signed(added(rows, on, best, n)[1]) if has_markup else "",
                _signed(added(rows, on, off, n)[1]) if has_markup else "",
            ]
            yield f"| {name} | {n} | {' | '.join(cells)} |"
    yield ""
    yield from _losses(rows)
    yield ""


def _losses(rows: Sequence[Row]) -> Iterator[str]:
    dynamic = [row for row in rows if row.arm.startswith("dynamic")]
    below = [row for row in dynamic if row.capped_against_simple.mean <= 0]
    behind = [row for row in dynamic if row.capped < best_fixed(rows, row.n).capped]
    yield f"Not above the simple owner (capped mean): {_named(below)}."
    yield ""
    yield f"Below the best fixed reserve, which nobody knows beforehand (capped mean): {_named(behind)}."
    yield ""
    behind = [row for row in dynamic if row.outcome.mean < best_paid(rows, row.n).outcome.mean]
    yield f"Below the fixed reserve best in money as paid (mean, spikes included): {_named(behind)}."
    yield ""
    harmed = [row for row in dynamic if row.arm.endswith(_MARKED) and _is_harmed(rows, row)]
    yield f"The mark-up surely costs more than it brings (whole interval below 0): {_named(harmed)}."


def _is_harmed(rows: Sequence[Row], row: Row) -> bool:
    high = added(rows, row.arm, row.arm.removesuffix(_MARKED), row.n)[1].high
    return high is not None and high < 0


def _named(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row.arm} (n = {row.n})" for row in rows) or "none"


def _markup(study: Study) -> Iterator[str]:
    yield "## The mark-up alone"
    yield ""
    yield (
        f"{LOTS:,} lots through the mechanism under seeds 1 to {study.seeds}, a cost of {COST_E4 // 10_000} c, a cap of"
        f" {CAP_E4 // 10_000} c. Revenue is price less cost, per kWh offered, over the last {COUNTED:,} lots, on equal"
        " values. The best reserve in theory solves r - (1 - F(r)) / f(r) = cost. The learner hears bids, never values;"
        ' "2 of 5" has five buyers told and two who ever bid. Regret = best - learned, paired by seed; a negative one'
        " is chance: the best reserve is best before the draws."
    )
    yield ""
    head = "rule | values | buyers | mark-up, best | mark-up, learned | at cost | learned | best | regret | of the best"
    yield f"| {head} | learned - at cost |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    yield from map(markup_row, study.regrets)
    yield ""
    lost = [one for one in study.regrets if one.gain.mean < 0]
    names = "; ".join(f"{one.rule}, {one.market}, {_buyers(one)}" for one in lost) or "none"
    yield f"Cells in which the learner earned less than no mark-up at all: {names}."


def markup_row(one: Regret) -> str:
    """Return a cell's line in the table of the mark-up."""
    cells = [
        one.rule.replace("_", " "),
        one.market,
        _buyers(one),
        _c(one.best_markup_e4),
        _c(one.markup),
        _fine(one.at_cost),
        _fine(one.learned),
        _fine(one.best),
        _signed(one.regret, 3),
        f"{one.regret_percent:.1f} %",
        _signed(one.gain, 3),
    ]
    return f"| {' | '.join(cells)} |"


def _buyers(one: Regret) -> str:
    return str(one.n) if one.n == one.told else f"{one.n} of {one.told}"


def _wrapped(line: str) -> str:
    """Return a paragraph or a point of a list in lines that can be read."""
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _c(price_e4: float) -> str:
    return f"{price_e4 / 10_000:.2f}"


def _fine(price_e4: float) -> str:
    return f"{price_e4 / 10_000:.3f}"


def _signed(seen: Interval, digits: int = 2) -> str:
    mean = f"{seen.mean / 10_000:+.{digits}f}"
    if seen.low is None or seen.high is None:
        return mean
    return f"{mean} ({seen.low / 10_000:+.{digits}f} to {seen.high / 10_000:+.{digits}f})"


_TAIL: Final = f"""## What it is not

- The buyers' need is never met: every buyer wants every lot. Two weeks are a short time to learn in.
- With one buyer the history of own sales teaches nothing: a sale fetches the reserve, the history says so, and the \
reserve follows from the history.
- The history of own sales holds what was paid, mark-ups included: with a mark-up the next forecast is dearer, and \
so is the next reserve. The agent therefore adds none to own sales unless its owner says so.
- "True spot" is no upper bound: it knows the spot price, not the buyers' private values, and it plans as if every kWh \
fetched exactly the spot price.
- The mark-up's theory has values drawn independently, lot by lot. In the week the spot price moves them all together.

This page is what `wattbid study reserve` prints; equal seeds give equal pages. {ATTRIBUTION}
"""

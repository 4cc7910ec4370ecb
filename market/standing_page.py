"""The page on the standing bid, made of what its cells came to (docs/standing-bid.md)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from market.cells import played
from market.deviations import Deviation, DeviationCell, deviation_cells, play_deviation
from market.sequence import Wait, WaitCell, play_wait, wait_cells
from market.standing_bid import (
    BUYERS,
    LATENCIES_MS,
    SIZES,
    SPREADS_C,
    Reach,
    ReachCell,
    Size,
    SizeCell,
    play_reach,
    play_size,
    reach_cells,
    size_cells,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from market.standing_bid import Mean

AnyCell: TypeAlias = ReachCell | SizeCell | WaitCell | DeviationCell

_C: Final = 10_000
_HEAD: Final = """# What the standing bid really does

Made by `wattbid study standing-bid --lots {lots} --seed {seed}`: the production engine and the aggregator's strategies
in virtual time ([the mechanism](mechanism.md)). Reserve 10 c/kWh; a buyer's value is 15 c plus a normal private part
with the spread named; lots of 1 kWh, which every buyer wants whole. Each buyer draws both of its one-way latencies
anew for each lot. Everybody bids up to the own value. `±` is half of a 95 % interval. Prices in c/kWh, over the lots
that sold. All figures are synthetic; what they say is what the *rule* does with values, not what values are.

## The price follows the second value

`reachable` is how many of the n buyers have a round trip of at most the standing time less 20 ms. `second` is the
second-highest value, at least the reserve; `gap` is the price less that, lot by lot. A rule that worked perfectly would
show a gap within one increment: 0.10 c, doubling after each 32 improvements.
"""
_SIZES_HEAD: Final = """
## Lots larger than a small buyer's need

So many kWh are for sale, twice as many small buyers want 1 kWh each, and one buyer wants all of it; spread 3 c, 5 to 50
ms. In one lot a small buyer must beat the large one's whole bid alone, so the large one shuts the small out: under the
standing bid the lot goes where it is worth less, and below its competitive price. Cut to the smallest need, the same
energy goes where it is worth most. That is why a battery offers no more at once than the smallest need among its
regular buyers (ETP section 6, rule 1). `large` is the share that the large buyer gets, `efficiency` the value of what
was bought over that of the best use, `competitive` the highest value of a kWh that goes without. What lots of 1 kWh
fetch above that is paid by buyers who do not know that the next lot will be cheaper: do not count on it (next section).
"""
_WAITS_HEAD: Final = """
## Lots sold one after the other

So many lots of 1 kWh, twice as many buyers who need one each; spread 3 c, 5 to 50 ms. Buyers who bid up to their values
pay less from lot to lot, because the strongest are served first. So it pays buyer 0 to sit out the first ones: `gain`.
That is no fault of the standing bid; any rule that sells equal lots one after the other invites it. When all buyers
know it, each stops at what a later lot is expected to cost, and every lot is expected to fetch the `competitive` price,
the highest value that goes without, as one sale of all lots at one price would
([decision 010](decisions/010-lots-in-sequence.md)).
"""
_DEVIATIONS_HEAD: Final = """
## Does it pay to deviate within a lot?

Buyer 0 departs from honest bidding, the others do not; spread 3 c, 5 to 50 ms. `gain` is its profit less what it earns
honestly on the same draws, per kWh offered; `owner` is what the owner gets more. A gain above 0.05 c would be a fault
of the rule.
"""
_DEVIATIONS_TAIL: Final = """
The row of the bid that is not confirmed has a second reading. The shield keeps the price at what others were refused
at, so the buyer behind the decoy gains nothing, but the *owner* does: a false aggregator of the owner's own could push
the best buyer to its limit and stand back. That is a hidden reserve, as old as auctions. Buyers can tell: the price to
beat stays high for two seconds after a lot that nobody took.
"""


class Results(NamedTuple):
    """What all cells came to."""

    reach: list[Reach]
    sizes: list[Size]
    waits: list[Wait]
    deviations: list[Deviation]


def play_all(lots: int, seed: int, progress: Callable[[int, int], None] | None = None) -> Results:
    """Play every cell; `progress` is told how many of how many are done."""
    cells: list[AnyCell] = [*reach_cells(), *size_cells(), *wait_cells(), *deviation_cells()]
    made: list[Reach | Size | Wait | Deviation] = []
    for result in played(partial(play_cell, lots=lots, seed=seed), cells):
        made.append(result)
        if progress is not None:
            progress(len(made), len(cells))
    return Results(
        [result for result in made if isinstance(result, Reach)],
        [result for result in made if isinstance(result, Size)],
        [result for result in made if isinstance(result, Wait)],
        [result for result in made if isinstance(result, Deviation)],
    )


def play_cell(cell: AnyCell, *, lots: int, seed: int) -> Reach | Size | Wait | Deviation:
    """Return what one cell comes to."""
    match cell:
        case ReachCell():
            return play_reach(cell, lots=lots, seed=seed)
        case SizeCell():
            return play_size(cell, lots=lots, seed=seed)
        case WaitCell():
            return play_wait(cell, lots=lots, seed=seed)
        case DeviationCell():
            return play_deviation(cell, lots=lots, seed=seed)


def page(results: Results, *, lots: int, seed: int) -> str:
    """Return the page as markdown."""
    reach, sizes, waits, deviations = results
    parts = [_HEAD.format(lots=lots, seed=seed)]
    parts += [_reach_table(reach, latency) for latency in LATENCIES_MS]
    parts += [_SIZES_HEAD, _size_table(sizes), _WAITS_HEAD, _wait_table(waits)]
    parts += [_DEVIATIONS_HEAD, _deviation_table(deviations), _DEVIATIONS_TAIL]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def figures(results: Results, *, lots: int, seed: int) -> dict[str, Any]:
    """Return the same for machines; prices in price_e4."""
    return {"lots": lots, "seed": seed} | {key: list(map(_flat, made)) for key, made in results._asdict().items()}


def _reach_table(results: Sequence[Reach], latency_ms: tuple[int, int]) -> str:
    known = {result.cell: result for result in results}
    head = "".join(f" second | price | gap ({spread} c) |" for spread in SPREADS_C)
    lines = [
        f"One-way latencies of {latency_ms[0]} to {latency_ms[1]} ms, spreads of {', '.join(map(str, SPREADS_C))} c:",
        "",
        f"| n | reachable |{head}",
        "|---|---|" + "---|---|---|" * len(SPREADS_C),
    ]
    for n in BUYERS:
        row = [known[ReachCell(n, latency_ms, spread)] for spread in SPREADS_C]
        reachable = sum(result.reachable for result in row) / len(row)
        cells = "".join(f" {_c(r.second_e4)} | {_c(r.price_e4)} | {_plus_minus(r.gap_e4)} |" for r in row)
        lines.append(f"| {n} | {reachable:.1f} |{cells}")
    return "\n".join(lines)


def _size_table(results: Sequence[Size]) -> str:
    known = {result.cell: result for result in results}
    ways = (("standing bid, one lot", "standing_bid", False), ("standing bid, lots of 1 kWh", "standing_bid", True))
    lines = [
        "| kWh | how it is sold | price per kWh offered | competitive | efficiency | large | sold |",
        "|---|---|---|---|---|---|---|",
    ]
    for needs in SIZES:
        for name, rule, cut in (*ways, ("sealed second price, one lot", "sealed_second", False)):
            result = known[SizeCell(rule, needs, cut)]
            shares = f"{result.efficiency:.1%} | {result.large_share:.0%} | {result.sold_share:.0%}"
            lines.append(
                f"| {needs} | {name} | {_c(result.revenue_e4.mean)} | {_c(result.competitive_e4)} | {shares} |"
            )
    return "\n".join(lines)


def _wait_table(results: Sequence[Wait]) -> str:
    lines = [
        "| lots | buyer 0 sits out | the next one fetches | competitive | gain | owner |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        prices = f"{_c(result.price_e4)} | {_c(result.competitive_e4)}"
        told = f"{prices} | {_plus_minus(result.gain_e4)} | {_plus_minus(result.owner_e4)}"
        lines.append(f"| {result.cell.lots} | {result.cell.waits} | {told} |")
    return "\n".join(lines)


def _deviation_table(results: Sequence[Deviation]) -> str:
    lines = ["| buyer 0 | n | honest profit | gain | owner |", "|---|---|---|---|---|"]
    for result in results:
        told = f"{_c(result.honest_e4)} | {_plus_minus(result.gain_e4)} | {_plus_minus(result.owner_e4)}"
        lines.append(f"| {result.cell.name} | {result.cell.n} | {told} |")
    return "\n".join(lines)


def _flat(result: Reach | Size | Wait | Deviation) -> dict[str, Any]:
    told = result._asdict()
    told |= told.pop("cell")._asdict()
    return {key: value._asdict() if hasattr(value, "_asdict") else value for key, value in told.items()}


def _c(price_e4: float) -> str:
    return f"{price_e4 / _C:.2f}"


def _plus_minus(value: Mean) -> str:
    return f"{value.mean / _C:+.3f} ± {value.half_width / _C:.3f}"

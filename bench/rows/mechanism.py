"""Studies of the auction: bid events a second through engine, buyers and heap, and whole lots a second.

Two buyers stand 8 c apart from the reserve, any others just below them, so a lot is a war of bids over 8 c. The
yardstick is what a discrete-event simulation cannot do without: an entry pushed on a heap and popped again, for the bid
and for its answer.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from time import process_time
from typing import TYPE_CHECKING, Final

from bench.report import Figure
from bench.stats import best_us
from etp.auction import Bid
from market.draws import lot_seed
from market.mechanism import play
from market.sealed import clear
from market.setting import NAMES, Buyer, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.settings import Settings
    from market.setting import Outcome

_STANDING: Final = Setting("standing_bid", 1_000, 100_000)
_GAP_E4: Final = 80_000
_EVENTS_PER_S: Final = 40_000.0
_SEALED: Final = ((2, 50_000.0), (10, 15_000.0))


def run(settings: Settings) -> list[Figure]:
    """Measure lots of two, five and ten buyers under the standing bid, and sealed lots whose values are given."""
    figures: list[Figure] = []
    heap_us = best_us(_heap, times=settings.count(200, 2), repeats=settings.count(50, 1), clock=process_time)
    for n in (2, 5, 10):
        lots = settings.count(60, 2)
        buyers = [Buyer(_STANDING.reserve_e4 + _GAP_E4 - 100 * max(0, index - 1), 1_000) for index in range(n)]
        bids, seconds = _best_of(lambda lot, buyers=buyers: play(_STANDING, buyers, seed=lot), lots, settings)  # type: ignore[misc]
        note = (
            f"{bids / lots:.0f} bids a lot, heap alone {heap_us:.2f} us, all of it {seconds / bids * 1e6:.1f} us a bid"
        )
        figures.append(
            Figure(
                key=f"mechanism.bid_events_n{n}_per_s",
                value=bids / seconds,
                target=_EVENTS_PER_S,
                sense=">=",
                note=note,
            )
        )
        figures.append(Figure(key=f"mechanism.auctions_n{n}_per_s", value=lots / seconds, note="over a gap of 8 c"))
    for n, target in _SEALED:
        figures.append(_sealed(n, target, settings))
    return figures


def _sealed(n: int, target: float, settings: Settings) -> Figure:
    """Return how many lots a second sealed bids clear whose values are given: bids and seeds are made beforehand."""
    setting = Setting("sealed_second", 1_000, 100_000)
    lots = [
        (((0, [Bid(NAMES[index], 1, 100_000 + (7 * lot + 13 * index) % 997 * 100, 1_000) for index in range(n)]),), lot)
        for lot in range(200)
    ]
    seeds = [lot_seed(1, lot) for lot in range(200)]
    setting.terms  # noqa: B018 - computed once for all lots

    def clear_all() -> None:
        for bids, lot in lots:
            clear(setting, bids, seed=seeds[lot], lot=lot)

    each_us = best_us(clear_all, times=1, repeats=settings.count(60, 1), clock=process_time) / len(lots)
    return Figure(
        key=f"mechanism.sealed_n{n}_per_s",
        value=1e6 / each_us,
        target=target,
        sense=">=",
        note=f"{each_us:.1f} us a lot, from its bids to its outcome",
    )


def _best_of(play_one: Callable[[int], Outcome], lots: int, settings: Settings) -> tuple[int, float]:
    """Return the bids of all lots and the least CPU time that playing them took."""
    bids, best = 0, float("inf")
    for _ in range(settings.count(7, 1)):
        began = process_time()
        bids = sum(play_one(lot).bids for lot in range(lots))
        best = min(best, process_time() - began)
    return bids, best


def _heap() -> None:
    heap = [(float(index), index) for index in range(8)]
    heapify(heap)
    for index in range(8, 10):
        heappush(heap, (float(index), index))
        heappop(heap)

"""Who wins among 64 standing bids in a lot of 500 steps (50 kWh), against the textbook programme in plain Python.

Each instance counts with its best of a few runs, and the worst instance is the figure: random sets, and the hard kind,
equal prices whose sizes cannot fill the capacity. `step` is what a wake-up of the desk does: a bid enters, pushes
others out, and the next price to beat is quoted.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.report import Figure
from bench.stats import best_us
from etp.auction import Bid, Bids, Lot, Open, Terms, new_auction, quote, step
from etp.auction.worth import best_subset, worth

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.settings import Settings
    from etp.auction import Auction
    from etp.auction.worth import Item

_BIDS: Final = 64
_STEPS: Final = 500
_TARGET_MS: Final = 2.0
_TERMS: Final = Terms(reserve_e4=300_000, standing_ms=86_400_000)


def run(settings: Settings) -> list[Figure]:
    """Measure W, the best subset, and a whole step."""
    rng = random.Random(8)
    sets = [_random_set(rng) for _ in range(settings.count(20, 1))] + [_unreachable_set(n) for n in (6, 10, 14)]
    books = [_full_book(rng) for _ in range(settings.count(20, 1))]
    repeats = settings.count(5, 1)

    def worst_ms(works: list[Callable[[], object]]) -> float:
        return max(best_us(work, times=1, repeats=repeats) for work in works) / 1e3

    worth_ms = worst_ms([partial(worth, items, _STEPS) for items in sets])
    best_ms = worst_ms([partial(best_subset, items, _STEPS) for items in sets])
    step_ms = worst_ms([partial(_displace, *book) for book in books])
    plain_ms = worst_ms([partial(_textbook, items, _STEPS) for items in sets])
    note = f"the textbook programme takes {plain_ms:.1f} ms"
    return [
        Figure(key="winner.worth_ms", value=worth_ms, unit="ms", target=_TARGET_MS),
        Figure(key="winner.best_subset_ms", value=best_ms, unit="ms", target=_TARGET_MS),
        Figure(key="winner.step_ms", value=step_ms, unit="ms", target=_TARGET_MS),
        Figure(key="winner.ratio_to_textbook", value=plain_ms / best_ms, note=note),
    ]


def _random_set(rng: random.Random) -> list[Item]:
    """Bids of many sizes and prices, together three times the capacity."""
    sizes = [rng.randint(1, 46) for _ in range(_BIDS)]
    return [(size * rng.randint(100, 500), size) for size in sizes]


def _unreachable_set(size: int) -> list[Item]:
    """Equal prices and even sizes but for one, so that the odd capacity is hit by nothing and no divisor helps."""
    sizes = [size] * (_BIDS - 1) + [_STEPS - 1]
    return [(each * 100, each) for each in sizes]


def _full_book(rng: random.Random) -> tuple[Auction, Bid]:
    """A lot with 64 standing bids that fill it, and a bid that pushes some of them out."""
    auction = new_auction("standing_bid", _TERMS)
    lot = Lot(lot_id=1, energy_wh=_STEPS * 100, power_w=100_000, seed=b"bench", terms=_TERMS)
    auction, _ = step(auction, Open(lot), 0)
    left = _STEPS
    for number in range(_BIDS):
        size = left if number == _BIDS - 1 else min(rng.randint(1, 14), left - (_BIDS - 1 - number))
        left -= size
        price_e4 = 300_000 + 100 * rng.randint(1, 400)
        auction, _ = step(auction, Bids((Bid(f"p{number}", number, price_e4, size * 100),)), number)
    return auction, Bid("late", 1_000, 600_000, rng.randint(10, 60) * 100)


def _displace(auction: Auction, bid: Bid) -> None:
    after, _ = step(auction, Bids((bid,)), _BIDS)
    quote(after, "other", 1_000, _BIDS)


def _textbook(items: list[Item], capacity: int) -> int:
    best = [0] * (capacity + 1)
    for value, size in items:
        for room in range(capacity, size - 1, -1):
            best[room] = max(best[room], best[room - size] + value)
    return best[capacity]

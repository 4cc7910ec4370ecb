"""The auction engine alone: whole auctions a second under the rules that collect, and what a bid costs that displaces.

One auction is what a study makes of it: a lot and its bids are made, the lot opens, the bids come in one event, the
standing time passes, everybody is answered, the lot is closed. The yardstick is what no such rule can do without, in
plain Python: a draw for each bid (one HMAC), the bids in the order of their draws, the highest and the second price.
A second is one of the process's own CPU time.
"""

from __future__ import annotations

import random
from functools import partial
from hmac import digest
from itertools import cycle
from operator import itemgetter
from time import process_time
from typing import TYPE_CHECKING, Final

from bench.report import Figure
from bench.stats import best_us
from etp.auction import Award, Bid, Bids, Lot, LotClosed, Open, Refuse, Terms, Tick, new_auction, quote, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.settings import Settings
    from etp.auction import Auction, Effects

_TERMS: Final = Terms(reserve_e4=100_000)
_SEED: Final = bytes(range(32))
_LOT_WH: Final = 1_000
_NAMES: Final = "abcdefghij"
_TARGETS_PER_S: Final = {2: 50_000.0, 10: 15_000.0}
_TARGET_US: Final = 8.0
_IN_A_LOT: Final = 50
"""So many bids displace one another before the lot is put up anew, fewer than would double the increment twice."""


def run(settings: Settings) -> list[Figure]:
    """Measure whole auctions for two and ten bids under three rules, one displacing bid, and a wave of bids."""
    times = settings.count(200, 2)
    best = partial(best_us, repeats=settings.count(100, 1), clock=process_time)
    figures: list[Figure] = []
    for count, target in _TARGETS_PER_S.items():
        plain_us = best(partial(_plain, next(_draws(count))), times=times)
        for rule, key in (("sealed_second", "sealed"), ("sealed_first", "sealed_first"), ("ascending_clock", "clock")):
            _check(rule, count)
            ours_us = best(partial(_next_auction, rule, _draws(count)), times=times)
            figures.append(
                Figure(
                    key=f"auction.{key}_n{count}_per_s",
                    value=1e6 / ours_us,
                    target=None if rule == "ascending_clock" else target,
                    sense=">=",
                    note=f"{ours_us:.1f} us each",
                )
            )
            if rule == "sealed_second":
                note = f"the draws, their order and two prices alone take {plain_us:.1f} us"
                figures.append(Figure(key=f"auction.{key}_n{count}_ratio", value=plain_us / ours_us, note=note))
    lot_us = best(_opened, times=times)
    war_us = best(_bid_war, times=settings.count(10, 1))
    auction, wave = _wave()
    wave_us = best(lambda: step(auction, wave, 1), times=times)
    return [
        *figures,
        Figure(
            key="auction.standing_displace_us",
            value=(war_us - lot_us) / _IN_A_LOT,
            unit="us",
            target=_TARGET_US,
            note="a bid for the whole lot displaces another, and the next price to beat is quoted",
        ),
        Figure(key="auction.standing_wave_us", value=wave_us, unit="us", note="nine bids in one event, one enters"),
    ]


def _draws(count: int) -> Iterator[tuple[int, ...]]:
    """Yield the prices of bids for the whole lot, over and over."""
    rng = random.Random(count)
    return cycle([tuple([rng.randrange(1_000, 10_000) * 100 for _ in range(count)]) for _ in range(64)])


def _auction(rule: str, prices: Sequence[int]) -> Effects:
    lot = Lot(lot_id=1, energy_wh=_LOT_WH, power_w=5_000, seed=_SEED, terms=_TERMS)
    auction, _ = step(new_auction(rule), Open(lot), 0)
    bids = tuple([Bid(_NAMES[index], 1, price_e4, _LOT_WH) for index, price_e4 in enumerate(prices)])
    auction, _ = step(auction, Bids(bids), 0)
    return step(auction, Tick(), _TERMS.standing_ms)[1]


def _next_auction(rule: str, sets: Iterator[tuple[int, ...]]) -> Effects:
    return _auction(rule, next(sets))


def _check(rule: str, count: int) -> None:
    """Everybody is answered, one wins, and the lot is closed."""
    answers = sorted([type(effect).__name__ for effect in _auction(rule, next(_draws(count)))])
    expected = sorted([Award.__name__, LotClosed.__name__, *[Refuse.__name__] * (count - 1)])
    if answers != expected:
        raise RuntimeError(f"{rule} answers {count} bids with {answers}")


def _plain(prices: Sequence[int]) -> tuple[str, int]:
    drawn = [
        (digest(_SEED, _NAMES[index].encode() + (1).to_bytes(8, "little"), "sha256"), price_e4, _NAMES[index])
        for index, price_e4 in enumerate(prices)
    ]
    drawn.sort(key=itemgetter(0))
    first, second = sorted(drawn, key=itemgetter(1), reverse=True)[:2]
    return first[2], second[1]


def _opened() -> Auction:
    lot = Lot(lot_id=1, energy_wh=_LOT_WH, power_w=5_000, seed=_SEED, terms=_TERMS)
    auction, _ = step(new_auction("standing_bid"), Open(lot), 0)
    return auction


def _bid_war() -> None:
    auction, price_e4 = _opened(), _TERMS.reserve_e4
    for number in range(_IN_A_LOT):
        bidder, other = ("a", "b") if number % 2 else ("b", "a")
        auction, _ = step(auction, Bids((Bid(bidder, number, price_e4, _LOT_WH),)), 0)
        price_e4 = quote(auction, other, _LOT_WH, 0)


def _wave() -> tuple[Auction, Bids]:
    """A lot in which one of ten known buyers stands, and the bids of the others, of which one is above it."""
    auction = _opened()
    for number, name in enumerate(_NAMES):
        price_e4 = 500_000 if name == "j" else 110_000 + 1_000 * number
        auction, _ = step(auction, Bids((Bid(name, number, price_e4, _LOT_WH),)), 0)
    wave = Bids(tuple([Bid(name, 100, 600_000 if name == "e" else 400_000, _LOT_WH) for name in _NAMES[:9]]))
    _, effects = step(auction, wave, 1)
    if len([effect for effect in effects if isinstance(effect, Refuse)]) != len(wave.bids):
        raise RuntimeError(f"a wave of which one bid displaces is answered with {effects}")
    return auction, wave

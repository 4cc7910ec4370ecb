"""A desk in small, for tests and studies: drives an auction through time and is never late.

`Bench` sends a Tick at every deadline that passes and keeps all effects with their times; ids count up by themselves.
`best_by_force` is the winner determination that `worth.py` is held against.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from etp.auction.machine import Auction, step
from etp.auction.types import Bid, Bids, Effect, Effects, Event, Lot, Open, Shield, Terms, Tick
from etp.auction.views import new_auction, next_deadline

if TYPE_CHECKING:
    from collections.abc import Sequence


class Bench:
    """One auction, its clock, and everything it has said."""

    def __init__(self, rule: str = "standing_bid", *, terms: Terms, seed: bytes = b"bench") -> None:
        self.auction: Auction = new_auction(rule, terms)
        self.terms = terms
        self.now_ms = 0
        self.said: list[tuple[int, Effect]] = []
        self._seed = seed
        self._lots = 0
        self._bids = 0

    def send(self, event: Event, *, at_ms: int | None = None) -> Effects:
        """Step to `at_ms` (default: now), then through `event`; return what the event alone brought."""
        if at_ms is not None:
            self.until(at_ms)
        return self._step(event)

    def until(self, at_ms: int) -> Effects:
        """Tick at every deadline up to `at_ms`; return what the ticks brought."""
        said: Effects = ()
        while (due_ms := next_deadline(self.auction)) is not None and due_ms <= at_ms:
            self.now_ms = max(self.now_ms, due_ms)
            said += self._step(Tick())
        self.now_ms = max(self.now_ms, at_ms)
        return said

    def open(self, energy_wh: int, power_w: int = 5_000, *, shield: Shield | None = None) -> Effects:
        """Open the next lot under the bench's terms."""
        self._lots += 1
        lot = Lot(
            lot_id=self._lots, energy_wh=energy_wh, power_w=power_w, seed=self._seed, terms=self.terms, shield=shield
        )
        return self._step(Open(lot))

    def bid(
        self, peer: str, price_e4: int, energy_wh: int, *, at_ms: int | None = None, covered: bool = True
    ) -> Effects:
        """Send one bid under the next id."""
        return self.send(Bids((self.make_bid(peer, price_e4, energy_wh, covered=covered),)), at_ms=at_ms)

    def make_bid(self, peer: str, price_e4: int, energy_wh: int, *, covered: bool = True) -> Bid:
        """Return a bid under the next id."""
        self._bids += 1
        return Bid(peer, self._bids, price_e4, energy_wh, covered)

    def _step(self, event: Event) -> Effects:
        self.auction, effects = step(self.auction, event, self.now_ms)
        self.said.extend((self.now_ms, effect) for effect in effects)
        return effects


def best_by_force(items: Sequence[tuple[int, int]], capacity: int) -> tuple[int, tuple[int, ...]]:
    """Return the best value within `capacity` and its subset, trying all; ties keep the older. For <= 15 items."""
    found: tuple[int, tuple[int, ...]] = (0, ())
    for count in range(1, len(items) + 1):
        for chosen in combinations(range(len(items)), count):
            if sum(items[index][1] for index in chosen) > capacity:
                continue
            value = sum(items[index][0] for index in chosen)
            if value > found[0] or (value == found[0] and _keeps_older(chosen, found[1], len(items))):
                found = (value, chosen)
    return found


def _keeps_older(chosen: tuple[int, ...], other: tuple[int, ...], count: int) -> bool:
    """Whether `chosen` keeps the oldest item in which the two differ."""
    for index in range(count):
        if (index in chosen) != (index in other):
            return index in chosen
    return False

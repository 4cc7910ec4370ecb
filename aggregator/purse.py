"""Need and budget: what may still be promised, so that the buyer never commits more than it wants or can pay.

Every bid on its way reserves its quantity and its money at the bid price; an Accept makes the reservation a commitment
at the agreed price; the end of the trade books what was delivered and frees the rest. Bids on their way to one battery
weigh as the heaviest of them: a lot takes one standing bid of a buyer, so they are one wish. All sums are integers:
energy in Wh, money in price_e4 x Wh (10^7 of them are one cent).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from etp.units import floor_step

MONEY_PER_CENT: Final = 10_000_000
_PACE_GAIN: Final = 5.0
"""Spending a tenth of the budget ahead of time (beyond the slack) divides the value by 1.5."""


class Claim(NamedTuple):
    """One reservation or commitment: price and quantity."""

    price_e4: int
    energy_wh: int

    @property
    def money(self) -> int:
        """What it costs, in price_e4 x Wh."""
        return self.price_e4 * self.energy_wh


class Weight(NamedTuple):
    """What bids of which at most one is accepted may come to."""

    energy_wh: int
    money: int


class Purse:
    """Need and budget over a period; None = no limit. A period of 0 never ends."""

    def __init__(
        self,
        *,
        need_wh: int | None,
        budget: int | None,
        period_ms: int = 0,
        now_ms: int = 0,
        slack_permille: int = 100,
    ) -> None:
        """Start a period at `now_ms`; `slack_permille` of the budget may be spent ahead of an even pace."""
        self.need_wh = need_wh
        self.budget = budget
        self.bought_wh = 0
        self.spent = 0
        self.freed = False
        """Set when something promised became free again; whoever acts on it clears it."""
        self._period_ms = period_ms
        self._period_start_ms = now_ms
        self._slack = slack_permille / 1_000
        self._claims: dict[int, Claim] = {}
        self._ways: dict[str, dict[int, Claim]] = {}
        """The bids on their way, by battery."""
        self._way_of: dict[int, str] = {}
        self._claimed_wh = 0
        self._claimed = 0

    @property
    def committed_wh(self) -> int:
        """Energy of bids on their way and trades not ended."""
        return self._claimed_wh

    @property
    def committed(self) -> int:
        """Money of bids on their way and trades not ended."""
        return self._claimed

    def renew(self, now_ms: int) -> None:
        """Start the next period when this one is over; open claims weigh on the new one."""
        if self._period_ms and now_ms - self._period_start_ms >= self._period_ms:
            self._period_start_ms += (now_ms - self._period_start_ms) // self._period_ms * self._period_ms
            self.bought_wh = 0
            self.spent = 0
            self.freed = True

    def open_wh(self, price_e4: int, battery: str | None = None) -> int:
        """Return what may still be promised at a price, in whole steps of 0.1 kWh; no limit is a very large number.

        What is on its way to `battery` does not count: the next bid there takes its place.
        """
        replaced = _heaviest({} if battery is None else self._ways.get(battery, {}))
        open_wh = 1 << 62
        if self.need_wh is not None:
            open_wh = self.need_wh - self.bought_wh - self._claimed_wh + replaced.energy_wh
        if self.budget is not None and price_e4 > 0:
            open_wh = min(open_wh, (self.budget - self.spent - self._claimed + replaced.money) // price_e4)
        return max(0, floor_step(open_wh))

    def reserve(self, claim_id: int, price_e4: int, energy_wh: int, battery: str | None = None) -> bool:
        """Reserve for a bid; False, and nothing changes, when need or budget do not allow it or the id is taken.

        Without a battery it weighs by itself.
        """
        if claim_id in self._claims or claim_id in self._way_of or energy_wh > self.open_wh(price_e4, battery):
            return False
        battery = f"#{claim_id}" if battery is None else battery
        before = _heaviest(self._ways.get(battery, {}))
        self._ways.setdefault(battery, {})[claim_id] = Claim(price_e4, energy_wh)
        self._way_of[claim_id] = battery
        self._weigh(before, _heaviest(self._ways[battery]))
        return True

    def allows(self, claim_id: int) -> bool:
        """Whether a reservation may become a commitment: need and budget hold it beside all other commitments.

        It may not when another bid to the same battery has been accepted too, in an earlier lot.
        """
        battery = self._way_of[claim_id]
        claim, others = self._ways[battery][claim_id], _heaviest(self._ways[battery])
        free_wh = None if self.need_wh is None else self.need_wh - self.bought_wh - self._claimed_wh + others.energy_wh
        if free_wh is not None and claim.energy_wh > free_wh:
            return False
        return self.budget is None or claim.money <= self.budget - self.spent - self._claimed + others.money

    def agree(self, claim_id: int, price_e4: int) -> None:
        """Turn a reservation into a commitment at the agreed price, which is at most the price reserved."""
        claim = self._leave(claim_id)
        self._put(claim_id, Claim(min(price_e4, claim.price_e4), claim.energy_wh))

    def resume(self, claim_id: int, price_e4: int, energy_wh: int) -> None:
        """Take up a commitment of an earlier process; one that is there already stays as it is."""
        if claim_id not in self._claims:
            self._put(claim_id, Claim(price_e4, energy_wh))

    def release(self, claim_id: int) -> None:
        """Free a reservation that came to nothing."""
        self._leave(claim_id)
        self.freed = True

    def close(self, claim_id: int, delivered_wh: int) -> Claim:
        """End a commitment: book what was delivered, at most what was agreed, and free the rest; return what counts."""
        claim = self._take(claim_id)
        booked = Claim(claim.price_e4, min(max(0, delivered_wh), claim.energy_wh))
        self.bought_wh += booked.energy_wh
        self.spent += booked.money
        self.freed = self.freed or booked != claim
        return booked

    def pace_permille(self, now_ms: int) -> int:
        """Return the share of its value that the buyer bids with, so that spending follows the budget evenly.

        1,000 while spending is not ahead of time; 1 / (1 + gain x excess) after, where the excess is the share of the
        budget spent or committed beyond an even pace and the slack.
        """
        if not self.budget or not self._period_ms:
            return 1_000
        elapsed = min(1.0, max(0, now_ms - self._period_start_ms) / self._period_ms)
        excess = (self.spent + self._claimed) / self.budget - elapsed - self._slack
        return 1_000 if excess <= 0 else round(1_000 / (1 + _PACE_GAIN * excess))

    def _leave(self, claim_id: int) -> Claim:
        """Return a reservation, no longer on its way."""
        battery = self._way_of.pop(claim_id)
        way = self._ways[battery]
        before = _heaviest(way)
        claim = way.pop(claim_id)
        self._weigh(before, _heaviest(way))
        if not way:
            del self._ways[battery]
        return claim

    def _weigh(self, before: Weight, after: Weight) -> None:
        self._claimed_wh += after.energy_wh - before.energy_wh
        self._claimed += after.money - before.money

    def _put(self, claim_id: int, claim: Claim) -> None:
        self._claims[claim_id] = claim
        self._claimed_wh += claim.energy_wh
        self._claimed += claim.money

    def _take(self, claim_id: int) -> Claim:
        claim = self._claims.pop(claim_id)
        self._claimed_wh -= claim.energy_wh
        self._claimed -= claim.money
        return claim


def _heaviest(way: dict[int, Claim]) -> Weight:
    claims = way.values()
    return Weight(max((c.energy_wh for c in claims), default=0), max((c.money for c in claims), default=0))

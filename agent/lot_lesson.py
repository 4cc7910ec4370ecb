"""What one lot teaches: the highest bids of its two highest bidders, from the bids as they come. Pure.

Only bids for half of the lot or more count: what somebody pays for a crumb says little of what the lot is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.pricing import LotSeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.pricing import Parts
    from etp.auction import Bid


class LotLesson:
    """The lesson of one lot, from its first admissible bid on: then its terms are frozen, and so is its cost."""

    def __init__(self, parts: Parts, price_cap_e4: int, lot_wh: int) -> None:
        """`parts` is how the lot was priced; a bid above `price_cap_e4` is a mistake, not a value."""
        self._lot_wh = lot_wh
        self.teaches = parts.basis != "fallback"
        """Whether what the energy cost was known."""
        self._cost_e4 = parts.cost_e4
        self._reserve_e4 = parts.reserve_e4
        self._cap_e4 = price_cap_e4
        self._best: tuple[str, int] | None = None
        self._second_e4: int | None = None

    @property
    def is_bid_for(self) -> bool:
        """Whether anybody bid for half of the lot or more."""
        return self._best is not None

    def heed(self, bids: Sequence[Bid]) -> None:
        """Take bids into account that entered the lot or were beaten."""
        for peer, _, price_e4, energy_wh, _ in bids:
            if 2 * energy_wh < self._lot_wh:
                continue
            least_e4 = self._reserve_e4 if self._second_e4 is None else self._second_e4
            if not least_e4 <= price_e4 <= self._cap_e4:
                continue
            if self._best is None or peer == self._best[0]:
                self._best = (peer, price_e4 if self._best is None else max(price_e4, self._best[1]))
            elif price_e4 > self._best[1]:
                self._second_e4 = self._best[1]
                self._best = (peer, price_e4)
            else:
                self._second_e4 = price_e4

    def seen(self, reached: int) -> LotSeen:
        """Return what was seen when so many buyers had been told of the lot."""
        best_e4 = None if self._best is None else self._best[1]
        return LotSeen(self._cost_e4, self._reserve_e4, reached, best_e4, self._second_e4)

"""What a buyer can know of a market from its own conversations: prices to beat, how often it wins, how prices move.

Running means with a fixed weight, so a view has constant size however long it runs. Win counts are of lots, not of
bids: in a rising auction most bids are outbid, also the winner's.
"""

from __future__ import annotations

import math
from typing import Final

_WEIGHT: Final = 1 / 16
"""Share of the newest observation in a running mean."""
_HOUR_MS: Final = 3_600_000
_HOURS: Final = 24
_BIDDERS_MAX: Final = 20


class MarketView:
    """The market as seen through one battery, or through all of them."""

    __slots__ = ("_best", "_mean", "_move", "_paid", "bids", "lots", "outbid", "quotes", "wins")

    def __init__(self) -> None:
        self.quotes = 0
        self.bids = 0
        self.outbid = 0
        self.lots = 0
        """Lots in which this buyer bid and that are over for it."""
        self.wins = 0
        self._mean: float | None = None
        self._move = 0.0
        self._paid: float | None = None
        self._best: dict[int, float] = {}

    def saw(self, beat_e4: int, wall_ms: int) -> None:
        """Note a price to beat."""
        self.quotes += 1
        if self._mean is None:
            self._mean = float(beat_e4)
        step = beat_e4 - self._mean
        self._mean += _WEIGHT * step
        self._move += _WEIGHT * (step * step - self._move)
        hour = wall_ms // _HOUR_MS % _HOURS
        before = self._best.get(hour)
        self._best[hour] = float(beat_e4) if before is None else before + _WEIGHT * (beat_e4 - before)

    def bid(self) -> None:
        """Note a bid."""
        self.bids += 1

    def lost_bid(self) -> None:
        """Note a bid that was outbid."""
        self.outbid += 1

    def won(self, price_e4: int) -> None:
        """Note a lot won, and its price."""
        self.lots += 1
        self.wins += 1
        self._paid = float(price_e4) if self._paid is None else self._paid + _WEIGHT * (price_e4 - self._paid)

    def lost_lot(self) -> None:
        """Note a lot that this buyer bid in and that went to others."""
        self.lots += 1

    @property
    def mean_beat_e4(self) -> int | None:
        """The running mean of the price to beat."""
        return None if self._mean is None else round(self._mean)

    @property
    def mean_paid_e4(self) -> int | None:
        """The running mean of the prices paid."""
        return None if self._paid is None else round(self._paid)

    @property
    def volatility_e4(self) -> int:
        """The running standard deviation of the price to beat about its mean."""
        return round(math.sqrt(self._move))

    @property
    def win_permille(self) -> int | None:
        """The share of lots won of those bid in."""
        return 1_000 * self.wins // self.lots if self.lots else None

    @property
    def best_hour(self) -> int | None:
        """The hour of the day (UTC) with the lowest price to beat so far."""
        return min(self._best, key=lambda hour: (self._best[hour], hour)) if self._best else None

    def bidders(self, prior: int = 2) -> int:
        """Return the number of equally strong buyers, this one included, that its win rate speaks for.

        The prior counts as `prior` lots of which one was won, so the estimate starts at `prior`; it is 1 to 20.
        """
        return min(_BIDDERS_MAX, max(1, round((self.lots + prior) / (self.wins + 1))))

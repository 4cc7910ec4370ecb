"""What a battery has told us of its lot: the last quote, for which quantity, and what the reserve seems to be.

The wire carries no lot number and no reserve. A lot counts as new when there was none before, when more is for sale
than can be left of the last one, or when the price to beat falls back to the lowest seen after having been above it.
The reserve is taken to be the lowest price to beat of the lot; a price that holds longer than any bid or shield can
stand must be the reserve too, whatever was seen before.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from etp.units import PRICE_TICK_E4

HOLDS_MS: Final = 2_500
"""Standing time (400 ms) and shield (2,000 ms) are over by then, so nobody's bid holds the price up."""


class Offer(NamedTuple):
    """A lot as quoted: energy, power (a magnitude), the price to beat and the own standing price."""

    lot_wh: int
    power_w: int
    beat_e4: int
    own_e4: int


class QuoteBook:
    """The last quote of one battery, what it was quoted for, and what that says about the lot."""

    __slots__ = ("_beat_e4", "_beat_since_ms", "_left_wh", "_quoted_wh", "floor_e4", "lost_e4", "offer")

    def __init__(self) -> None:
        self.offer: Offer | None = None
        self.floor_e4 = 0
        self.lost_e4 = 0
        """The highest own price outbid in this lot."""
        self._left_wh = 0
        """What can at most be left of the lot that was quoted last; 0 = the next one is new."""
        self._quoted_wh = 0
        self._beat_e4 = 0
        self._beat_since_ms = 0

    def quoted(self, offer: Offer, now_ms: int) -> bool:
        """Take in a lot that is for sale; return whether it is a new one."""
        beat_e4 = offer.beat_e4
        fell_back = beat_e4 <= self.floor_e4 < self._beat_e4 and offer.own_e4 == 0
        is_new = offer.lot_wh > self._left_wh or fell_back
        if is_new:
            self.lost_e4 = 0
        self.floor_e4 = beat_e4 if is_new else min(self.floor_e4, beat_e4)
        self._beat(beat_e4, now_ms)
        self._left_wh = offer.lot_wh
        self.offer = offer
        return is_new

    def gone(self) -> None:
        """Note that nothing is for sale."""
        self.offer = None
        self._left_wh = 0

    def asked(self, energy_wh: int) -> None:
        """Note that the battery has answered a Query or Bid for this quantity: it quotes for it from now on."""
        self._quoted_wh = energy_wh

    def is_for(self, want_wh: int) -> bool:
        """Whether the last quote was for the quantity we want to bid for."""
        if self.offer is None:
            return False
        lot_wh = self.offer.lot_wh
        quoted_wh = lot_wh if self._quoted_wh == 0 else min(self._quoted_wh, lot_wh)
        return quoted_wh == min(want_wh, lot_wh)

    def outbid(self, price_e4: int, beat_e4: int, now_ms: int) -> None:
        """Take in a refusal at `price_e4`; the price to beat is above it, whatever the battery says."""
        self.lost_e4 = max(self.lost_e4, price_e4)
        if self.offer is not None:
            self._beat(max(beat_e4, price_e4 + PRICE_TICK_E4), now_ms)
            self.offer = self.offer._replace(beat_e4=self._beat_e4, own_e4=0)

    def below_reserve(self, beat_e4: int, now_ms: int) -> None:
        """Take in a refusal below the reserve, which the answer names."""
        self.floor_e4 = beat_e4
        if self.offer is not None:
            self._beat(beat_e4, now_ms)
            self.offer = self.offer._replace(beat_e4=beat_e4, own_e4=0)

    def bought(self, energy_wh: int) -> None:
        """Note that a quantity of the lot is ours: what the rest costs is not known before the next quote."""
        if self.offer is not None:
            self._left_wh = max(0, self.offer.lot_wh - energy_wh)
            self.offer = None

    def settle(self, now_ms: int) -> bool:
        """Take a price to beat that held long enough for the reserve; return whether that changed anything."""
        if self.offer is None or self.offer.own_e4 or now_ms < self._beat_since_ms + HOLDS_MS:
            return False
        changed = self.floor_e4 != self.offer.beat_e4 or self.lost_e4 != 0
        self.floor_e4, self.lost_e4 = self.offer.beat_e4, 0
        return changed

    def settles_at_ms(self) -> int | None:
        """Return when `settle` may change something, None when it cannot."""
        if self.offer is None or self.offer.own_e4 or (self.floor_e4 == self.offer.beat_e4 and not self.lost_e4):
            return None
        return self._beat_since_ms + HOLDS_MS

    def _beat(self, beat_e4: int, now_ms: int) -> None:
        if beat_e4 != self._beat_e4:
            self._beat_e4, self._beat_since_ms = beat_e4, now_ms

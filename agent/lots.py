"""The lot on offer: owns the auction's state, opens the next lot, shrinks it, and wakes the engine on time.

The rules are `etp.auction`'s; this is the place where they meet the event loop. Nothing here knows a connection.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from etp import auction
from etp.auction import (
    Award,
    BookChanged,
    LotClosed,
    PeerGone,
    Refuse,
    Unconfirmed,
)
from etp.messages import ReasonCode
from etp.units import floor_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.offer import Offer
    from etp.auction import Auction, Bid, Event, Lot, Shield, Terms


class LotListener(Protocol):
    """Who performs what the auction decides."""

    def bids_judged(self, bids: Sequence[Bid], refusals: Sequence[Refuse]) -> None:
        """These bids were judged, with these refusals among them; the lot still stands as they met it."""

    def bid_refused(self, refusal: Refuse, now_ms: int) -> None:
        """Tell the bidder."""

    def bid_awarded(self, award: Award) -> None:
        """Put the award on disk, then tell the bidder."""

    def bid_abandoned(self, abandoned: Unconfirmed) -> None:
        """A standing bid left with its connection: its buyer is to blame."""

    def book_changed(self) -> None:
        """Tell everybody who registered what stands now."""

    def lot_opened(self, lot: Lot) -> None:
        """A new lot is on offer."""

    def lot_closed(self, closed: LotClosed) -> None:
        """A lot was sold or withdrawn."""


class LotKeeper:
    """One battery's auction: at most one lot open, and the engine's state in one pair of hands."""

    def __init__(
        self,
        *,
        rule: str,
        listener: LotListener,
        lot_id: Callable[[int, int, bytes], int | None],
        seed: Callable[[], bytes],
        now_ms: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._lot_id = lot_id
        self._seed = seed
        self._now_ms = now_ms
        self._state: Auction = auction.new_auction(rule)
        self._terms: Terms | None = None
        self._shield: Shield | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at_ms: int | None = None
        self.late_ms = 0
        """How long ago the deadline passed that decides something now; 0 when none has passed."""

    @property
    def state(self) -> Auction:
        """The auction as it stands, for looking only."""
        return self._state

    def quote(self, peer: str, energy_wh: int, now_ms: int) -> int:
        """Return the price to beat for a quantity (0 = whole lot); the reserve while no lot is open."""
        return auction.quote(self._state, peer, energy_wh, now_ms)

    def own_price(self, peer: str) -> int:
        """Return the peer's own standing price in the open lot, 0 when it has none."""
        return auction.own_price(self._state, peer)

    def open_lot(self) -> tuple[int, int]:
        """Return the energy (Wh) and power (W, magnitude) of the open lot that can still be had; zeros without one."""
        return auction.open_energy(self._state), auction.open_power(self._state)

    def shield(self, now_ms: int) -> Shield | None:
        """Return the shield that stays up longest: the newest, or an older one that covers it."""
        lot = self._state.lot
        shields = self._state.shields if lot is None else lot.shields
        up = (shield for shield in shields if now_ms < shield.until_ms)
        return max(up, key=lambda shield: (shield.until_ms, shield.price_e4), default=None)

    def restore_shield(self, shield: Shield) -> None:
        """Let the first lot of this run inherit the shield of a lot of the last."""
        self._shield = shield

    def refuse_all(self, bids: Sequence[Bid], now_ms: int) -> list[Refuse] | None:
        """Refuse bids that arrived in one wake-up of the loop, each by its place; None when `bids` must judge them."""
        refused = auction.refuse_all(self._state, bids, now_ms)
        if refused is None:
            return None
        self._listener.bids_judged(bids, refused[1])
        self._state = refused[0]
        return refused[1]

    def bids(self, bids: Sequence[Bid], now_ms: int) -> None:
        """Judge bids that arrived in one wake-up of the loop."""
        self._step(auction.Bids(tuple(bids)), now_ms)

    def peer_gone(self, peer: str) -> None:
        """A standing bid's connection closed."""
        self._step(PeerGone(peer), self._now_ms())

    def confirmed(self, peer: str, bid_id: int) -> None:
        """An award became a trade."""
        self._step(auction.Confirmed(peer, bid_id), self._now_ms())

    def voided(self, peer: str, bid_id: int, *, blame: bool) -> None:
        """An award fell through; with `blame` the shield goes up."""
        self._step(auction.Voided(peer, bid_id, blame), self._now_ms())

    def offer(self, offer: Offer, terms: Terms) -> None:
        """Bring the lot in line with what may be sold now: withdraw or shrink, retune, open it.

        What protects the owner comes first: every other event may award what has fallen due.
        """
        now_ms = self._now_ms()
        if self._state.lot is not None and offer.code not in {ReasonCode.NONE, ReasonCode.NO_LOT}:
            self._step(auction.Withdraw(offer.code), now_ms)
        elif self._state.lot is not None:
            self._shrink(offer, now_ms)
        least_w = offer.min_power_w or (self._terms.min_power_w if self._terms else 0)
        if terms.min_power_w != least_w:
            terms = replace(terms, min_power_w=least_w)
        if terms != self._terms:
            self._terms = terms
            self._step(auction.Retune(terms), now_ms)
        if self._state.lot is None and offer.code == ReasonCode.NONE:
            self._open(offer, now_ms)

    def _shrink(self, offer: Offer, now_ms: int) -> None:
        energy_wh = min(auction.open_energy(self._state), floor_step(offer.sellable_wh))
        power_w = min(auction.open_power(self._state), offer.free_power_w)
        if energy_wh < auction.open_energy(self._state) or power_w < auction.open_power(self._state):
            self._step(auction.Shrink(energy_wh, power_w), now_ms)

    def _open(self, offer: Offer, now_ms: int) -> None:
        seed = self._seed()
        lot_id = self._lot_id(offer.lot_wh, offer.free_power_w, seed)
        if lot_id is None or self._terms is None:
            return
        lot = auction.Lot(
            lot_id=lot_id,
            energy_wh=offer.lot_wh,
            power_w=offer.free_power_w,
            seed=seed,
            terms=self._terms,
            shield=self._shield,
        )
        self._shield = None
        self._listener.lot_opened(lot)
        self._step(auction.Open(lot), now_ms)

    def _step(self, event: Event, now_ms: int, due_ms: int | None = None) -> None:
        due_ms = self._wake_at_ms if due_ms is None else due_ms
        late_ms = 0 if due_ms is None else max(0, now_ms - due_ms)
        before = self._state
        after, effects = auction.step(before, event, now_ms)
        if isinstance(event, auction.Bids):
            self._listener.bids_judged(event.bids, [effect for effect in effects if isinstance(effect, Refuse)])
        self._state = after
        for effect in effects:
            self.late_ms = late_ms
            match effect:
                case Refuse():
                    self._listener.bid_refused(effect, now_ms)
                case Award():
                    self._listener.bid_awarded(effect)
                case BookChanged():
                    self._listener.book_changed()
                case Unconfirmed():
                    self._listener.bid_abandoned(effect)
                case LotClosed():
                    self._listener.lot_closed(effect)
        if self._state is not before:
            self._set_wake()

    def _set_wake(self) -> None:
        due_ms = auction.next_deadline(self._state)
        if due_ms == self._wake_at_ms:
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._wake_at_ms = due_ms
        if due_ms is not None:
            self._wake = asyncio.get_running_loop().call_at(due_ms / 1_000, self._tick, due_ms)

    def _tick(self, due_ms: int) -> None:
        self._wake = None
        self._wake_at_ms = None
        self._step(auction.Tick(), max(due_ms, self._now_ms()), due_ms)
        self._set_wake()

    def close(self) -> None:
        """Stop waking."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

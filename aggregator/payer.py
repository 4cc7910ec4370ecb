"""Whether and how one battery can be paid: the terms of its Register, the Line to it, and what that leaves to bid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from aggregator.effects import Note
from aggregator.entries import Entry, Key
from etp.units import floor_step
from settlement.cover import Wanted, promised, shortfall
from settlement.errors import TermsError
from settlement.money import reserve_of
from settlement.terms import Times, bid_of, times_for, window_s

if TYPE_CHECKING:
    from aggregator.bids import BidSent
    from aggregator.quotes import Offer
    from aggregator.settling import Settling
    from etp.extensions import Contract as WireContract
    from etp.messages import Body
    from settlement.cover import Promise
    from settlement.lines import LineState

LAB_MARGIN_S: Final = 5
"""Where energy runs faster the way of a bid, and whole seconds, do not."""
_UNITS: Final = 10_000_000 * 10_000
"""Price in 1/10 000 c/kWh times Wh, per cent, times basis points."""
_ENOUGH_WH: Final = 1 << 62
_NUMBER: Final = re.compile(r"\d+")


class Cover(NamedTuple):
    """A Line to one battery as the buyer sees it: base units."""

    line: LineState
    promises: list[Promise]
    promised: int

    @property
    def free(self) -> int:
        """What may still be promised."""
        return max(0, self.line.cover - self.promised)


class Payer:
    """The money side of one conversation. Without a reason in `why_not` the battery can be paid."""

    def __init__(self, settling: Settling) -> None:
        self.settling = settling
        self.key = b""
        """The battery's identity key, once it has registered."""
        self.offer: WireContract | None = None
        """What its Register carries, when these are our terms."""
        self.why_not = "it has not registered"
        self._told = ""
        self._watched: bytes | None = None
        self._is_here = False
        """Whether it has registered on the connection that stands."""

    def registered(self, signer: bytes | None, offer: WireContract | None) -> list[Note]:
        """Take in a Register; say once why this battery is not bought from."""
        if signer != self.key:
            self.lost()
        self.key, self.offer, self._is_here = signer or b"", None, signer is not None
        if signer is None:
            self.why_not = "it has no key"
        elif offer is None:
            self.why_not = "its Register carries no terms: it does not settle"
        else:
            try:
                self.settling.purser.terms.check_offer(offer)
                self._watch(offer.battery_wallet)
            except TermsError as error:
                self.why_not = f"its terms are not ours: {error}"
            else:
                self.offer, self.why_not = offer, ""
        return self._tell(self.why_not)

    def _watch(self, wallet: bytes) -> None:
        """Let the Line to this wallet be read, and that of the offer before no more. Raises TermsError."""
        if wallet == self._watched:
            return
        if self._watched is not None:
            self.settling.unwatch(self._watched)
            self._watched = None
        self.settling.watch(wallet)
        self._watched = wallet

    def key_of(self, bid_id: int) -> Key:
        """Return the name of a trade with this battery."""
        return Key(self.key, bid_id)

    def cover(self) -> Cover | None:
        """Return the Line to this battery and what of it is spoken for; None without one."""
        line = None if self.offer is None else self.settling.line(self.offer.battery_wallet)
        if line is None:
            return None
        promises = self.settling.book.promises(self.key, line)
        return Cover(line, promises, promised(line, promises))

    def limit_wh(self, price_e4: int, lot: Offer | None, least_wh: int) -> tuple[int, list[Note]]:
        """Return how much may be bid for at a price, in whole steps; less than `least_wh` is nothing, said once."""
        why, covered_wh = self._covered_wh(price_e4, lot)
        if not why and covered_wh < least_wh:
            why = f"what is free of the Line to it covers {covered_wh} Wh at {price_e4 / 10_000:.2f} c/kWh"
        return (0 if why else covered_wh), self._tell(why)

    def bid(self, lot: Offer | None) -> WireContract | None:
        """Return the contract that a Bid for a lot carries; None when none can be made."""
        times, cover = None if lot is None else self._times(lot), self.cover()
        if self.offer is None or times is None or cover is None:
            return None
        wallet = self.settling.purser.wallet
        return bid_of(self.offer, buyer_wallet=wallet, generation=cover.line.generation, times=times)

    def cannot_afford(self, accept: Body) -> str:
        """Return why an award is not covered any more: one won elsewhere may have taken it. "" when it is."""
        cover = self.cover()
        if cover is None:
            return "the Line to this battery is gone"
        units = self._units(accept.sale_price_e4, accept.energy_wh)
        return "" if units <= cover.free else f"it takes {units} units, {cover.free} are free of the Line"

    def accepted(self, bid: BidSent, accept: Body, wire: WireContract | None, now_ms: int) -> Entry:
        """Return the entry of an Accept, signed by both. Raises SettlementError when it is not what was bid."""
        if wire is None or bid.contract is None:
            raise TermsError("contract", "the Accept carries none")
        return self.settling.contract_for(self.key_of(bid.bid_id), bid.contract, accept, wire, now_ms)

    def resumed(self, now_ms: int) -> list[Entry]:
        """Return, once, the trades with this battery that an earlier process left open."""
        return self.settling.resumed(self.key, now_ms)

    def heard(self, now_ms: int) -> None:
        """Note that frames came on a connection on which the battery has registered."""
        if self._is_here:
            self.settling.heard(self.key, now_ms)

    def lost(self) -> None:
        """Note that the connection is gone."""
        if self._is_here:
            self.settling.lost(self.key)
        self._is_here = False

    def summary(self) -> dict[str, object]:
        """Return what a status file shows of the Line: base units."""
        cover = self.cover()
        if cover is None:
            return {"why_not": self.why_not or "no Line to it was seen on the ledger"}
        line = cover.line
        return {
            "why_not": self.why_not,
            "cover": line.cover,
            "locked": line.locked,
            "promised": cover.promised - line.locked,
            "free": cover.free,
            "generation": line.generation,
            "read_at_s": line.read_at_s,
        }

    def _covered_wh(self, price_e4: int, lot: Offer | None) -> tuple[str, int]:
        """Return why nothing may be promised, and the most energy that may be."""
        settling = self.settling
        if self.why_not:
            return self.why_not, 0
        if settling.disk_fails:
            return "what is signed cannot be kept: the disk takes no writes", 0
        if settling.book.is_full:
            return f"{len(settling.book)} trades are open: no more can be kept track of", 0
        cover, times = self.cover(), None if lot is None else self._times(lot)
        if lot is not None and times is None:
            return "its lot has no power", 0
        wanted = Wanted(
            buyer_key=settling.purser.signer.public_key,
            battery_key=self.key,
            generation=0 if cover is None else cover.line.generation,
            units=0,
            valid_until_s=0 if times is None else times.valid_until_s,
        )
        line, promises = (None, []) if cover is None else (cover.line, cover.promises)
        why = shortfall(line, promises, wanted)
        return why, 0 if why or cover is None else self._affordable_wh(price_e4, cover.free)

    def _affordable_wh(self, price_e4: int, free: int) -> int:
        terms = self.settling.purser.terms
        if price_e4 <= 0:
            return _ENOUGH_WH
        energy_wh = floor_step(free * _UNITS // (price_e4 * terms.base_units_per_cent * (10_000 + terms.fee_bps)))
        return max(0, energy_wh)

    def _units(self, price_e4: int, energy_wh: int) -> int:
        terms = self.settling.purser.terms
        return reserve_of(price_e4 * energy_wh * terms.base_units_per_cent // 10_000_000, terms.fee_bps)

    def _times(self, lot: Offer) -> Times | None:
        if lot.power_w <= 0:
            return None
        purser = self.settling.purser
        whole_s = window_s(lot.lot_wh, lot.power_w)
        takes_s = min(whole_s, -(-whole_s // purser.time_lapse) + LAB_MARGIN_S)
        return times_for(self.settling.wall_s(), takes_s, purser.valid_for_s)

    def _tell(self, why: str) -> list[Note]:
        """Say a reason once, whatever numbers are in it, and that it is gone."""
        kind = _NUMBER.sub("", why)
        if kind == self._told:
            return []
        was, self._told = self._told, kind
        if why:
            return [Note("not_payable", {"why": why})]
        return [Note("payable", {})] if was else []

"""The trades of one session as effects: Confirm, its resends, acknowledgement, delivery and end (ETP section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.effects import Effect, Keep, Note, Send
from aggregator.trades import RESEND_MS, Move, Stage, Trade, TradeTable, window_ms
from etp.messages import Body, ReasonCode

if TYPE_CHECKING:
    from aggregator.buyer import Buyer
    from aggregator.entries import Entry
    from aggregator.payer import Payer
    from aggregator.quotes import Offer
    from aggregator.settling import Settling
    from etp.extensions import Contract, Receipt


class Deals:
    """What was agreed with one battery and is not over. Every method returns the effects to perform."""

    def __init__(self, device_id: int, buyer: Buyer, payer: Payer | None = None) -> None:
        """With a `payer` trades are settled: each has an entry in the journal."""
        self._device_id = device_id
        self._buyer = buyer
        self._payer = payer
        self._settling: Settling | None = None if payer is None else payer.settling
        self._table = TradeTable()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def is_full(self) -> bool:
        """Whether no further trade may be agreed."""
        return self._table.is_full

    def agree(
        self,
        accept: Body,
        offer: Offer | None,
        *,
        signed: bool,
        cause_ms: int,
        now_ms: int,
        entry: Entry | None = None,
    ) -> list[Effect]:
        """Confirm an Accept of what was bid, once its `entry`, if it has one, is on disk.

        `offer` is the lot it was won in, for the time the delivery may take.
        """
        trade = self._table.agree(
            accept.message_id,
            price_e4=accept.sale_price_e4,
            energy_wh=accept.energy_wh,
            power_w=-accept.power_w,
            signed=signed,
            takes_ms=window_ms(offer.lot_wh, offer.power_w) if offer else window_ms(0, 0),
            now_ms=now_ms,
        )
        note = Note("accepted", {**_named(trade), "power_w": trade.power_w})
        if entry is None:
            return [self._confirm(trade, cause_ms), note]
        self._settled(trade, entry, now_ms)
        trade.stage, trade.cause_ms = Stage.KEEPING, cause_ms
        return [Keep(entry), note]

    def resume(self, entry: Entry, *, wall_ms: int, now_ms: int) -> None:
        """Take up a trade of an earlier process: its Confirm goes out again unless its delivery was seen."""
        contract = entry.contract
        trade = self._table.agree(
            entry.key.bid_id,
            price_e4=contract.price_e4,
            energy_wh=contract.energy_wh,
            power_w=entry.power_w,
            signed=True,
            takes_ms=contract.ends_at_s * 1_000 - wall_ms,
            now_ms=now_ms,
        )
        self._settled(trade, entry, now_ms)
        if entry.seen_wh or entry.cheque.interim is not None:
            trade.stage = Stage.RUNNING
            trade.delivered_wh = entry.seen_wh

    def kept(self, keep: Keep, error: str, now_ms: int) -> list[Effect]:
        """Go on with what waited for the disk; with an `error` nothing is signed away and nothing leaves."""
        trade = self._table.get(keep.entry.key.bid_id)
        waits = trade is not None and trade.stage is Stage.KEEPING
        if trade is None or not waits:
            return [keep.answer] if keep.answer is not None and not error else []
        if not error:
            return self._go_on(trade, now_ms)
        self._table.move(trade, Move.LOST)
        if self._settling is not None:
            self._settling.book.drop(keep.entry.key)
        self._buyer.ended("", trade.bid_id, agreed_wh=trade.energy_wh, delivered_wh=0, code=0, counts=False)
        return [Note("not_confirmed", {**_named(trade), "why": f"its contract cannot be kept: {error}"})]

    def accepted_again(self, accept: Body, contract: Contract | None = None) -> list[Effect]:
        """Answer an Accept that belongs to no bid on its way: a repeated one gets its Confirm again, no other does."""
        trade = self._table.get(accept.message_id)
        if trade is not None and _is_repeated(trade, accept, contract):
            return [self._confirm(trade, None)] if trade.stage is Stage.CONFIRMING else []
        fields = {
            "bid_id": accept.message_id,
            "price_e4": accept.sale_price_e4,
            "energy_wh": accept.energy_wh,
            "why": "not bid, or given up" if trade is None else "agreed otherwise",
        }
        return [Note("not_confirmed", fields)]

    def rejected(self, who: str, reject: Body) -> list[Effect]:
        """Take in the refusal of a Confirm: there is no trade. Any other refusal here is stale."""
        trade = self._table.get(reject.message_id)
        if trade is None or self._table.move(trade, Move.REJECTED) is not Stage.ENDED:
            return []
        end = self._ended(who, trade, code=reject.termination_code, delivered_wh=0, counts=False)
        return [end, *self._voided(trade)]

    def terminated(self, who: str, terminate: Body, receipt: Receipt | None, now_ms: int) -> list[Effect]:
        """Take in the end of a trade; a final receipt is answered whenever it comes."""
        trade = self._table.get(terminate.message_id)
        effects: list[Effect] = []
        delivered_wh: int | None = None
        if receipt is not None and self._payer is not None:
            key = self._payer.key_of(terminate.message_id)
            effects += self._payer.settling.final(key, terminate, receipt, now_ms)
            delivered_wh = self._payer.settling.delivered_wh(key)
        is_void = receipt is None and terminate.termination_code == ReasonCode.NOT_CONFIRMED
        if is_void and self._payer is not None:
            effects += self._payer.settling.voided(self._payer.key_of(terminate.message_id))
        if trade is None:
            return effects
        effects += self._closed(trade, now_ms)
        was_running = trade.stage in (Stage.RUNNING, Stage.ADRIFT)
        self._table.move(trade, Move.TERMINATED)
        end = self._ended(
            who,
            trade,
            code=terminate.termination_code,
            delivered_wh=terminate.energy_wh if delivered_wh is None else delivered_wh,
            counts=was_running,
        )
        return [*effects, end]

    def status(self, status: Body, receipt: Receipt | None, now_ms: int) -> list[Effect]:
        """Take in a BESSStatus: of a trade it acknowledges the Confirm and reports the delivery."""
        trade = self._table.get(status.message_id)
        if trade is None or trade.stage is Stage.KEEPING:
            return []
        is_first = trade.stage is Stage.CONFIRMING
        self._table.move(trade, Move.ACKED)
        trade.delivered_wh = max(trade.delivered_wh, min(status.energy_wh, trade.energy_wh))
        effects: list[Effect] = []
        if trade.key is not None and self._settling is not None:
            effects += self._settling.status(trade.key, status.energy_wh, receipt, now_ms)
        if is_first:
            effects.append(Note("confirmed", _named(trade)))
        if not is_first or trade.delivered_wh:
            effects.append(Note("delivering", {**_named(trade), "delivered_wh": trade.delivered_wh}))
        return effects

    def adopt(self, other: Deals) -> None:
        """Take over the signed trades of the same battery's former place."""
        self._table.adopt(other._table)

    def link_up(self, now_ms: int) -> list[Effect]:
        """Send the Confirms that are open on a connection that can carry them."""
        self._table.link_up(now_ms)
        return self._resend(now_ms)

    def link_down(self) -> list[Effect]:
        """Note that the connection is gone."""
        return [Note("adrift", _named(trade)) for trade in self._table.link_down()]

    def tick(self, who: str, now_ms: int) -> list[Effect]:
        """Send the Confirms that are due again, and close the trades of which no word came.

        Such a trade may have been delivered and owed in full, so that is what need and budget book.
        """
        effects = self._resend(now_ms)
        for trade in self._table.windows_over(now_ms):
            effects += self._closed(trade, now_ms)
        for trade in self._table.expired(now_ms):
            effects += self._closed(trade, now_ms)
            self._table.move(trade, Move.EXPIRED)
            effects.append(self._ended(who, trade, code=None, delivered_wh=trade.energy_wh, counts=False))
        return effects

    def next_deadline(self) -> int | None:
        """Return when `tick` has something to do."""
        return self._table.next_deadline()

    def _settled(self, trade: Trade, entry: Entry, now_ms: int) -> None:
        trade.key = entry.key
        trade.contract = entry.contract.to_wire(entry.cheque.buyer_signature)
        if self._settling is not None:
            trade.ends_ms = now_ms + entry.contract.ends_at_s * 1_000 - self._settling.wall_ms()

    def _go_on(self, trade: Trade, now_ms: int) -> list[Effect]:
        """Confirm a trade whose contract is on disk."""
        self._table.move(trade, Move.KEPT)
        trade.resend_at_ms = now_ms + RESEND_MS
        cause_ms, trade.cause_ms = trade.cause_ms, None
        return [self._confirm(trade, cause_ms)]

    def _resend(self, now_ms: int) -> list[Effect]:
        """Send what is due; a trade that changed its place while its contract was written goes on here."""
        for trade in self._table:
            if trade.stage is Stage.KEEPING and trade.key is not None and self._settling is not None:
                entry = self._settling.book.get(trade.key)
                if entry is not None and self._settling.book.is_durable(trade.key):
                    self._table.move(trade, Move.KEPT)
        return [self._confirm(trade, None) for trade in self._table.due(now_ms)]

    def _confirm(self, trade: Trade, cause_ms: int | None) -> Send:
        body = Body.bid_confirm(trade.bid_id, self._device_id, price_e4=trade.price_e4, energy_wh=trade.energy_wh)
        return Send(body, cause_ms, contract=trade.contract)

    def _closed(self, trade: Trade, now_ms: int) -> list[Keep]:
        """Note what was seen of a trade of which nothing more is delivered, unless its end has been judged."""
        if trade.key is None or self._settling is None:
            return []
        return self._settling.window_over(trade.key, now_ms)

    def _voided(self, trade: Trade) -> list[Effect]:
        if trade.key is None or self._settling is None:
            return []
        return self._settling.voided(trade.key)

    def _ended(self, who: str, trade: Trade, *, code: int | None, delivered_wh: int, counts: bool) -> Note:
        booked = self._buyer.ended(
            who,
            trade.bid_id,
            agreed_wh=trade.energy_wh,
            delivered_wh=delivered_wh,
            code=code or 0,
            counts=counts,
        )
        fields = {"delivered_wh": booked.energy_wh, "assumed": code is None}
        return Note("ended", {"bid_id": trade.bid_id, "code": code, **_named(trade), **fields})


def _is_repeated(trade: Trade, accept: Body, contract: Contract | None) -> bool:
    if (trade.price_e4, trade.energy_wh) != (accept.sale_price_e4, accept.energy_wh):
        return False
    ours = trade.contract
    return ours is None or (contract is not None and contract._replace(signature=ours.signature) == ours)


def _named(trade: Trade) -> dict[str, int]:
    return {"bid_id": trade.bid_id, "price_e4": trade.price_e4, "energy_wh": trade.energy_wh}

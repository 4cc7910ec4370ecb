"""The trades of one session as effects: Confirm, its resends, acknowledgement, delivery and end (ETP section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.consent import answer_to
from aggregator.effects import Effect, Note, Send
from aggregator.trades import Move, Stage, Trade, TradeTable, window_ms
from etp.messages import Body

if TYPE_CHECKING:
    from aggregator.buyer import Buyer
    from aggregator.quotes import Offer
    from etp.extensions import Receipt


class Deals:
    """What was agreed with one battery and is not over. Every method returns the effects to perform."""

    def __init__(self, device_id: int, buyer: Buyer) -> None:
        self._device_id = device_id
        self._buyer = buyer
        self._table = TradeTable()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def is_full(self) -> bool:
        """Whether no further trade may be agreed."""
        return self._table.is_full

    def agree(self, accept: Body, offer: Offer | None, *, signed: bool, cause_ms: int, now_ms: int) -> list[Effect]:
        """Confirm an Accept of what was bid; `offer` is the lot it was won in, for the time the delivery may take."""
        trade = self._table.agree(
            accept.message_id,
            price_e4=accept.sale_price_e4,
            energy_wh=accept.energy_wh,
            power_w=-accept.power_w,
            signed=signed,
            takes_ms=window_ms(offer.lot_wh, offer.power_w) if offer else window_ms(0, 0),
            now_ms=now_ms,
        )
        note = Note(
            "accepted",
            {
                "bid_id": trade.bid_id,
                "price_e4": trade.price_e4,
                "energy_wh": trade.energy_wh,
                "power_w": trade.power_w,
            },
        )
        return [self._confirm(trade, cause_ms), note]

    def accepted_again(self, accept: Body) -> list[Effect]:
        """Answer an Accept that belongs to no bid on its way: a repeated one gets its Confirm again, no other does."""
        trade = self._table.get(accept.message_id)
        if trade is not None and (trade.price_e4, trade.energy_wh) == (accept.sale_price_e4, accept.energy_wh):
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
        return [self._ended(who, trade, code=reject.termination_code, delivered_wh=0, counts=False)]

    def terminated(self, who: str, terminate: Body, receipt: Receipt | None) -> list[Effect]:
        """Take in the end of a trade; with a Receipt, a signed buyer answers."""
        trade = self._table.get(terminate.message_id)
        if trade is None:
            return []
        was_running = trade.stage is not Stage.CONFIRMING
        self._table.move(trade, Move.TERMINATED)
        effects: list[Effect] = []
        if receipt is not None and trade.signed:
            answer = answer_to(terminate, receipt, trade, self._device_id)
            effects.append(Send(answer.body, receipt=answer.receipt))
        end = self._ended(
            who, trade, code=terminate.termination_code, delivered_wh=terminate.energy_wh, counts=was_running
        )
        return [*effects, end]

    def status(self, status: Body, receipt: Receipt | None) -> list[Effect]:
        """Take in a BESSStatus: of a trade it acknowledges the Confirm and reports the delivery."""
        trade = self._table.get(status.message_id)
        if trade is None:
            return []
        is_first = trade.stage is Stage.CONFIRMING
        self._table.move(trade, Move.ACKED)
        trade.delivered_wh = max(trade.delivered_wh, min(status.energy_wh, trade.energy_wh))
        effects: list[Effect] = []
        if receipt is not None and trade.signed:
            answer = answer_to(status, receipt, trade, self._device_id)
            effects.append(Send(answer.body, receipt=answer.receipt))
        fields = {"bid_id": trade.bid_id, "price_e4": trade.price_e4, "energy_wh": trade.energy_wh}
        if is_first:
            effects.append(Note("confirmed", fields))
        if not is_first or trade.delivered_wh:
            effects.append(Note("delivering", {**fields, "delivered_wh": trade.delivered_wh}))
        return effects

    def adopt(self, other: Deals) -> None:
        """Take over the signed trades of the same battery's former place."""
        self._table.adopt(other._table)

    def link_up(self, now_ms: int) -> list[Effect]:
        """Send the Confirms that are open on a connection that can carry them."""
        self._table.link_up(now_ms)
        return [self._confirm(trade, None) for trade in self._table.due(now_ms)]

    def link_down(self) -> list[Effect]:
        """Note that the connection is gone."""
        return [
            Note("adrift", {"bid_id": trade.bid_id, "price_e4": trade.price_e4, "energy_wh": trade.energy_wh})
            for trade in self._table.link_down()
        ]

    def tick(self, who: str, now_ms: int) -> list[Effect]:
        """Send the Confirms that are due again, and close the trades of which no word came.

        Such a trade may have been delivered and owed in full, so that is what need and budget book.
        """
        effects: list[Effect] = [self._confirm(trade, None) for trade in self._table.due(now_ms)]
        for trade in self._table.expired(now_ms):
            self._table.move(trade, Move.EXPIRED)
            end = self._ended(who, trade, code=None, delivered_wh=trade.energy_wh, counts=False)
            effects.append(end)
        return effects

    def next_deadline(self) -> int | None:
        """Return when `tick` has something to do."""
        return self._table.next_deadline()

    def _confirm(self, trade: Trade, cause_ms: int | None) -> Send:
        body = Body.bid_confirm(trade.bid_id, self._device_id, price_e4=trade.price_e4, energy_wh=trade.energy_wh)
        return Send(body, cause_ms)

    def _ended(self, who: str, trade: Trade, *, code: int | None, delivered_wh: int, counts: bool) -> Note:
        booked = self._buyer.ended(
            who,
            trade.bid_id,
            agreed_wh=trade.energy_wh,
            delivered_wh=delivered_wh,
            code=code or 0,
            counts=counts,
        )
        return Note(
            "ended",
            {
                "bid_id": trade.bid_id,
                "code": code,
                "price_e4": trade.price_e4,
                "energy_wh": trade.energy_wh,
                "delivered_wh": booked.energy_wh,
                "assumed": code is None,
            },
        )

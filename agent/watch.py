"""What happens at one battery, told three ways: an event for who listens, a figure in the metrics, a line in the log.

Nothing depends on it. Hot calls (a bid placed or refused) do no work that nobody asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent.logs import get_logger
from agent.metrics import improvement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.awards import OpenAward
    from agent.control_protocol import AlarmSnapshot
    from agent.events import EventHub
    from agent.metrics import Metrics
    from agent.pricing import Parts
    from agent.trades import Delivered, Trade
    from etp.auction import Award, Bid, Lot, LotClosed, Refuse


_CHEQUE_EVENTS: Final = frozenset({"receipt_signed", "receipt_disputed", "cheque_cashed", "trade_moved"})
"""What is told to those who listen; the rest of settlement is for the log."""


class BatteryWatch:
    """Implements `desk_ports.Watch`, and what deliveries and the owner have to tell."""

    def __init__(self, battery: str, *, hub: EventHub, metrics: Metrics, wall_ms: Callable[[], int]) -> None:
        self._battery = battery
        self._wall_ms = wall_ms
        self._hub = hub
        self._metrics = metrics
        self._figures = metrics.of(battery)
        self._log = get_logger("agent").bind(battery=battery)
        self._alarms: dict[str, AlarmSnapshot] = {}
        self.price_parts: Callable[[], dict[str, Any]] = dict
        """What a lot's reserve is made of where that is known."""

    def alarms(self) -> list[AlarmSnapshot]:
        """Return the alarms in force, the oldest first."""
        return list(self._alarms.values())

    def lot_opened(self, lot: Lot) -> None:
        """A lot is on offer."""
        fields = {
            "lot_id": lot.lot_id,
            "energy_wh": lot.energy_wh,
            "power_w": lot.power_w,
            "reserve_e4": lot.terms.reserve_e4,
            "increment_e4": lot.terms.increment_e4,
            **self.price_parts(),
        }
        self._log.info("lot opened", **fields)
        self._tell("lot_opened", fields)

    def lot_closed(self, closed: LotClosed) -> None:
        """A lot is over."""
        for figures in self._figures:
            figures.lot_closed(sold_wh=closed.sold_wh, distinct_bidders=closed.distinct_bidders)
        fields = {
            "lot_id": closed.lot_id,
            "reason": closed.reason,
            "sold_wh": closed.sold_wh,
            "unsold_wh": closed.unsold_wh,
            "bids": closed.entered,
            "distinct_bidders": closed.distinct_bidders,
            "first_acceptable_e4": closed.first_acceptable_e4,
            "increment_e4": closed.increment_e4,
        }
        self._log.info("lot closed", **fields)
        self._tell("lot_closed", fields)

    def priced(self, parts: Parts, trouble: str) -> None:
        """A dynamic reserve was worked out anew; `trouble` is why no forecast speaks."""
        fields = parts._asdict()
        self._figures[0].price = fields
        self._log.info("reserve", **fields)
        self._tell("reserve_priced", fields)
        self.alarm("forecast", trouble, raised=bool(trouble), blocks_selling=False)

    def bids_placed(self, bids: Sequence[Bid]) -> None:
        """Bids reached the auction."""
        for figures in self._figures:
            figures.bids += len(bids)
        if self._hub.listening:
            for peer, bid_id, price_e4, energy_wh, _ in bids:
                fields = {"peer": peer, "bid_id": bid_id, "price_e4": price_e4, "energy_wh": energy_wh}
                self._tell("bid_placed", fields)

    def bids_refused(self, refusals: Sequence[Refuse], waited_ms: int) -> None:
        """Bids were answered with BidReject; `waited_ms` after they were read, the time they stood included."""
        for figures in self._figures:
            figures.refused += len(refusals)
        if self._hub.listening:
            for peer, bid_id, code, beat_e4, _ in refusals:
                fields = {"peer": peer, "bid_id": bid_id, "code": int(code), "beat_e4": beat_e4}
                self._tell("bid_refused", {**fields, "waited_ms": waited_ms})

    def processed(self, bids: int, processing_ms: int) -> None:
        """Bids were decided, after so much work (`Metrics.bids_answered`)."""
        self._metrics.bids_answered(bids, processing_ms)

    def unanswered(self, frames: int) -> None:
        """Frames that wanted an answer will get none, for reasons that their connection does not know."""
        self._metrics.traffic.counts.unanswered += frames

    def awarded(self, award: Award, peers_pushed: int) -> None:
        """The auction awarded a bid."""
        for figures in self._figures:
            figures.awarded()
        gained = improvement(award.price_e4, award.reserve_e4)
        self._log.info(
            "award",
            peer=award.peer,
            bid_id=award.bid_id,
            lot_id=award.lot_id,
            price_e4=award.price_e4,
            reserve_e4=award.reserve_e4,
            first_acceptable_e4=award.first_acceptable_e4,
            distinct_bidders=award.distinct_bidders,
            peers_pushed=peers_pushed,
            energy_wh=award.energy_wh,
            power_w=award.power_w,
            improvement_e4=gained.e4,
            improvement_percent=gained.percent,
        )

    def accepted(self, award: OpenAward) -> None:
        """An Accept was handed to the kernel."""
        self._tell("bid_accepted", award.deal.to_body())

    def voided(self, award: OpenAward, code: int) -> None:
        """An award fell through."""
        for figures in self._figures:
            figures.award_voided()
        deal = award.deal
        fields = {"peer": deal.peer, "bid_id": deal.bid_id, "lot_id": deal.lot_id, "code": int(code)}
        self._log.warning("award void", **fields)
        self._tell("award_voided", fields)

    def confirmed(self, trade: Trade) -> None:
        """A trade exists."""
        for figures in self._figures:
            figures.trade_confirmed(
                price_e4=trade.price_e4,
                reserve_e4=trade.reserve_e4,
                first_acceptable_e4=trade.first_acceptable_e4,
                distinct_bidders=trade.distinct_bidders,
                energy_wh=trade.energy_wh,
            )
            figures.cheques += bool(trade.trade_id)
        fields = trade_fields(trade)
        self._log.info("trade", **fields)
        self._tell("trade_confirmed", fields)

    def delivery_started(self, trade: Trade, first_setpoint_at_ms: int) -> None:
        """The first setpoint frame for a trade is on the wire."""
        self._tell("delivery_started", {**trade_fields(trade), "first_setpoint_at_ms": first_setpoint_at_ms})

    def delivery_progress(self, trade: Trade, delivered_wh: int) -> None:
        """Energy left the battery for a trade."""
        fields = {"peer": trade.peer, "bid_id": trade.bid_id, "delivered_wh": delivered_wh}
        self._tell("delivery_progress", fields)

    def delivery_ended(self, delivered: Delivered) -> None:
        """A trade is over."""
        complete = delivered.code == 0
        for figures in self._figures:
            figures.delivery_ended(delivered_wh=delivered.delivered_wh, complete=complete)
        fields = {
            **trade_fields(delivered.trade),
            "first_setpoint_at_ms": delivered.started_at_ms,
            "ended_at_ms": delivered.ended_at_ms,
            "end_code": int(delivered.code),
            "reason": delivered.reason,
            "delivered_wh": delivered.delivered_wh,
            "derived": delivered.derived,
            "evidence": delivered.evidence.hex(),
        }
        self._log.info("delivery", **fields)
        self._tell("delivery_ended", fields)

    def cheque(self, event: str, fields: dict[str, Any]) -> None:
        """Something happened on the way of a trade to its money."""
        self._log.info(event.replace("_", " "), **fields)
        for figures in self._figures:
            figures.receipts_disputed += event == "receipt_disputed"
            if event == "cheque_cashed" and fields["stage"] != "expired":  # that one was worth nothing
                figures.cheque_cashed(settled=fields["stage"] == "settled", payout_units=fields["payout"] or 0)
        if event in _CHEQUE_EVENTS:
            self._tell(event, fields)

    def alarm(self, name: str, reason: str, *, raised: bool, blocks_selling: bool = True) -> None:
        """An alarm was raised or cleared; told once each time."""
        known = self._alarms.get(name)
        if raised and known is not None and known["reason"] == reason:
            return
        if raised:
            self._alarms[name] = {
                "battery": self._battery,
                "name": name,
                "reason": reason,
                "at_ms": self._wall_ms(),
                "blocks_selling": blocks_selling,
            }
            self._log.warning("alarm", alarm=name, reason=reason)
        elif known is None:
            return
        else:
            del self._alarms[name]
            self._log.info("alarm over", alarm=name)
        self._tell("alarm", {"alarm": name, "reason": reason, "raised": raised})

    def _tell(self, event: str, fields: dict[str, Any]) -> None:
        if self._hub.listening:
            self._hub.publish(event, battery=self._battery, **fields)


def trade_fields(trade: Trade) -> dict[str, Any]:
    """Return what a log line, an event and a snapshot say of a trade."""
    gained = improvement(trade.price_e4, trade.reserve_e4)
    return {
        "peer": trade.peer,
        "buyer": trade.buyer,
        "bid_id": trade.bid_id,
        "lot_id": trade.lot_id,
        "price_e4": trade.price_e4,
        "reserve_e4": trade.reserve_e4,
        "first_acceptable_e4": trade.first_acceptable_e4,
        "distinct_bidders": trade.distinct_bidders,
        "improvement_e4": gained.e4,
        "improvement_percent": gained.percent,
        "energy_wh": trade.energy_wh,
        "power_w": trade.power_w,
        "asked_at_ms": trade.asked_at_ms,
        "awarded_at_ms": trade.awarded_at_ms,
        "confirmed_at_ms": trade.confirmed_at_ms,
        "trade_id": trade.trade_id,
    }

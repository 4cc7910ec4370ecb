"""One battery that sells: binds device, desk, delivery, pricing and journal, and decides what is on offer.

It is the desk's `DeskPorts` and the delivery's listener. State it owns: whether and why selling is stopped, and whether
buyers have been told of a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent import energy
from agent.appraiser import Appraiser, AppraiserPorts, ForSale
from agent.desk import Desk
from agent.desk_ports import BatteryView
from agent.ends import Ends
from agent.offer import Offer, Promises, offer_of, usable
from agent.reputation import ReputationBook
from agent.seller_journal import SellerJournal
from agent.trades import Trade, window_ms_of
from etp import auction
from etp.messages import Body, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.awards import OpenAward
    from agent.cashier import Cashier
    from agent.delivery import Delivery
    from agent.delivery_ports import StopReport
    from agent.guardrails import Guardrails
    from agent.journal import Journal
    from agent.offer import SellingLimits
    from agent.pricing import DynamicTerms, OwnerReserve
    from agent.records import TradeKey
    from agent.settling import Settling
    from agent.trades import Delivered
    from agent.watch import BatteryWatch
    from drivers.device import Battery, BatteryState
    from etp.auction import Bid, LotClosed, Terms
    from etp.connection import Received
    from etp.discovery import Endpoint
    from etp.extensions import Receipt as WireReceipt
    from etp.io.link import Link
    from settlement.executor import Executor

STATUS_EVERY_S: Final = 5.0
NOT_PRICED: Final = "the reserve is being worked out"
"""Why nothing is on offer for some ms after the battery's first word."""
_ANSWER_WITHIN_MS: Final = 5_000
"""A battery that has not answered so long after the start is told to be missing."""
_SETTLE_S: Final = 2.0
"""How long a stop waits for Confirms whose records are on their way to the disk."""


class Seller:
    """One battery's business."""

    def __init__(
        self,
        *,
        battery: Battery,
        journal: Journal,
        pricing: OwnerReserve,
        limits: SellingLimits,
        rules: Guardrails,
        watch: BatteryWatch,
        terms_of: Callable[[int], Terms],
        device_id: int,
        rule: str,
        reputation_floor: int,
        time_lapse: int,
        lot_seed: Callable[[], bytes],
        wall_ms: Callable[[], int],
    ) -> None:
        self.name = battery.name
        self.journal = journal
        self.reputation = ReputationBook(score_floor=reputation_floor)
        self.watch = watch
        self._written = SellerJournal(battery.name, journal, watch=watch, wall_ms=wall_ms)
        self.lot_seed = lot_seed
        self.on_failure: Callable[[Body], None] = lambda _body: None
        self.on_offer_changed: Callable[[], None] = lambda: None
        self.on_name_free: Callable[[str, int], None] = lambda _peer, _bid_id: None
        self.on_untold: Callable[[str, Body], None] = lambda _peer, _end: None
        self._battery = battery
        self._pricing = pricing
        self._limits = limits
        self._rules = rules
        self._terms_of = terms_of
        self.device_id = device_id
        self.time_lapse = time_lapse
        self._wall_ms = wall_ms
        self.appraiser: Appraiser | None = None
        self._delivery: Delivery | None = None
        self._attached_at_ms = 0
        self._stopped: dict[str, str] = {}
        self._failing = False
        self.settling: Settling | None = None
        self._trades: dict[TradeKey, None] = {}
        self.ends = Ends()
        self._is_reconsidering = False
        self.offer = Offer(code=ReasonCode.OFFLINE, reason="the battery has not answered yet")
        self.desk = Desk(device_id=device_id, rule=rule, ports=self)

    async def wind_down(self, reason: str) -> StopReport:
        """Sell nothing more, let no award become a trade, end the deliveries, release the battery, and report."""
        self.block("stopping", reason)
        self.desk.awards.void_all(ReasonCode.WITHDRAWN)
        await self.delivery.stop_all(ReasonCode.WITHDRAWN, reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await self.desk.awards.settled()
        return await self.delivery.stop_all(ReasonCode.WITHDRAWN, reason)

    def price_by(
        self, terms: DynamicTerms, *, readers: Callable[[], Executor], rule: str, price_cap_e4: int
    ) -> Appraiser:
        """Return what prices this battery by the market from here on, and learns from its lots."""
        ports = AppraiserPorts(
            for_sale=self.for_sale,
            reached=lambda: sum(1 for _ in self.desk.buyers.registered()),
            learned=lambda seen: self._written.lot_seen(seen, terms.markup_max_e4),
            changed=self.reconsider,
            told=self.watch.priced,
            wall_ms=self._wall_ms,
        )
        self.appraiser = Appraiser(terms, ports=ports, readers=readers, rule=rule, price_cap_e4=price_cap_e4)
        self.watch.price_parts = self._price_parts
        return self.appraiser

    def _price_parts(self) -> dict[str, object]:
        if self.appraiser is None or self._pricing.set_e4 is not None:
            return {}
        parts = self.appraiser.parts(self._wall_ms())._asdict()
        del parts["reserve_e4"]  # the lot has its own
        return parts

    def for_sale(self) -> ForSale | None:
        """Return what a dynamic reserve is made for; None while the battery has not told its ratings and its charge."""
        info, limits, state = self._battery.info, self._limits, self.state()
        if info is None or state.soc_permille is None:
            return None
        usable_wh, full_wh = usable(state, info, limits)
        sold_wh = self.promises().energy_wh
        return ForSale(
            energy_wh=energy.sellable_wh(min(usable_wh, self.offer.usable_wh), full_wh, sold_wh, limits.share_permille),
            full_wh=full_wh * limits.share_permille // 1_000,
            power_w=info.rated_power_w if limits.max_power_w is None else limits.max_power_w,
            lot_wh=energy.default_lot_wh(info.rated_power_w) if limits.lot_wh is None else limits.lot_wh,
            efficiency_permille=limits.efficiency_permille,
        )

    def attach(self, delivery: Delivery) -> None:
        """Take the delivery that serves this battery's trades; both know each other from here on."""
        self._delivery = delivery
        self._attached_at_ms = self.now_ms()
        self._battery.on_change(self._battery_changed)

    @property
    def delivery(self) -> Delivery:
        """The delivery of this battery's trades."""
        if self._delivery is None:
            raise RuntimeError(f"{self.name}: no delivery attached")
        return self._delivery

    # DeskPorts

    def now_ms(self) -> int:
        """Return monotonic ms of the event loop."""
        return int(asyncio.get_running_loop().time() * 1_000)

    def lot_id(self, energy_wh: int, power_w: int, seed: bytes) -> int | None:
        """Journal a lot and return its id; None when the journal takes nothing."""
        rule = self.desk.lots.state.rule.name
        return self._written.lot_opened(self.terms(), energy_wh=energy_wh, power_w=power_w, rule=rule, seed=seed)

    def lot_over(self, closed: LotClosed) -> None:
        """Journal that a lot is over; a journal that has failed will end it at the next start."""
        self._written.lot_closed(closed)
        if self.appraiser is not None:
            self.appraiser.lot_over(closed)

    def heed(self, bids: Sequence[Bid]) -> None:
        """Learn from bids what energy is worth to buyers; while the owner's own price stands they say nothing of it."""
        if self.appraiser is not None and self._pricing.set_e4 is None:
            self.appraiser.heed(bids, self._asked)

    def _asked(self) -> tuple[int, int]:
        """Return the reserve of the open lot, and what can still be had of it (Wh)."""
        lot = auction.stats(self.desk.lots.state)
        reserve_e4 = self.terms().reserve_e4 if lot is None else lot.terms.reserve_e4
        return reserve_e4, self.desk.lots.open_lot()[0]

    def view(self) -> BatteryView:
        """Return what quotations tell of the battery."""
        state = self.state()
        info = self._battery.info
        stored_wh = state.soc_permille.value * info.capacity_wh // 1_000 if info and state.soc_permille else 0
        return BatteryView(
            uncommitted_wh=max(0, self.offer.usable_wh - self.promises().energy_wh),
            remaining_wh=stored_wh,
            voltage_mv=state.voltage_mv.value if state.voltage_mv else 0,
            health=energy.health_of(state.soh_permille.value if state.soh_permille else None),
        )

    def reconsider(self) -> None:
        """Work out what may be sold now and present it."""
        self.offer = offer_of(
            self._battery.state,
            self._battery.info,
            limits=self._limits,
            rules=self._rules,
            promises=self.promises(),
            stopped=next(iter(self._stopped.values()), ""),
            trouble=self.delivery.obstacle(),
            smallest_need_wh=self.desk.buyers.smallest_regular_need_wh(self.reputation, self.now_ms()),
            now_ms=self.now_ms(),
            unseen_wh=self.delivery.unseen_wh,
        )
        if self.appraiser is not None:
            self._appraise(self.appraiser)
        before = self.desk.lots.open_lot()
        self.desk.present(self.offer, self.terms())
        if self.desk.lots.open_lot() != before:
            self.on_offer_changed()
        self._tell_of_failure()

    def _appraise(self, appraiser: Appraiser) -> None:
        """Open no lot before the reserve is worked out, and let one that waits for bids be counted."""
        if appraiser.is_pending and self.offer.code == ReasonCode.NONE and self._pricing.set_e4 is None:
            self.offer = replace(self.offer, code=ReasonCode.NO_LOT, reason=NOT_PRICED, lot_wh=0)
        elif self._pricing.set_e4 is None and self.desk.lots.open_lot()[0]:
            appraiser.lot_waits(self._wall_ms())

    def reconsider_soon(self) -> None:
        """`reconsider` once, after everything that happens now."""
        if not self._is_reconsidering:
            self._is_reconsidering = True
            asyncio.get_running_loop().call_soon(self._reconsider_now)

    def _reconsider_now(self) -> None:
        self._is_reconsidering = False
        self.reconsider()

    def wall_ms(self) -> int:
        """Return the time of day."""
        return self._wall_ms()

    def is_trade(self, key: TradeKey) -> bool:
        """Whether a bid's name belongs to a trade that has not ended."""
        return key in self._trades

    def name_free(self, peer: str, bid_id: int) -> None:
        """An award fell through: its bid's id may be used again."""
        self.on_name_free(peer, bid_id)

    def blamed(self, buyer: str) -> None:
        """A buyer let an award or a standing bid lapse."""
        now_ms = self.now_ms()
        self._written.reputation(buyer, self.reputation.left_unconfirmed(buyer, now_ms), now_ms)

    def shielded(self, price_e4: int, until_wall_ms: int, buyer: str) -> None:
        """A standing bid was abandoned and left a shield."""
        self._written.shield(price_e4, until_wall_ms, buyer)

    def name_taken(self, peer: str, bid_id: int) -> None:
        """A bid was awarded: if its id was used before, how that ended is no news any more."""
        self.ends.known((peer, bid_id))

    def disk_late(self, *, late: bool) -> None:
        """Tell the operator that awards fall through because the disk is too slow, or no longer do."""
        words = f"{self.journal.path}: an award took too long to reach the disk; its buyer was refused"
        self.watch.alarm("journal slow", words, raised=late, blocks_selling=False)

    def tell_later(self, peer: str, end: Body) -> None:
        """An award fell through and its buyer was away, or may have been: it is told when it registers."""
        self.ends.remember(peer, end)
        self.on_untold(peer, end)

    def begin(self, award: OpenAward, confirmed_seq: int) -> None:  # noqa: ARG002 - the trade names its award
        """A trade exists: acknowledge it and deliver."""
        deal = award.deal
        trade = Trade.of_deal(
            deal,
            battery=self.name,
            award_seq=award.seq,
            confirmed_wall_ms=self._wall_ms(),
            window_ms=self._window_ms(award),
            confirmed_at_ms=award.confirmed_at_ms,
        )
        if not self.delivery.start(trade):
            self.watch.alarm("duplicate trade", f"bid {trade.bid_id} of {trade.peer} is under delivery", raised=True)
        self._trades[trade.key] = None
        self._acknowledge(award.link, trade.bid_id, 0)
        if self.settling is not None and deal.contract:
            self.settling.clerk.begin(deal)  # its buyer's reputation grows when it is paid
        else:
            self.credit(deal.buyer)
        self.watch.confirmed(trade)
        if self.appraiser is not None:
            self.appraiser.sold(deal.price_e4)
        self.reconsider()

    def _window_ms(self, award: OpenAward) -> int:
        """Return how long a delivery may take from now: not beyond the end that a contract names."""
        window_ms = window_ms_of(award.deal, self.time_lapse)
        if award.paper is None:
            return window_ms
        return max(1, min(window_ms, award.paper.contract.ends_at_s * 1_000 - self._wall_ms()))

    def credit(self, buyer: str) -> None:
        """A buyer kept its word."""
        now_ms = self.now_ms()
        self._written.reputation(buyer, self.reputation.confirmed(buyer, now_ms), now_ms)

    @property
    def cashier(self) -> Cashier | None:
        """Who judges terms and cover; None where no trade is paid on a ledger."""
        return None if self.settling is None else self.settling.cashier

    def covers(self, received: Received, price_e4: int, energy_wh: int) -> bool:
        """Whether the buyer's Line carries a bid; every bid is covered where no trade is paid on a ledger."""
        return self.settling is None or self.settling.cashier.covers(received, price_e4, energy_wh)

    def take_receipt(self, received: Received) -> bool:
        """A buyer's BESSStatus or Terminate may answer a receipt; False when it says nothing of the kind."""
        return self.settling is not None and self.settling.clerk.received(received)

    def _receipt_of(self, peer: str, end: Body) -> WireReceipt | None:
        return None if self.settling is None else self.settling.clerk.final_of((peer, end.message_id))

    def acknowledge_again(self, link: Link, received: Received) -> bool:
        """Acknowledge the Confirm of a running trade again; False when there is no such trade."""
        for active in self.delivery.active:
            trade = active.trade
            if trade.key != (received.peer, received.body.message_id):
                continue
            same = received.body.sale_price_e4 == trade.price_e4 and received.body.energy_wh == trade.energy_wh
            if same:
                self._acknowledge(link, trade.bid_id, active.delivered_wh)
            return same
        end = self.ends.get((received.peer, received.body.message_id))
        if end is not None:
            link.send(end, receipt=self._receipt_of(received.peer, end))
        return end is not None

    def remember_trade(self, key: TradeKey) -> None:
        """Take on a trade of an earlier start: its name is taken until it ends."""
        self._trades[key] = None

    def returned(self, link: Link) -> None:
        """A buyer registered: tell it what ended and what it has not said it knows."""
        for end in self.ends.of(link.peer):
            link.send(end, receipt=self._receipt_of(link.peer, end))

    def answer_datagram(self, query: Body, _source: Endpoint) -> Body:
        """Return the answer to a Query that came as a datagram."""
        return self.desk.quotation(query.message_id, "", query.energy_wh)

    def stop(self, peer: str, bid_id: int) -> None:
        """The buyer ends its delivery (it pays what was delivered), or says that it knows of an end."""
        if self.ends.known((peer, bid_id)):
            return
        self.delivery.stop(peer, bid_id, ReasonCode.NONE, "stopped by the buyer")

    # DeliveryListener

    def delivery_started(self, trade: Trade, first_setpoint_at_ms: int) -> None:
        """The first setpoint frame for a trade is on the wire."""
        self.watch.delivery_started(trade, first_setpoint_at_ms)

    def delivery_progress(self, trade: Trade, delivered_wh: int) -> None:
        """Energy left the battery for a trade."""
        self.watch.delivery_progress(trade, delivered_wh)

    def delivery_ended(self, delivered: Delivered) -> None:
        """A trade is over: tell its buyer how much it got and why it ended."""
        trade = delivered.trade
        ended = Body.terminate(trade.bid_id, self.device_id, code=delivered.code, delivered_wh=delivered.delivered_wh)
        self._trades.pop(trade.key, None)
        receipt = None if self.settling is None else self.settling.clerk.ended(delivered)
        if trade.signer is not None:
            self.ends.remember(trade.peer, ended)
        for link in self.desk.links_of(trade.peer):
            link.send(ended, receipt=receipt)
        self.on_name_free(*trade.key)
        self.watch.delivery_ended(delivered)
        self.reconsider()

    def delivery_alarm(self, name: str, reason: str, *, raised: bool, blocks_selling: bool) -> None:
        """The battery did not do what it was told, or does again; `Delivery.obstacle` says what that forbids."""
        self.watch.alarm(name, reason, raised=raised, blocks_selling=blocks_selling)
        self.reconsider()

    # the owner

    def block(self, cause: str, reason: str) -> None:
        """Stop selling for a named cause; confirmed trades go on."""
        if cause not in self._stopped:
            self._stopped[cause] = reason
            self.watch.alarm(cause, reason, raised=True)
        self.reconsider()

    def unblock(self, cause: str) -> None:
        """A cause to stop selling has gone."""
        if self._stopped.pop(cause, None) is not None:
            self.watch.alarm(cause, "", raised=False)
        self.reconsider()

    @property
    def stopped(self) -> dict[str, str]:
        """Why selling is stopped: cause and words for people."""
        return dict(self._stopped)

    def promises(self) -> Promises:
        """Return what open awards and running trades still owe."""
        awards = self.desk.awards
        return Promises(
            energy_wh=awards.energy_wh + self.delivery.committed_wh,
            power_w=awards.power_w + self.delivery.granted_w + self.delivery.baseline_w,
        )

    async def report(self) -> None:
        """Send BESSStatus every 5 s to the buyers of running trades and to those who registered (ETP section 7)."""
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            for active in self.delivery.active:
                for link in self.desk.links_of(active.trade.peer):
                    self._acknowledge(link, active.trade.bid_id, active.delivered_wh)
            self.desk.broadcast(lambda message_id: self.status(message_id, 0), registered_only=True)

    def _acknowledge(self, link: Link, bid_id: int, delivered_wh: int) -> None:
        link.send(self.status(bid_id, delivered_wh))
        link.flush()

    def status(self, message_id: int, delivered_wh: int) -> Body:
        """Return a BESSStatus, of a trade by its bid's id."""
        view = self.view()
        power = self.state().power_w
        return Body.bess_status(
            message_id,
            self.device_id,
            delivered_wh=delivered_wh,
            remaining_wh=view.remaining_wh,
            health=view.health,
            voltage_mv=view.voltage_mv,
            power_w=power.value if power else 0,
        )

    def _battery_changed(self, _state: BatteryState) -> None:
        self.reconsider()

    def _tell_of_failure(self) -> None:
        """DeviceFailure goes out once when a fault or loss begins (ETP section 7)."""
        failing = bool(self.offer.failing)
        if failing == self._failing:
            return
        if self._battery.info is None and self.now_ms() - self._attached_at_ms < _ANSWER_WITHIN_MS:
            return
        self._failing = failing
        self.watch.alarm("battery", self.offer.failing, raised=failing)
        if failing:
            self.desk.broadcast(lambda message_id: Body.device_failure(message_id, self.device_id))
            self.on_failure(Body.device_failure(self.desk.next_id(), self.device_id))

    def state(self) -> BatteryState:
        """Return what is known of the battery now, stale values left out."""
        return self._battery.state.fresh(self.now_ms(), self._rules.state_age_max_ms)

    def terms(self) -> Terms:
        """Return the terms a lot would open with now."""
        soc = self.state().soc_permille
        return self._terms_of(self._pricing.reserve_e4(soc.value if soc else None, self._wall_ms()))

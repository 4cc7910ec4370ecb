"""The book of the demo: takes in what agents, batteries and buyers tell, and knows the market at every moment.

Pure: no socket and no clock. Every message is handed in with what it needs; unknown messages change nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

from cli.demo_stage.metering import Reading, Span, attribute
from cli.demo_stage.payments import Payment, Payments
from cli.demo_stage.records import Buyer, Lot, Site, Trade
from cli.demo_stage.tally import Tally
from etp.latency import LatencyHistogram
from etp.messages import MessageType
from etp.timing import LIMIT_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cli.demo_stage.payments import Balances
    from cli.demo_stage.scene import BuyerScene, SiteScene
    from settlement.program.history import Happened

LOTS_KEPT: Final = 500
BIDS_KEPT: Final = 20_000
_OURS: Final = frozenset({"owner", "stopping"})
"""Alarms that say no more than that selling was stopped on purpose."""
READINGS_KEPT: Final = 20_000
TRADES_KEPT: Final = 2_000
SOLD: Final = "sold"
"""Why a lot closes whose last energy was awarded."""
IDLE_MS: Final = 2_000
"""How far back readings are kept while nobody buys: the news of a trade takes less time than this."""


class Book:
    """The market. `wall_offset_ms` is wall clock minus monotonic clock."""

    def __init__(self, sites: Iterable[SiteScene], buyers: Iterable[BuyerScene], *, wall_offset_ms: int = 0) -> None:
        self.sites = {
            site.name: Site(
                name=site.name,
                capacity_wh=site.capacity_wh,
                power_w=site.power_w,
                floor_permille=site.floor_percent * 10,
            )
            for site in sites
        }
        self.buyers = {buyer.name: Buyer(name=buyer.name, strategy=buyer.strategy) for buyer in buyers}
        self.lots: OrderedDict[tuple[str, int], Lot] = OrderedDict()
        self.trades: OrderedDict[tuple[str, str, int], Trade] = OrderedDict()
        self.answers = LatencyHistogram(LIMIT_MS[MessageType.BID])
        self.slowest_answer_ms = 0
        self.news = ""
        """The latest alarm, in words."""
        self.tally = Tally()
        self.payments = Payments()
        self.on_change: Callable[[], None] = lambda: None
        """Called after everything that was taken in."""
        self.on_finished: Callable[[Trade], None] = lambda _trade: None
        """Called with every trade that is over and metered."""
        self.on_payment: Callable[[Trade, Payment], None] = lambda _trade, _payment: None
        """Called whenever the ledger has moved a trade."""
        self.on_news: Callable[[str], None] = lambda _text: None
        """Called with every alarm, in words."""
        self._wall_offset_ms = wall_offset_ms
        self._names: dict[str, str] = {}
        self._asked: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._readings: dict[str, deque[Reading]] = {name: deque(maxlen=READINGS_KEPT) for name in self.sites}
        self._unmetered: dict[str, list[Trade]] = {name: [] for name in self.sites}
        self._handlers: dict[str, Callable[[Site, dict[str, Any]], None]] = {
            "lot_opened": self._lot_opened,
            "bid_placed": self._bid_placed,
            "bid_refused": self._bid_refused,
            "bid_accepted": self._bid_accepted,
            "trade_confirmed": self._trade_confirmed,
            "delivery_started": self._delivery_started,
            "delivery_ended": self._delivery_ended,
            "lot_closed": self._lot_closed,
            "alarm": self._alarm,
            "dropped": self._dropped,
        }

    def introduce(self, names: Mapping[str, str]) -> None:
        """Tell which buyer each peer is."""
        self._names.update(names)

    # what is known

    @property
    def confirmed(self) -> int:
        """How many trades exist."""
        return self.tally.trades

    @property
    def is_settled(self) -> bool:
        """Whether every trade is over and metered."""
        return all(trade.metered_wh is not None for trade in self.trades.values())

    @property
    def is_paid(self) -> bool:
        """Whether every trade for which energy flowed is over on the ledger."""
        delivered = (trade for trade in self.trades.values() if trade.delivered_wh)
        return all(self.payments.promised(trade.trade_id).is_settled for trade in delivered)

    def current_lot(self, battery: str) -> Lot | None:
        """Return the latest lot of a battery."""
        return next((lot for key, lot in reversed(self.lots.items()) if key[0] == battery), None)

    def is_offering(self, battery: str) -> bool:
        """Whether a battery has a lot that may still become a trade: open, or awarded and not confirmed yet."""
        lot = self.current_lot(battery)
        return lot is not None and (not lot.closed or (lot.closed == SOLD and not lot.winner))

    def running(self, battery: str) -> list[Trade]:
        """Return the trades of a battery that are under delivery."""
        return [trade for trade in self._unmetered[battery] if trade.ended_at_ms is None]

    def delivered_wh(self, trade: Trade) -> int:
        """Return what a trade has received so far, as its agent shows it."""
        if trade.delivered_wh is not None:
            return trade.delivered_wh
        for delivery in self.sites[trade.battery].snapshot.get("deliveries", ()):
            if (delivery["peer"], delivery["bid_id"]) == (trade.peer, trade.bid_id):
                return int(delivery["delivered_wh"])
        return 0

    def name_of(self, peer: str) -> str:
        """Return the aggregator behind a peer, or the peer itself when it is nobody of this market."""
        return self._names.get(peer, peer)

    def answer_ms(self, quantile: float) -> int:
        """Return what a share of the answers took at most; buckets are coarse, so never more than the slowest took."""
        return min(self.answers.percentile(quantile), self.slowest_answer_ms)

    @property
    def waiting_bids(self) -> int:
        """How many bids have no answer yet, as their buyers see it."""
        return len(self._asked)

    # what agents tell

    def agent_event(self, battery: str, event: dict[str, Any]) -> None:
        """Take in an event of a control socket."""
        handler = self._handlers.get(event["event"])
        if handler is not None:
            handler(self.sites[battery], event)
            self.on_change()

    def agent_snapshot(self, battery: str, site: dict[str, Any]) -> None:
        """Take in a look at one agent; a lot that opened before anybody listened is noted."""
        seen = self.sites[battery]
        (mine,) = site["batteries"]
        seen.snapshot = {**mine, "metrics": site["metrics"]}
        seen.endpoint = mine["endpoint"]
        if (lot := mine["lot"]) is not None:
            if (battery, lot["lot_id"]) not in self.lots:
                self._lot_opened(seen, {**lot, "at_ms": site["at_ms"]})
            known = self.lots[battery, lot["lot_id"]]
            known.beat_e4, known.reserve_e4 = lot["price_to_beat_e4"], lot["reserve_e4"]
        self.on_change()

    # what the ledger tells

    def ledger_event(self, happened: Happened) -> None:
        """Take in a transaction of the settlement program."""
        for payment in self.payments.take(happened):
            trade = next((one for one in reversed(self.trades.values()) if one.trade_id == payment.trade_id), None)
            if trade is not None:
                self.on_payment(trade, payment)
        self.on_change()

    def ledger_balances(self, balances: Balances) -> None:
        """Take in what lies where."""
        self.payments.balances = balances
        self.payments.first = self.payments.first or balances
        self.on_change()

    # what batteries tell

    def truth(self, battery: str, truth: dict[str, Any]) -> None:
        """Take in the truth of a simulated battery, and meter the trades that are over."""
        at_ms = truth["at_ms"]
        site = self.sites[battery]
        site.truth = truth
        site.soc_least_permille = min(site.soc_least_permille, truth["soc_permille"])
        readings = self._readings[battery]
        flowing = bool(readings) and truth["discharged_wh"] > readings[-1].discharged_wh
        readings.append(Reading(at_ms, truth["discharged_wh"]))
        trades = self._unmetered[battery]
        if trades and not flowing and all(t.ended_at_ms is not None and t.ended_at_ms < at_ms for t in trades):
            self._meter(trades, readings)
        elif not trades:
            while len(readings) > 1 and readings[1].at_ms < at_ms - IDLE_MS:
                readings.popleft()
        self.on_change()

    # what buyers tell

    def buyer_line(self, name: str, line: dict[str, Any]) -> None:
        """Take in an event line of an aggregator."""
        buyer = self.buyers[name]
        match line.get("event"):
            case "bid":
                buyer.bids += 1
                _remember(self._asked, (name, line["bid_id"]), line["at_ms"], BIDS_KEPT)
            case "refused":
                buyer.refused += 1
                self._answered(name, line)
            case "accepted":
                self._answered(name, line)
            case "unanswered":
                buyer.unanswered += 1
                self._asked.pop((name, line["bid_id"]), None)
            case "ended":
                self._buyer_ended(name, line)
        self.on_change()

    def _answered(self, name: str, line: dict[str, Any]) -> None:
        asked_ms = self._asked.pop((name, line["bid_id"]), None)
        if asked_ms is not None:
            took_ms = line["at_ms"] - asked_ms
            self.answers.record(took_ms)
            self.slowest_answer_ms = max(self.slowest_answer_ms, took_ms)

    def _buyer_ended(self, name: str, line: dict[str, Any]) -> None:
        for trade in reversed(self.trades.values()):
            if trade.bid_id == line["bid_id"] and trade.aggregator == name:
                trade.buyer_wh = line["delivered_wh"]
                return

    # events of agents, one by one

    def _lot_opened(self, site: Site, event: dict[str, Any]) -> None:
        if (known := self.lots.get((site.name, event["lot_id"]))) is not None:
            known.energy_wh, known.power_w = event["energy_wh"], event["power_w"]
            return
        lot = Lot(
            battery=site.name,
            lot_id=event["lot_id"],
            energy_wh=event["energy_wh"],
            power_w=event["power_w"],
            reserve_e4=event["reserve_e4"],
            beat_e4=event["reserve_e4"],
        )
        site.lots += 1
        _remember(self.lots, (site.name, lot.lot_id), lot, LOTS_KEPT)

    def _bid_placed(self, site: Site, event: dict[str, Any]) -> None:
        lot = self.current_lot(site.name)
        if lot is None or lot.closed:
            return
        lot.bids += 1
        lot.bidders.add(event["peer"])
        lot.ladder.append((event["peer"], event["price_e4"]))
        if lot.first_acceptable_e4 is None and event["price_e4"] >= lot.reserve_e4:
            lot.first_acceptable_e4 = event["price_e4"]

    def _bid_refused(self, site: Site, event: dict[str, Any]) -> None:
        lot = self.current_lot(site.name)
        if lot is not None and not lot.closed:
            lot.beat_e4 = max(lot.beat_e4 or 0, event["beat_e4"])

    def _bid_accepted(self, site: Site, event: dict[str, Any]) -> None:
        site.accepts.add((event["peer"], event["bid_id"]))

    def _trade_confirmed(self, site: Site, event: dict[str, Any]) -> None:
        name = self.name_of(event["peer"])
        trade = Trade(
            battery=site.name,
            aggregator=name,
            peer=event["peer"],
            bid_id=event["bid_id"],
            lot_id=event["lot_id"],
            price_e4=event["price_e4"],
            reserve_e4=event["reserve_e4"],
            first_acceptable_e4=event["first_acceptable_e4"],
            bidders=event["distinct_bidders"],
            energy_wh=event["energy_wh"],
            power_w=event["power_w"],
            asked_at_ms=event["asked_at_ms"],
            awarded_at_ms=event["awarded_at_ms"],
            confirmed_at_ms=event["confirmed_at_ms"],
            on_disk_at_ms=max(event["confirmed_at_ms"], event["at_ms"] - self._wall_offset_ms),
            trade_id=event["trade_id"],
        )
        self.tally.confirmed(trade)
        self._unmetered[site.name].append(trade)
        _remember(self.trades, (site.name, trade.peer, trade.bid_id), trade, TRADES_KEPT)
        buyer = self.buyers.get(name)
        if buyer is not None:
            buyer.won += 1
            buyer.bought_wh += trade.energy_wh
            buyer.spent += trade.price_e4 * trade.energy_wh
        if (lot := self.lots.get((site.name, trade.lot_id))) is not None:
            lot.winner, lot.price_e4, lot.reserve_e4 = name, trade.price_e4, trade.reserve_e4
            lot.sold_wh += trade.energy_wh

    def _delivery_started(self, site: Site, event: dict[str, Any]) -> None:
        if (trade := self._trade_of(site, event)) is not None:
            trade.first_setpoint_at_ms = event["first_setpoint_at_ms"]

    def _delivery_ended(self, site: Site, event: dict[str, Any]) -> None:
        if (trade := self._trade_of(site, event)) is None:
            return
        trade.first_setpoint_at_ms = event["first_setpoint_at_ms"]
        trade.ended_at_ms = event["ended_at_ms"]
        trade.end_code = event["end_code"]
        trade.end_reason = event["reason"]
        trade.delivered_wh = event["delivered_wh"]
        trade.derived = event["derived"]
        self.tally.ended(event["delivered_wh"])
        if trade.first_setpoint_at_ms is None:  # never commanded: nothing flowed for it
            trade.metered_wh = 0.0
            self._unmetered[site.name].remove(trade)
            self.on_finished(trade)

    def _lot_closed(self, site: Site, event: dict[str, Any]) -> None:
        lot = self.lots.get((site.name, event["lot_id"]))
        if lot is not None:
            lot.closed = event["reason"]
            lot.first_acceptable_e4 = event["first_acceptable_e4"]

    def _alarm(self, site: Site, event: dict[str, Any]) -> None:
        if event["raised"] and event["alarm"] not in _OURS:
            site.alarms.append(f"{event['alarm']}: {event['reason']}")
            self.news = f"{site.name}: alarm {event['alarm']}: {event['reason']}"
            self.on_news(self.news)

    def _dropped(self, site: Site, event: dict[str, Any]) -> None:
        site.events_lost += event["n"]

    # helpers

    def _trade_of(self, site: Site, event: dict[str, Any]) -> Trade | None:
        return self.trades.get((site.name, event["peer"], event["bid_id"]))

    def _meter(self, trades: list[Trade], readings: deque[Reading]) -> None:
        spans = [Span(trade.first_setpoint_at_ms or 0, trade.ended_at_ms or 0, trade.power_w) for trade in trades]
        for trade, energy_wh in zip(trades, attribute(list(readings), spans), strict=True):
            trade.metered_wh = energy_wh
            self.on_finished(trade)
        trades.clear()
        while len(readings) > 1:
            readings.popleft()


def _remember(table: OrderedDict[Any, Any], key: object, value: object, limit: int) -> None:
    """Put something into a bounded table; the oldest goes."""
    table[key] = value
    while len(table) > limit:
        table.popitem(last=False)

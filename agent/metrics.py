"""Figures in memory: how much competition there was, what it brought, and how fast and complete the answers were.

Only totals are kept, so memory stays constant. An improvement is what the price is above the reserve (or above the
first acceptable bid), in 1/10 000 c/kWh and in per cent; the per cent are None where the reserve is 0. A lot counts
"with competition" with at least two distinct bidders (ETP section 6, rule 8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from etp.latency import LatencyHistogram
from etp.messages import MessageType
from etp.timing import LIMIT_MS
from etp.traffic import Traffic

COMPETITION_BIDDERS: Final = 2
UNANSWERED_TARGET: Final = 0.01


class Improvement(NamedTuple):
    """A price against a base price: the difference, and in per cent of the base (None where the base is 0)."""

    e4: int
    percent: float | None


def improvement(price_e4: int, base_e4: int) -> Improvement:
    """Return what a price is above a base price."""
    gained_e4 = price_e4 - base_e4
    return Improvement(gained_e4, round(100 * gained_e4 / base_e4, 2) if base_e4 else None)


@dataclass(slots=True)
class _Mean:
    """Sum, number and largest of some figures."""

    total: float = 0
    count: int = 0
    best: float | None = None

    def add(self, figure: float) -> None:
        self.total += figure
        self.count += 1
        self.best = figure if self.best is None else max(self.best, figure)

    def average(self) -> float | None:
        return round(self.total / self.count, 2) if self.count else None


@dataclass(slots=True)
class _Gains:
    """Improvements of one kind of trade: with one bidder, or with several."""

    e4: _Mean = field(default_factory=_Mean)
    percent: _Mean = field(default_factory=_Mean)
    over_first_e4: _Mean = field(default_factory=_Mean)

    def add(self, price_e4: int, reserve_e4: int, first_acceptable_e4: int) -> None:
        gained = improvement(price_e4, reserve_e4)
        self.e4.add(gained.e4)
        if gained.percent is not None:
            self.percent.add(gained.percent)
        self.over_first_e4.add(price_e4 - first_acceptable_e4)

    def summary(self) -> dict[str, Any]:
        return {
            "trades": self.e4.count,
            "average_improvement_e4": self.e4.average(),
            "best_improvement_e4": self.e4.best,
            "average_improvement_percent": self.percent.average(),
            "best_improvement_percent": self.percent.best,
            "average_over_first_acceptable_e4": self.over_first_e4.average(),
        }


@dataclass(slots=True)
class Competition:
    """Lots, trades and improvements of one battery or of all of them."""

    lots: int = 0
    lots_sold: int = 0
    lots_with_competition: int = 0
    bidders: int = 0
    bids: int = 0
    refused: int = 0
    awards: int = 0
    voided: int = 0
    trades: int = 0
    deliveries: int = 0
    deliveries_complete: int = 0
    agreed_wh: int = 0
    delivered_wh: int = 0
    revenue: int = 0  # price_e4 x Wh of confirmed trades
    cheques: int = 0
    cheques_cashed: int = 0
    cheques_lost: int = 0
    receipts_disputed: int = 0
    paid_units: int = 0
    """What the ledger has paid since the start, in base units of the mint."""
    price: dict[str, Any] | None = None
    """The parts of a battery's dynamic reserve when it was last worked out; None without one, and of all together."""
    one_bidder: _Gains = field(default_factory=_Gains)
    several_bidders: _Gains = field(default_factory=_Gains)

    def lot_closed(self, *, sold_wh: int, distinct_bidders: int) -> None:
        """Count a lot that is over."""
        self.lots += 1
        self.lots_sold += sold_wh > 0
        self.lots_with_competition += distinct_bidders >= COMPETITION_BIDDERS
        self.bidders += distinct_bidders

    def bid_placed(self) -> None:
        """Count a bid that reached the auction."""
        self.bids += 1

    def bid_refused(self) -> None:
        """Count a bid that was answered with BidReject."""
        self.refused += 1

    def awarded(self) -> None:
        """Count an award, confirmed or not."""
        self.awards += 1

    def award_voided(self) -> None:
        """Count an award that fell through."""
        self.voided += 1

    def trade_confirmed(
        self, *, price_e4: int, reserve_e4: int, first_acceptable_e4: int, distinct_bidders: int, energy_wh: int
    ) -> None:
        """Count a trade with what it brought."""
        self.trades += 1
        self.agreed_wh += energy_wh
        self.revenue += price_e4 * energy_wh
        gains = self.several_bidders if distinct_bidders >= COMPETITION_BIDDERS else self.one_bidder
        gains.add(price_e4, reserve_e4, first_acceptable_e4)

    def delivery_ended(self, *, delivered_wh: int, complete: bool) -> None:
        """Count a delivery that is over; `complete` = it ended with code 0."""
        self.deliveries += 1
        self.deliveries_complete += complete
        self.delivered_wh += delivered_wh

    def cheque_cashed(self, *, settled: bool, payout_units: int) -> None:
        """Count a trade that the ledger has paid, or never will."""
        self.cheques_cashed += settled
        self.cheques_lost += not settled
        self.paid_units += payout_units

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON; every rate and average is None while there is nothing to divide by."""
        return {
            "lots": self.lots,
            "lots_with_competition": self.lots_with_competition,
            "average_distinct_bidders": _share(self.bidders, self.lots),
            "success_rate": _share(self.lots_sold, self.lots),
            "bids": self.bids,
            "refused": self.refused,
            "awards": self.awards,
            "voided": self.voided,
            "trades": self.trades,
            "confirm_rate": _share(self.trades, self.trades + self.voided),
            "deliveries": self.deliveries,
            "complete_rate": _share(self.deliveries_complete, self.deliveries),
            "agreed_wh": self.agreed_wh,
            "delivered_wh": self.delivered_wh,
            "average_price_e4": round(self.revenue / self.agreed_wh) if self.agreed_wh else None,
            "cheques": self.cheques,
            "cheques_cashed": self.cheques_cashed,
            "cheques_lost": self.cheques_lost,
            "receipts_disputed": self.receipts_disputed,
            "paid_units": self.paid_units,
            "one_bidder": self.one_bidder.summary(),
            "several_bidders": self.several_bidders.summary(),
            "reserve_parts": self.price,
        }


@dataclass(slots=True)
class Metrics:
    """Every figure of one agent: the competition of each battery and of all, and the answers on the wire."""

    batteries: dict[str, Competition] = field(default_factory=dict)
    bid_ms: LatencyHistogram = field(default_factory=lambda: LatencyHistogram(LIMIT_MS[MessageType.BID]))
    traffic: Traffic = field(default_factory=Traffic)
    """What all connections of all batteries count: the agent asks how late it is, not how late each link is."""
    total: Competition = field(default_factory=Competition)

    def of(self, battery: str) -> tuple[Competition, Competition]:
        """Return the figures of one battery (created when first asked for) and of all: count in both."""
        return self.batteries.setdefault(battery, Competition()), self.total

    def bids_answered(self, bids: int, processing_ms: int) -> None:
        """Count how long bids were worked on, each of them once.

        From the moment that the loop could have read a bid's last byte until the desk judged it, and from what decided
        it (a better bid, its time being up, the battery's offer) until its answer was handed over. The time in between,
        while it stood in the auction, is not work.
        """
        self.bid_ms.record(processing_ms, bids)

    def summary(self) -> dict[str, Any]:
        """Return everything as JSON."""
        counts = self.traffic.counts
        unanswered = counts.unanswered / counts.received if counts.received else 0.0
        return {
            "total": self.total.summary(),
            "batteries": {name: competition.summary() for name, competition in self.batteries.items()},
            "bid_processing_ms": {
                "count": self.bid_ms.count,
                "p50": self.bid_ms.percentile(0.50),
                "p99": self.bid_ms.percentile(0.99),
                "worst": self.bid_ms.percentile(1.0),
                "late": self.bid_ms.late,
            },
            "frames": {
                "received": counts.received,
                "unanswered": counts.unanswered,
                "unanswered_share": round(unanswered, 6),
                "target_share": UNANSWERED_TARGET,
                "ok": unanswered < UNANSWERED_TARGET if counts.received else None,
            },
            **self.traffic.summary(),
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None

"""What a run of the demo comes to: totals, invariants, and the JSON that holds them. Pure."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from agent.metrics import COMPETITION_BIDDERS, improvement
from cli.demo_stage.invariants import check
from cli.demo_stage.payments import money
from cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.demo_stage.evidence import Evidence
    from cli.demo_stage.records import Trade

VERSION: Final = 1
_BASES: Final = {"reserve": "reserve", "first_acceptable": "first bid that met the reserve"}


class Report:
    """A finished run, judged."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        found = check(evidence)
        self.invariants = {name: not against for name, against in found.items()}
        self.broken = {name: against for name, against in found.items() if against}
        self.totals = totals(evidence)

    @property
    def ok(self) -> bool:
        """Whether every invariant held."""
        return not self.broken

    def as_json(self) -> dict[str, Any]:
        """Return the whole report."""
        return {
            "version": VERSION,
            "trades": [self._trade(trade) for trade in self.evidence.trades],
            "totals": self.totals,
            "invariants": self.invariants,
            "broken": self.broken,
        }

    def _trade(self, trade: Trade) -> dict[str, Any]:
        payment = self.evidence.payments.known.get(trade.trade_id)
        return {**trade.as_json(), "settlement": None if payment is None else payment.as_json()}

    def lines(self) -> list[str]:
        """Return the report for people."""
        held = sum(self.invariants.values())
        lines = [*self.totals_lines(), f"{held} of {len(self.invariants)} invariants held"]
        return lines + [f"BROKEN {name}: {text}" for name, found in self.broken.items() for text in found[:5]]

    def totals_lines(self) -> list[str]:
        """Return what was traded, for people."""
        found = self.totals
        if not found["trades"]:
            return [_headline(found)]
        return [
            _headline(found),
            _gain_line("reserve", found),
            _gain_line("first_acceptable", found),
            *_speed_lines(found),
            *_money_lines(found["settlement"]),
        ]


def totals(evidence: Evidence) -> dict[str, Any]:
    """Return the figures of a run; averages are null without trades."""
    trades = evidence.trades
    energy_wh = sum(trade.delivered_wh or 0 for trade in trades)
    agreed_wh = sum(trade.energy_wh for trade in trades)
    return {
        "trades": len(trades),
        "trades_with_competition": _several(trades),
        "trades_without_competition": len(trades) - _several(trades),
        "lots": sum(site.lots for site in evidence.sites),
        "agreed_wh": agreed_wh,
        "energy_wh": energy_wh,
        "metered_wh": round(sum(trade.metered_wh or 0.0 for trade in trades), 3),
        "revenue_c": round(sum(t.price_e4 * (t.delivered_wh or 0) for t in trades) / 10_000_000, 4),
        "average_price_e4": round(sum(t.price_e4 * t.energy_wh for t in trades) / agreed_wh) if agreed_wh else None,
        **_gains("reserve", trades, [trade.reserve_e4 for trade in trades]),
        **_gains("first_acceptable", trades, [trade.first_acceptable_e4 for trade in trades]),
        "bids": sum(buyer.bids for buyer in evidence.buyers),
        "bid_answer_ms": {
            "count": evidence.bids_answered,
            "p50": evidence.answer_p50_ms,
            "p99": evidence.answer_p99_ms,
            "worst": evidence.slowest_answer_ms,
            "late": evidence.bids_late,
        },
        "bid_processing_ms": _processing(evidence),
        "accept_ms_worst": _worst(t.awarded_at_ms - t.asked_at_ms for t in trades),
        "setpoint_ms_worst": _worst(
            t.first_setpoint_at_ms - t.on_disk_at_ms for t in trades if t.first_setpoint_at_ms is not None
        ),
        "metered_off_wh_worst": round(
            max((abs((t.metered_wh or 0.0) - (t.delivered_wh or 0)) for t in trades), default=0.0), 3
        ),
        "alarms": [f"{site.name}: {text}" for site in evidence.sites for text in site.alarms],
        "buyers": {
            buyer.name: {"strategy": buyer.strategy, "bids": buyer.bids, "trades": buyer.won, "wh": buyer.bought_wh}
            for buyer in evidence.buyers
        },
        "discovery": evidence.discovery,
        "settlement": _settlement(evidence),
        "duration_s": round(evidence.duration_ms / 1_000, 3),
    }


def _headline(found: dict[str, Any]) -> str:
    energy = f"{found['energy_wh'] / 1_000:.1f} kWh in {found['duration_s']:.0f} s"
    price = f", average price {_cents(found['average_price_e4'])} c/kWh" if found["trades"] else ""
    return f"{counted(found['trades'], 'trade')}, {found['trades_with_competition']} with competition, {energy}{price}"


def _gain_line(base: str, found: dict[str, Any]) -> str:
    percent = found[f"average_over_{base}_percent"]
    share = "" if percent is None else f" ({percent:+.1f} %)"
    best = _cents(found[f"best_over_{base}_e4"])
    return f"over the {_BASES[base]}: {_cents(found[f'average_over_{base}_e4'])} c/kWh{share}, {best} at best"


def _speed_lines(found: dict[str, Any]) -> list[str]:
    answer = found["bid_answer_ms"]
    took = f"p50 {answer['p50']} ms, p99 {answer['p99']} ms, slowest {answer['worst']} ms"
    return [
        f"{counted(answer['count'], 'bid')} answered: {took}",
        f"Confirm on disk to first setpoint: at most {found['setpoint_ms_worst']} ms",
        f"delivered and counter differ by at most {found['metered_off_wh_worst']:.2f} Wh a trade",
    ]


def _settlement(evidence: Evidence) -> dict[str, Any]:
    """Return the ledger's side: money in base units, balances as they were at the end."""
    payments = evidence.payments
    settled = [payment for payment in payments.known.values() if payment.is_settled]
    balances = payments.balances
    return {
        "settled": payments.settled,
        "claimed": payments.claimed,
        "disputed": payments.disputed,
        "payout": payments.payout,
        "fee": payments.fee,
        "units_per_trade": round(fmean(payment.units for payment in settled)) if settled else None,
        "units_worst": max((payment.units for payment in settled), default=None),
        "paid": {} if balances is None else {site.name: balances.tokens[site.name] for site in evidence.sites},
        "wallets": {} if balances is None else balances.tokens,
        "lamports": {} if balances is None else balances.lamports,
        "lines": {} if balances is None else {f"{buyer} to {site}": n for (buyer, site), n in balances.lines.items()},
        "vaults": {} if balances is None else balances.vaults,
    }


def _money_lines(found: dict[str, Any]) -> list[str]:
    if not found["settled"]:
        return []
    cases = f"{found['claimed']} of them claimed, {found['disputed']} disputed"
    wallets = ", ".join(f"{site} {money(units)}" for site, units in found["paid"].items())
    return [
        f"{counted(found['settled'], 'trade')} settled, {cases}, {found['units_per_trade']} CU each",
        f"{money(found['payout'])} USDC paid, {money(found['fee'])} in fees: {wallets}",
    ]


def _several(trades: list[Trade]) -> int:
    return sum(trade.bidders >= COMPETITION_BIDDERS for trade in trades)


def _gains(base: str, trades: list[Trade], bases_e4: list[int]) -> dict[str, Any]:
    found = [improvement(trade.price_e4, base_e4) for trade, base_e4 in zip(trades, bases_e4, strict=True)]
    percent = [gain.percent for gain in found if gain.percent is not None]
    return {
        f"average_over_{base}_e4": round(fmean(gain.e4 for gain in found), 1) if found else None,
        f"average_over_{base}_percent": round(fmean(percent), 2) if percent else None,
        f"best_over_{base}_e4": max((gain.e4 for gain in found), default=None),
    }


def _processing(evidence: Evidence) -> dict[str, int]:
    """Return the agents' own figures: all bids counted, the worst of their percentiles."""
    figures = [metrics["bid_processing_ms"] for metrics in evidence.metrics.values()]
    return {
        "count": sum(figure["count"] for figure in figures),
        **{name: max((figure[name] for figure in figures), default=0) for name in ("p50", "p99", "worst")},
        "late": sum(figure["late"] for figure in figures),
    }


def _worst(took_ms: Iterable[int]) -> int:
    return max(took_ms, default=0)


def _cents(price_e4: float) -> str:
    return f"{price_e4 / 10_000:.2f}"

"""The demo as plain lines, for machines and for terminals that cannot draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.demo_stage.payments import money
from cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.demo_stage.book import Book
    from cli.demo_stage.payments import Payment
    from cli.demo_stage.records import Trade


def follow(book: Book, say: Callable[[str], None]) -> None:
    """Say every trade when it is delivered and metered, and whenever the ledger moves it; and every alarm."""
    book.on_finished = lambda trade: say(trade_line(trade))
    book.on_payment = lambda trade, payment: say(payment_line(trade, payment))
    book.on_news = say


def trade_line(trade: Trade) -> str:
    """Return one delivered trade as a line; the first acceptable bid only where it was not just the reserve."""
    over_reserve = (trade.price_e4 - trade.reserve_e4) / 10_000
    over_first = (trade.price_e4 - trade.first_acceptable_e4) / 10_000
    first = "" if trade.first_acceptable_e4 == trade.reserve_e4 else f"  first bid {over_first:+.2f}"
    return (
        f"  {trade.battery:<6} to {trade.aggregator:<6} {trade.price_e4 / 10_000:6.2f} c/kWh"
        f"  reserve {over_reserve:+.2f}{first}  {counted(trade.bidders, 'bidder')}"
        f"  {trade.delivered_wh} Wh, counter {trade.metered_wh or 0:.1f}, {_end(trade)}"
    )


def payment_line(trade: Trade, payment: Payment) -> str:
    """Return what the ledger has just done for a trade as a line."""
    who = f"  {trade.battery:<6} of {trade.aggregator:<6}"
    name = f"{payment.signatures[-1][:8]}.."
    if not payment.is_settled:
        return f"{who} {payment.stage} on the ledger without a co-signature, {name}"
    paid = f"{money(payment.payout or 0)} USDC + {money(payment.fee or 0)} fee"
    return f"{who} {paid} paid ({payment.how}, {payment.units} CU, {name})"


def _end(trade: Trade) -> str:
    return "complete" if trade.end_code == 0 else f"ended with code {trade.end_code}: {trade.end_reason}"

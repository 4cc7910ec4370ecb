"""`wattbid trades`: every trade that is or was on its way to the ledger, whoever runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.holder import complaints
from cli.words import price

if TYPE_CHECKING:
    from cli.outboxes import Paid
    from settlement.outbox_records import TradeRecord

app = typer.Typer(add_completion=False)
_ID_DIGITS: Final = 16


@app.command()
def trades(
    *,
    site: Annotated[Path | None, typer.Option(help="The site file: trades of its batteries.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The aggregator's file: trades of this buyer.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The last so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, money in base units.")] = False,
) -> None:
    """List trades with how far they are, energy, price, payment and transaction; the last change comes first."""
    from cli.outboxes import outboxes_of, told, trade_row, trades_in

    with complaints("trades"):
        for paid in outboxes_of(site=site, config=config):
            for record, _ in trades_in(paid, limit):
                print(told(trade_row(paid, record)) if as_json else _line(paid, record))


def _line(paid: Paid, record: TradeRecord) -> str:
    view, contract = record.view(), record.cheque.contract
    what = view.stage.value if view.how is None else f"{view.stage.value} ({view.how})"
    energy = f"{'-' if view.delivered_wh is None else view.delivered_wh} of {contract.energy_wh} Wh"
    payment = f"{energy} at {price(contract.price_e4)}/kWh, paid {paid.c(view.payout)}"
    signature = f", {view.signature}" if view.signature else ""
    problem = f"; {view.problem}" if view.problem else ""
    return f"{record.trade_id.hex()[:_ID_DIGITS]} {paid.name}: {what}, {payment}{signature}{problem}"

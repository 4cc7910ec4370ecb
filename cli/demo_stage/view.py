"""The live view: draws the book of the demo for a terminal of a given size. Pure; `screen` shows it.

Top to bottom: a title, one panel for each battery (charge, power, the lot with its bids, the delivery), the latest
trades, the buyers, and the totals. It needs 80 columns and 22
lines; a smaller terminal is told so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.layout import Layout
from rich.table import Table
from rich.text import Text

from cli.demo_stage.payments import HOW, PER_CENT, money
from cli.demo_stage.scene import TIME_LAPSE
from cli.demo_stage.view_site import PANEL_LINES, site_panel
from cli.words import counted
from settlement.program.constants import HOW_COSIGNED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.demo_stage.book import Book
    from cli.demo_stage.records import Trade

COLOURS: Final = ("yellow", "bright_cyan", "bright_magenta", "bright_green", "bright_blue", "bright_red")
_WIDE: Final = 124
_BUYERS_WIDTH: Final = 54
_TOTAL_LINES: Final = 3


class Size(NamedTuple):
    """Columns and lines of a terminal."""

    width: int
    height: int


_WIDE_ONLY: Final = frozenset({"reserve", "over 1st"})
LEAST: Final = Size(80, 22)
"""The smallest terminal in which the view says what it should."""


def render(book: Book, *, size: Size, elapsed_s: float, wanted: int | None = None) -> RenderableType:
    """Return the whole view, or what to do about a terminal that is too small for it."""
    if size.width < LEAST.width or size.height < LEAST.height:
        return _too_small(size)
    colours = dict(zip(book.buyers, COLOURS, strict=False))
    whole = Layout()
    panels, market = Layout(name="sites", size=PANEL_LINES), Layout(name="market")
    panels.split_row(*(Layout(site_panel(book, site, colours)) for site in book.sites.values()))
    if size.width >= _WIDE:
        buyers = Layout(_buyers(book, colours), size=_BUYERS_WIDTH)
        market.split_row(Layout(_trades(book, colours, size.height, is_wide=True)), buyers)
        parts = [market]
    else:
        market.update(_trades(book, colours, size.height, is_wide=False))
        parts = [market, Layout(_buyers(book, colours), size=len(book.buyers) + 1)]
    title = Layout(_title(elapsed_s, book, wanted), size=1)
    whole.split_column(title, panels, *parts, Layout(_totals(book), size=_TOTAL_LINES))
    return whole


def _too_small(size: Size) -> RenderableType:
    return Text(
        f"Terminal {size.width} x {size.height}: the view needs {LEAST.width} x {LEAST.height}. "
        "Make it larger; Ctrl-C ends."
    )


def _title(elapsed_s: float, book: Book, wanted: int | None) -> RenderableType:
    left = Text("wattbid demo", style="bold")
    left.append(f"  {len(book.sites)} batteries, {len(book.buyers)} buyers, {TIME_LAPSE} x faster", style="dim")
    goal = f"{book.confirmed}/{wanted} trades  " if wanted is not None else ""
    right = Text(f"{goal}{int(elapsed_s) // 60:02}:{int(elapsed_s) % 60:02}  Ctrl-C ends")
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _trades(book: Book, colours: dict[str, str], lines: int, *, is_wide: bool) -> RenderableType:
    """Return the latest trades; what a narrow terminal leaves out, the totals say for all of them."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    table.add_column("trade", no_wrap=True, ratio=1)
    table.add_column("buyer", no_wrap=True, ratio=1)
    names = ["c/kWh", "reserve", "gain", "over 1st", "bidders", "delivered", "counter", "paid USDC"]
    shown = [name for name in names if is_wide or name not in _WIDE_ONLY]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for trade in list(reversed(book.trades.values()))[:lines]:
        gain = (trade.price_e4 - trade.reserve_e4) / trade.reserve_e4 if trade.reserve_e4 else None
        cells: dict[str, RenderableType] = {
            "c/kWh": Text(f"{trade.price_e4 / 1e4:.2f}", style="bold"),
            "reserve": f"{trade.reserve_e4 / 1e4:.2f}",
            "gain": Text("-" if gain is None else f"{gain:+.1%}", style="green"),
            "over 1st": f"{(trade.price_e4 - trade.first_acceptable_e4) / 1e4:+.2f}",
            "bidders": str(trade.bidders),
            "delivered": _delivered(book, trade),
            "counter": "" if trade.metered_wh is None else f"{trade.metered_wh:.1f}",
            "paid USDC": _paid(book, trade),
        }
        buyer = Text(trade.aggregator, style=colours.get(trade.aggregator, ""))
        table.add_row(trade.battery, buyer, *(cells[name] for name in shown))
    return table


def _paid(book: Book, trade: Trade) -> Text:
    payment = book.payments.known.get(trade.trade_id)
    if payment is None or payment.stage == "promised":
        return Text()
    if not payment.is_settled:
        return Text(payment.stage, style="yellow")
    paid = Text(money(payment.payout or 0), style="green")
    if payment.how is not None and payment.how != HOW[HOW_COSIGNED]:
        paid = Text(f"{payment.how} ", style="yellow") + paid
    return paid


def _delivered(book: Book, trade: Trade) -> Text:
    if trade.ended_at_ms is None:
        return Text(f"{book.delivered_wh(trade)}/{trade.energy_wh} Wh", style="yellow")
    return Text(f"{trade.delivered_wh} Wh", style="" if trade.end_code == 0 else "red")


def _buyers(book: Book, colours: dict[str, str]) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    table.add_column("buyer", no_wrap=True)
    table.add_column("strategy", no_wrap=True)
    for name in ("bids", "won", "kWh", "avg c", "lines"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    for buyer in book.buyers.values():
        average = f"{buyer.spent / buyer.bought_wh / 1e4:.2f}" if buyer.bought_wh else "-"
        table.add_row(
            Text(buyer.name, style=colours.get(buyer.name, "")),
            buyer.strategy,
            f"{buyer.bids}",
            f"{buyer.won}",
            f"{buyer.bought_wh / 1_000:.1f}",
            average,
            _on_lines(book, buyer.name),
        )
    return table


def _on_lines(book: Book, buyer: str) -> str:
    """Return what a buyer has laid aside for batteries, in USDC."""
    balances = book.payments.balances
    if balances is None:
        return "-"
    return f"{sum(units for (who, _), units in balances.lines.items() if who == buyer) / PER_CENT / 100:.2f}"


def _money(book: Book) -> Text:
    found = book.payments
    line = Text(f"{found.settled} paid ", style="dim" if not found.settled else "green")
    line.append(
        f"{money(found.payout)} USDC, fees {money(found.fee)}, {found.claimed} claimed, {found.disputed} disputed"
    )
    if found.settled:
        line.append(f", {round(found.units / found.settled)} CU each, tx {found.last_signature[:6]}", style="dim")
    return line


def _totals(book: Book) -> RenderableType:
    sums = book.tally
    first = Text(f"{counted(sums.trades, 'trade')}, {sums.delivered_wh / 1_000:.1f} kWh", style="bold")
    if sums.trades:
        first.append(f"  {sums.price_c:.2f} c/kWh: ")
        first.append(f"{sums.over_reserve_c:+.2f} over reserve", style="green")
        first.append(f", {sums.over_first_c:+.2f} over 1st bid")
    answers = book.answers
    second = Text(f"{counted(answers.count, 'bid')} answered", style="dim")
    if answers.count:
        second.append(f" (p50 {book.answer_ms(0.5)} ms, slowest {book.slowest_answer_ms} ms)")
    if book.news:
        second = Text(book.news, style="red")
    lines = Table.grid()
    lines.add_column(no_wrap=True)
    lines.add_row(first)
    lines.add_row(second)
    lines.add_row(_money(book))
    return lines

"""One battery in the live view: its charge, what it does, the lot with its bids as a staircase, and its delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.panel import Panel
from rich.text import Text

from cli.demo_stage.payments import money
from cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console, ConsoleOptions, RenderableType

    from cli.demo_stage.book import Book
    from cli.demo_stage.records import Lot, Site

PANEL_LINES: Final = 10
_STEPS: Final = "▁▂▃▄▅▆▇█"
_IDLE_W: Final = 50


def site_panel(book: Book, site: Site, colours: Mapping[str, str]) -> RenderableType:
    """Return the panel of one battery."""
    lot = book.current_lot(site.name)
    style = "bright_black"
    if site.snapshot.get("fault"):
        style = "red"
    elif book.running(site.name):
        style = "yellow"
    elif lot is not None and not lot.closed:
        style = "green"
    title = Text(f" {site.name} ", style="bold")
    if (balances := book.payments.balances) is not None:
        title.append(f"{money(balances.tokens[site.name])} USDC ", style="green")
    return Panel(_Body(book, site, lot, colours), title=title, border_style=style, height=PANEL_LINES, padding=0)


class _Body:
    """The lines of a panel; they need its width."""

    def __init__(self, book: Book, site: Site, lot: Lot | None, colours: Mapping[str, str]) -> None:
        self._book = book
        self._site = site
        self._lot = lot
        self._colours = colours

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the lines, each cut to the panel."""
        width = options.max_width
        lines = (_charge(self._site, width), self._power(), *self._lot_lines(width), *self._end(width))
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
            yield line

    def _lot_lines(self, width: int) -> Iterator[Text]:
        lot = self._lot
        if lot is None:
            yield from (Text(), Text(str(self._site.snapshot.get("stopped", "")), style="dim"), Text(), Text())
            return
        head = Text(f"lot {lot.energy_wh / 1_000:.1f} kWh", style="" if not lot.closed else "dim")
        head.append(f" from {lot.reserve_e4 / 1e4:.2f} c")
        yield head
        yield self._staircase(lot, width)
        yield Text(f"{counted(lot.bids, 'bid')} by {len(lot.bidders)}" if lot.bids else "no bids yet", style="dim")
        yield self._leader(lot)

    def _staircase(self, lot: Lot, width: int) -> Text:
        """Return the latest bids as steps from the reserve upwards, in the colours of their bidders."""
        steps = list(lot.ladder)[-width:]
        least_e4 = lot.reserve_e4
        span_e4 = max(1, max((price_e4 for _, price_e4 in steps), default=least_e4) - least_e4)
        line = Text()
        for peer, price_e4 in steps:
            height = max(0, price_e4 - least_e4) * (len(_STEPS) - 1) // span_e4
            line.append(_STEPS[height], style=self._colour(peer))
        return line

    def _leader(self, lot: Lot) -> Text:
        if lot.winner:
            line = Text(lot.winner, style=self._colours.get(lot.winner, ""))
            line.append(f" won {(lot.price_e4 or 0) / 1e4:.2f} c", style="bold")
            return line
        if lot.closed:
            return Text(lot.closed, style="dim")
        return Text(f"to beat {(lot.beat_e4 or lot.reserve_e4) / 1e4:.2f} c", style="bold green")

    def _end(self, width: int) -> Iterator[Text]:
        lot = self._lot
        if lot is not None and not lot.closed and lot.ladder:
            peer, price_e4 = max(lot.ladder, key=lambda step: step[1])
            leader = self._book.name_of(peer)
            yield Text(leader, style=self._colours.get(leader, "")).append(f" leads {price_e4 / 1e4:.2f} c")
        elif lot is not None and lot.winner:
            gain_e4 = (lot.price_e4 or 0) - lot.reserve_e4
            first = (lot.price_e4 or 0) - (lot.first_acceptable_e4 or lot.reserve_e4)
            yield Text(f"{gain_e4 / 1e4:+.2f} c, 1st bid {first / 1e4:+.2f}", style="green")
        else:
            yield Text()
        for trade in self._book.running(self._site.name)[:1]:
            delivered_wh = self._book.delivered_wh(trade)
            label = f" {delivered_wh}/{trade.energy_wh} Wh"
            yield _bar(delivered_wh / trade.energy_wh, width - len(label), "yellow").append(label)

    def _power(self) -> Text:
        power_w, voltage_mv = self._site.snapshot.get("power_w"), self._site.snapshot.get("voltage_mv")
        if power_w is None or voltage_mv is None:
            return Text()
        doing = "sells" if self._book.running(self._site.name) else "sun" if power_w > _IDLE_W else "idle"
        return Text(f"{power_w / 1_000:+.2f} kW {voltage_mv / 1_000:.1f} V {doing}")

    def _colour(self, peer: str) -> str:
        return self._colours.get(self._book.name_of(peer), "white")


def _charge(site: Site, width: int) -> Text:
    soc_permille = site.snapshot.get("soc_permille")
    if soc_permille is None:
        return Text("no contact", style="red")
    label = f" {soc_permille / 10:.1f} %"
    cells = width - len(label)
    line = _bar(soc_permille / 1_000, cells, "green" if soc_permille > site.floor_permille + 100 else "red")
    line.stylize("reverse", floor := cells * site.floor_permille // 1_000, floor + 1)
    return line.append(label, style="bold")


def _bar(share: float, cells: int, style: str) -> Text:
    cells = max(1, cells)
    full = max(0, min(cells, round(share * cells)))
    line = Text("█" * full, style=style)
    return line.append("░" * (cells - full), style="bright_black")

"""The live view: it fits its terminal whatever happens, and shows what the book knows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from cli.demo_stage.picture import Photographer
from cli.demo_stage.view import LEAST, Size, render
from tests.cli.demo_market import deal, deliver, event, new_book, open_lot, peer_of, sell, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.demo_stage.book import Book

rich_console = pytest.importorskip("rich.console")

SMALL, WIDE = Size(80, 24), Size(140, 40)


def drawn(book: Book, size: Size = SMALL, *, wanted: int | None = None) -> list[str]:
    out = io.StringIO()
    console = rich_console.Console(file=out, width=size.width, height=size.height, force_terminal=True, no_color=True)
    console.print(render(book, size=size, elapsed_s=61.0, wanted=wanted))
    plain = out.getvalue().replace("\x1b[0m", "")
    for style in ("1", "2", "7", "1;2"):
        plain = plain.replace(f"\x1b[{style}m", "")
    return plain.rstrip("\n").split("\n")


def busy_book() -> Book:
    book = new_book()
    for site in book.sites:
        book.agent_snapshot(site, snapshot(site))
    sell(book, "home")
    deliver(book, "home")
    sell(book, "farm", bid_id=8, buyer="citron")
    open_lot(book, "school", lot_id=9)
    book.buyer_line("delta", {"event": "bid", "at_ms": 0, "bid_id": 11})
    for number, price_e4 in enumerate((300_000, 330_000, 352_000)):
        fields = {"peer": peer_of("delta"), "bid_id": 11 + number, "price_e4": price_e4, "energy_wh": 500}
        book.agent_event("school", event("bid_placed", **fields))
    book.agent_event(
        "school", event("bid_refused", peer=peer_of("amber"), bid_id=1, code=4, beat_e4=353_000, waited_ms=1)
    )
    running = {"peer": peer_of("citron"), "bid_id": 8, "delivered_wh": 210, "energy_wh": 500}
    book.agent_snapshot("farm", snapshot("farm", deliveries=[running]))
    return book


@pytest.mark.parametrize("size", [LEAST, SMALL, WIDE, Size(100, 26), Size(200, 60)])
@pytest.mark.parametrize("make", [new_book, busy_book])
def test_it_fills_its_terminal_and_no_more(make: Callable[[], Book], size: Size) -> None:
    lines = drawn(make(), size)
    assert len(lines) == size.height
    assert {len(line) for line in lines} == {size.width}


@pytest.mark.parametrize("size", [Size(20, 5), Size(60, 15), Size(79, 40), Size(200, 21)])
def test_a_terminal_that_is_too_small_is_told_so(size: Size) -> None:
    lines = drawn(busy_book(), size)
    assert len(lines) <= size.height
    assert max(map(len, lines)) <= size.width
    text = " ".join(" ".join(lines).split())
    assert text == f"Terminal {size.width} x {size.height}: the view needs 80 x 22. Make it larger; Ctrl-C ends."


def test_the_smallest_terminal_shows_all_that_matters() -> None:
    text = "\n".join(drawn(busy_book(), LEAST))
    for shown in (
        "delta leads 35.20 c",
        "500 Wh   501.0",
        "citron",
        "aggressive",
        "2 trades, 0.5 kWh",
        "bids answered",
    ):
        assert shown in text, shown


def test_it_shows_lots_bids_awards_deliveries_and_totals() -> None:
    text = "\n".join(drawn(busy_book(), wanted=20))
    for shown in (
        "2/20 trades",
        "01:01",
        "80.0 %",
        "-5.00 kW 52.3 V",
        "lot 0.5 kWh from 30.00 c",
        "3 bids by 1",
        "to beat 35.30 c",
        "delta leads 35.20 c",
        "▁▅█",
        "citron won 38.30 c",
        "210/500 Wh",
        "500 Wh   501.0",
        "+27.7%",
        "2 trades, 0.5 kWh  38.30 c/kWh: +8.30 over reserve, +7.30 over 1st bid",
    ):
        assert shown in text, shown


def test_it_shows_what_is_wrong() -> None:
    book = new_book()
    book.agent_snapshot("home", snapshot(soc_permille=None, power_w=None, fault="over-temperature", stopped="a fault"))
    book.agent_event("home", event("alarm", alarm="battery", reason="no answer", raised=True))
    text = "\n".join(drawn(book))
    assert "no contact" in text
    assert "a fault" in text
    assert "home: alarm battery: no answer" in text


def test_a_lot_that_was_withdrawn_says_so() -> None:
    book = new_book()
    open_lot(book)
    book.agent_event("home", event("lot_closed", lot_id=7, reason="withdrawn", first_acceptable_e4=None))
    assert "withdrawn" in "\n".join(drawn(book))


def test_a_trade_of_a_stranger_at_no_reserve_is_shown_too() -> None:
    book = new_book()
    open_lot(book)
    book.agent_event("home", event("trade_confirmed", **{**deal(), "peer": "key:77", "reserve_e4": 0}))
    assert "key:77" in "\n".join(drawn(book))


def test_the_picture_is_of_the_best_moment() -> None:
    book = new_book()
    photographer = Photographer(book, wanted=None)
    photographer.look(0)
    sell(book)
    photographer.look(10)  # too soon after the last one
    photographer.look(100)
    deliver(book)
    photographer.look(200)  # nothing runs any more: worth less
    svg = photographer.picture()
    assert svg.startswith("<svg")
    assert "amber" in svg
    assert "@font-face" not in svg


def test_there_is_a_picture_before_anything_happened() -> None:
    assert "<svg" in Photographer(new_book(), wanted=None).picture()

"""The demo's book: what agents, batteries and buyers tell becomes lots, trades and totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.demo_stage import book as rules
from tests.cli.demo_market import (
    BID,
    START_MS,
    WALL_OFFSET_MS,
    deal,
    deliver,
    event,
    new_book,
    open_lot,
    peer_of,
    sell,
    truth,
)
from tests.cli.demo_market import snapshot as look

if TYPE_CHECKING:
    from cli.demo_stage.records import Trade


def only_trade(book: rules.Book) -> Trade:
    (trade,) = book.trades.values()
    return trade


def test_a_trade_from_the_bid_to_the_last_wh() -> None:
    book = new_book()
    finished: list[Trade] = []
    book.on_finished = finished.append
    sell(book)
    assert book.confirmed == 1
    assert book.running("home") == [only_trade(book)]
    settled = [book.is_settled]
    deliver(book)
    settled.append(book.is_settled)
    trade = only_trade(book)
    assert finished == [trade]
    assert settled == [False, True]
    assert len(book.running("home")) == 0
    assert (trade.battery, trade.aggregator, trade.price_e4, trade.reserve_e4) == ("home", "amber", 383_000, 300_000)
    assert (trade.energy_wh, trade.delivered_wh, trade.metered_wh, trade.buyer_wh) == (500, 500, 501.0, 500)
    assert (trade.first_setpoint_at_ms, trade.ended_at_ms, trade.end_code) == (START_MS + 10, START_MS + 6_000, 0)
    assert trade.on_disk_at_ms == START_MS
    assert trade.as_json()["metered_wh"] == 501.0
    assert (book.tally.trades, book.tally.delivered_wh, book.tally.price_c) == (1, 500, 38.3)
    assert round(book.tally.over_reserve_c, 2) == 8.3
    assert round(book.tally.over_first_c, 2) == 7.3
    assert book.buyers["amber"].won == 1
    assert (book.answers.count, book.slowest_answer_ms, book.waiting_bids) == (1, 401, 0)


def test_a_lot_collects_its_bids_and_names_their_bidders() -> None:
    book = new_book()
    open_lot(book)
    boreas = peer_of("boreas")
    book.agent_event("home", event("bid_placed", peer=boreas, bid_id=5, price_e4=290_000, energy_wh=500))
    book.buyer_line("boreas", {"event": "bid", "at_ms": 0, "bid_id": 6})
    book.agent_event("home", event("bid_placed", peer=boreas, bid_id=6, price_e4=301_000, energy_wh=500))
    book.agent_event("home", event("bid_refused", peer=boreas, bid_id=5, code=1, beat_e4=302_000, waited_ms=1))
    lot = book.current_lot("home")
    assert lot is not None
    assert book.name_of(boreas) == "boreas"
    assert (lot.bids, lot.bidders, list(lot.ladder)) == (2, {boreas}, [(boreas, 290_000), (boreas, 301_000)])
    assert (lot.first_acceptable_e4, lot.beat_e4) == (301_000, 302_000)
    assert book.current_lot("farm") is None


def test_what_happens_without_a_lot_or_to_an_unknown_trade_changes_nothing() -> None:
    book = new_book()
    book.agent_event("home", event("bid_placed", peer="conn:2", bid_id=5, price_e4=1, energy_wh=1))
    book.agent_event("home", event("bid_refused", peer="conn:2", bid_id=5, code=14, beat_e4=1, waited_ms=1))
    book.agent_event("home", event("lot_closed", lot_id=99, reason="sold", first_acceptable_e4=None))
    book.agent_event("home", event("delivery_started", **deal(), first_setpoint_at_ms=1))
    book.agent_event("home", event("delivery_ended", **deal(), first_setpoint_at_ms=1))
    book.agent_event("home", event("metrics", total={}))
    assert not book.trades
    assert not book.lots


def test_a_lot_that_opened_before_anybody_listened_is_known_from_the_first_look() -> None:
    book = new_book()
    shown = {"lot_id": 3, "energy_wh": 400, "power_w": 4_000, "reserve_e4": 1, "price_to_beat_e4": 2, "standing": []}
    book.agent_snapshot("home", look(lot=shown))
    open_lot(book, lot_id=3, energy_wh=500)
    lot = book.current_lot("home")
    assert lot is not None
    assert (lot.energy_wh, lot.beat_e4, book.sites["home"].lots) == (500, 2, 1)
    book.agent_snapshot("home", look(deliveries=[{"peer": peer_of("amber"), "bid_id": BID, "delivered_wh": 77}]))
    sell(book)
    assert book.delivered_wh(only_trade(book)) == 77
    deliver(book)
    assert book.delivered_wh(only_trade(book)) == 500


def test_a_trade_that_was_never_commanded_received_nothing() -> None:
    book = new_book()
    sell(book)
    ended = {
        "first_setpoint_at_ms": None,
        "ended_at_ms": 1,
        "end_code": 11,
        "reason": "a fault",
        "delivered_wh": 0,
        "derived": False,
    }
    book.agent_event("home", event("delivery_ended", **deal(), **ended))
    assert only_trade(book).metered_wh == 0.0
    assert book.is_settled


def test_a_trade_is_metered_only_when_the_battery_rests() -> None:
    book = new_book()
    sell(book)
    deliver(book, metered_wh=480.0)
    assert only_trade(book).metered_wh == 480.0
    for number in range(200):
        book.truth("home", truth(START_MS + 7_000 + 100 * number, 1_480.0, soc_permille=700.0 - number))
    assert book.sites["home"].soc_least_permille == 501.0


def test_a_buyer_that_is_not_ours_goes_by_its_peer() -> None:
    book = new_book()
    open_lot(book)
    book.agent_event("home", event("trade_confirmed", **{**deal(), "peer": "key:deadbeef"}))
    assert only_trade(book).aggregator == "key:deadbeef"


def test_bids_without_an_answer_are_counted() -> None:
    book = new_book()
    book.buyer_line("delta", {"event": "bid", "at_ms": 0, "bid_id": 1})
    assert book.waiting_bids == 1
    book.buyer_line("delta", {"event": "unanswered", "at_ms": 0, "bid_id": 1})
    book.buyer_line("delta", {"event": "refused", "at_ms": 0, "bid_id": 1})
    book.buyer_line("delta", {"event": "ended", "at_ms": 0, "bid_id": 1, "delivered_wh": 5})
    book.buyer_line("delta", {"event": "connected", "at_ms": 0})
    assert (book.waiting_bids, book.buyers["delta"].unanswered, book.buyers["delta"].refused) == (0, 1, 1)
    assert book.answers.count == 0


def test_alarms_are_news_unless_selling_was_stopped_on_purpose() -> None:
    book = new_book()
    news: list[str] = []
    book.on_news = news.append
    for alarm, raised in (("owner", True), ("battery", True), ("battery", False)):
        book.agent_event("farm", event("alarm", alarm=alarm, reason="no answer", raised=raised))
    assert news == ["farm: alarm battery: no answer"]
    assert book.sites["farm"].alarms == ["battery: no answer"]
    book.agent_event("farm", event("dropped", n=4))
    assert book.sites["farm"].events_lost == 4


def test_a_long_market_keeps_a_bounded_memory() -> None:
    book = new_book()
    for number in range(rules.LOTS_KEPT + 10):
        open_lot(book, lot_id=number)
    assert len(book.lots) == rules.LOTS_KEPT
    for number in range(rules.BIDS_KEPT + 10):
        book.buyer_line("amber", {"event": "bid", "at_ms": 0, "bid_id": number})
    assert book.waiting_bids == rules.BIDS_KEPT


def test_the_confirm_is_never_on_disk_before_it_was_read() -> None:
    book = new_book()
    open_lot(book)
    book.agent_event("home", {**event("trade_confirmed", **deal()), "at_ms": WALL_OFFSET_MS})
    assert only_trade(book).on_disk_at_ms == START_MS - 4

"""The demo's report: the JSON that machines read and the lines that people read."""

from __future__ import annotations

import json
from dataclasses import replace

from cli.demo_stage.lines import follow, trade_line
from cli.demo_stage.report import Report
from tests.cli.demo_market import deliver, event, evidence_of, new_book, sell, sound_evidence

TRADE_FIELDS = {
    "battery",
    "aggregator",
    "price_e4",
    "reserve_e4",
    "first_acceptable_e4",
    "bidders",
    "energy_wh",
    "metered_wh",
    "delivered_wh",
    "asked_at_ms",
    "awarded_at_ms",
    "confirmed_at_ms",
    "first_setpoint_at_ms",
    "ended_at_ms",
    "end_code",
}


def test_the_json_holds_trades_totals_and_invariants() -> None:
    body = json.loads(json.dumps(Report(sound_evidence()).as_json()))
    assert set(body["trades"][0]) >= TRADE_FIELDS
    assert all(body["invariants"].values())
    assert body["broken"] == {}
    totals = body["totals"]
    assert (totals["trades"], totals["trades_with_competition"], totals["energy_wh"]) == (1, 1, 500)
    assert (totals["average_over_reserve_e4"], totals["average_over_reserve_percent"]) == (83_000, 27.67)
    assert (totals["average_over_first_acceptable_e4"], totals["best_over_first_acceptable_e4"]) == (73_000, 73_000)
    assert (totals["bid_answer_ms"]["count"], totals["bid_answer_ms"]["worst"]) == (1, 401)
    assert (totals["setpoint_ms_worst"], totals["accept_ms_worst"], totals["metered_off_wh_worst"]) == (10, 401, 1.0)
    assert (totals["revenue_c"], totals["average_price_e4"], totals["duration_s"]) == (19.15, 383_000, 7.0)
    assert totals["buyers"]["amber"] == {"strategy": "truthful", "bids": 1, "trades": 1, "wh": 500}


def test_people_get_a_few_short_lines() -> None:
    lines = Report(sound_evidence()).lines()
    assert lines[0] == "1 trade, 1 with competition, 0.5 kWh in 7 s, average price 38.30 c/kWh"
    assert "over the reserve: 8.30 c/kWh (+27.7 %), 8.30 at best" in lines
    assert "over the first bid that met the reserve: 7.30 c/kWh (+23.6 %), 7.30 at best" in lines
    assert lines[-1] == "19 of 19 invariants held"
    assert max(map(len, lines)) < 80


def test_a_first_bid_is_shown_only_where_it_was_not_just_the_reserve() -> None:
    (trade,) = sound_evidence().trades
    assert "  reserve +8.30  first bid +7.30  3 bidders" in trade_line(trade)
    at_reserve = replace(trade, first_acceptable_e4=trade.reserve_e4)
    assert "  reserve +8.30  3 bidders" in trade_line(at_reserve)
    assert at_reserve.as_json()["first_acceptable_e4"] == trade.reserve_e4


def test_a_run_without_trades_has_no_averages() -> None:
    report = Report(evidence_of(new_book()))
    assert report.totals["average_over_reserve_e4"] is None
    assert report.totals["average_price_e4"] is None
    assert report.lines() == ["0 trades, 0 with competition, 0.0 kWh in 7 s", "19 of 19 invariants held"]


def test_a_price_over_a_reserve_of_nothing_has_no_percentage() -> None:
    evidence = sound_evidence()
    evidence.trades[0].reserve_e4 = 0
    report = Report(evidence)
    assert report.totals["average_over_reserve_percent"] is None
    assert "over the reserve: 38.30 c/kWh, 38.30 at best" in report.lines()


def test_trades_and_alarms_are_told_as_lines() -> None:
    book = new_book()
    told: list[str] = []
    follow(book, told.append)
    sell(book)
    deliver(book, metered_wh=500.4)
    book.agent_event("home", event("alarm", alarm="battery", reason="no answer", raised=True))
    (trade,) = book.trades.values()
    assert told == [trade_line(trade), "home: alarm battery: no answer"]
    assert "amber" in told[0]
    assert "counter 500.4, complete" in told[0]
    trade.end_code, trade.end_reason = 3, "no answer"
    assert trade_line(trade).endswith("ended with code 3: no answer")


def test_no_share_of_the_answers_took_longer_than_the_slowest() -> None:
    """408 ms falls into a bucket that ends at 420."""
    book = new_book()
    sell(book)
    book.buyer_line("amber", {"event": "bid", "at_ms": 0, "bid_id": 99})
    book.buyer_line("amber", {"event": "accepted", "at_ms": 408, "bid_id": 99})
    assert book.answers.percentile(0.99) > 408
    totals = Report(evidence_of(book)).totals["bid_answer_ms"]
    assert (totals["p99"], totals["worst"]) == (408, 408)

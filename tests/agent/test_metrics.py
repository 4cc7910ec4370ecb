"""Competition figures: rates, improvements split by bidders, per cent absent without a reserve."""

from __future__ import annotations

import json

import pytest

from agent.metrics import Competition, Improvement, Metrics, improvement
from etp.messages import MessageType


def test_improvement_in_per_cent_is_absent_without_a_reserve() -> None:
    assert improvement(312_000, 250_000) == Improvement(62_000, 24.8)
    assert improvement(312_000, 0) == Improvement(312_000, None)


def trade(competition: Competition, price_e4: int, bidders: int, reserve_e4: int = 250_000) -> None:
    competition.trade_confirmed(
        price_e4=price_e4,
        reserve_e4=reserve_e4,
        first_acceptable_e4=260_000,
        distinct_bidders=bidders,
        energy_wh=1_000,
    )


def test_summary_of_nothing_has_no_figures_to_divide() -> None:
    summary = Metrics().summary()
    total = summary["total"]
    for name in ("average_distinct_bidders", "success_rate", "confirm_rate", "complete_rate", "average_price_e4"):
        assert total[name] is None
    assert total["several_bidders"]["best_improvement_percent"] is None
    assert summary["bid_processing_ms"]["p99"] == 0
    assert summary["frames"] == {
        "received": 0,
        "unanswered": 0,
        "unanswered_share": 0.0,
        "target_share": 0.01,
        "ok": None,
    }


def test_lots_trades_and_deliveries_are_summed_up() -> None:
    metrics = Metrics()
    for battery, sold_wh, bidders in (("a", 1_000, 3), ("a", 0, 0), ("b", 500, 1), ("b", 500, 2)):
        for competition in metrics.of(battery):
            competition.lot_closed(sold_wh=sold_wh, distinct_bidders=bidders)
    for competition in metrics.of("a"):
        competition.bid_placed()
        competition.bid_refused()
        competition.awarded()
        competition.award_voided()
        trade(competition, 300_000, 3)
        trade(competition, 280_000, 2)
        trade(competition, 250_000, 1)
        competition.delivery_ended(delivered_wh=990, complete=True)
        competition.delivery_ended(delivered_wh=100, complete=False)
    total = metrics.summary()["total"]
    assert total["lots"] == 4
    assert total["lots_with_competition"] == 2
    assert total["average_distinct_bidders"] == 1.5
    assert total["success_rate"] == 0.75
    assert total["confirm_rate"] == 0.75
    assert total["complete_rate"] == 0.5
    assert total["delivered_wh"] == 1_090
    assert total["agreed_wh"] == 3_000
    assert total["average_price_e4"] == pytest.approx(276_667)
    assert total["several_bidders"] == {
        "trades": 2,
        "average_improvement_e4": 40_000,
        "best_improvement_e4": 50_000,
        "average_improvement_percent": 16.0,
        "best_improvement_percent": 20.0,
        "average_over_first_acceptable_e4": 30_000,
    }
    assert total["one_bidder"]["average_improvement_e4"] == 0
    batteries = metrics.summary()["batteries"]
    assert batteries["a"]["trades"] == 3
    assert batteries["b"]["lots"] == 2
    json.dumps(metrics.summary())


def test_trades_without_reserve_count_in_money_only() -> None:
    competition = Competition()
    trade(competition, 300_000, 2, reserve_e4=0)
    gains = competition.summary()["several_bidders"]
    assert gains["average_improvement_e4"] == 300_000
    assert gains["average_improvement_percent"] is None


def test_answers_and_silence_are_counted() -> None:
    metrics = Metrics()
    for ms in range(100):
        metrics.bids_answered(1, ms)
    metrics.traffic.counts.received, metrics.traffic.counts.unanswered = 200, 4
    summary = metrics.summary()
    assert summary["bid_processing_ms"]["count"] == 100
    assert 45 <= summary["bid_processing_ms"]["p50"] <= 55
    assert 95 <= summary["bid_processing_ms"]["p99"] <= 104
    assert summary["frames"]["unanswered_share"] == 0.02
    assert not summary["frames"]["ok"]


def test_the_frames_that_left_are_told_by_message_type_and_the_others_by_what_became_of_them() -> None:
    metrics = Metrics()
    sent = metrics.traffic.latency
    sent[MessageType.BID_REJECT].record(3, 990)
    sent[MessageType.BID_REJECT].record(700, 10)
    sent[MessageType.DEVICE_FAILURE].record(201)
    metrics.traffic.counts.bad = 5
    metrics.traffic.counts.superseded = 2
    summary = metrics.summary()
    assert summary["latency_ms"] == {
        "BidReject": {"count": 1_000, "late": 10, "p99": 3, "limit": 500},
        "DeviceFailure": {"count": 1, "late": 1, "p99": 220, "limit": 200},
    }
    assert summary["connections"] == {
        "bad": 5,
        "dropped": 0,
        "expired": 0,
        "over_rate": 0,
        "received": 0,
        "repeated": 0,
        "superseded": 2,
        "unanswered": 0,
    }

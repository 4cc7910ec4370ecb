"""What happens is told three ways: an event for who listens, a figure, a line; each thing once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from agent.awards import OpenAward
from agent.events import EventHub
from agent.metrics import Metrics
from agent.records import Deal
from agent.trades import Delivered, Trade
from agent.watch import BatteryWatch, trade_fields
from etp.auction import Award, Bid, Lot, LotClosed, Refuse, Terms
from etp.messages import MessageType
from tests.agent.gateway_world import run, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.events import Subscription
    from etp.io.link import Link

DEAL = Deal(
    peer="conn:1",
    bid_id=7,
    price_e4=400_000,
    energy_wh=1_000,
    power_w=2_500,
    lot_id=3,
    reserve_e4=300_000,
    first_acceptable_e4=310_000,
    distinct_bidders=2,
    asked_at_ms=1_000,
    awarded_at_ms=1_200,
)
TRADE = Trade.of_deal(DEAL, battery="b1", award_seq=9, confirmed_wall_ms=0, window_ms=1_000, confirmed_at_ms=1_300)
LOT = Lot(lot_id=3, energy_wh=2_000, power_w=5_000, seed=b"", terms=Terms(reserve_e4=300_000))
AWARD = Award("conn:1", 7, 400_000, 1_000, 2_500, 3, 2, 310_000, 300_000, 1_000)
CLOSED = LotClosed(
    lot_id=3,
    reason="sold",
    sold_wh=2_000,
    unsold_wh=0,
    entered=4,
    distinct_bidders=2,
    first_acceptable_e4=310_000,
    increment_e4=1_000,
)
DELIVERED = Delivered(
    trade=TRADE,
    code=0,
    reason="",
    delivered_wh=1_000,
    derived=False,
    evidence=bytes(32),
    started_at_ms=1_400,
    ended_at_ms=9_000,
)


class Ear:
    """A watch, and everything that it told."""

    def __init__(self, *, listens: bool = True) -> None:
        hub = EventHub(lambda: 5)
        self.metrics = Metrics()
        self.watch = BatteryWatch("b1", hub=hub, metrics=self.metrics, wall_ms=lambda: 5)
        self.subscription: Subscription | None = hub.subscribe(None) if listens else None
        self.hub = hub

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        assert self.subscription is not None
        told = list(self.subscription._queue)
        self.subscription._queue.clear()
        json.dumps([event.fields for event in told])  # plain JSON
        assert all(event.fields["battery"] == "b1" for event in told)
        return [(event.name, event.fields) for event in told]


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as caught:
        yield caught  # type: ignore[misc]


def test_a_lot_is_a_line_an_event_and_a_figure(lines: list[dict[str, Any]]) -> None:
    ear = Ear()
    ear.watch.lot_opened(LOT)
    ear.watch.lot_closed(CLOSED)
    assert [line["event"] for line in lines] == ["lot opened", "lot closed"]
    assert lines[1]["distinct_bidders"] == 2
    (opened, first), (closed, second) = ear.events()
    assert (opened, first["energy_wh"], first["reserve_e4"]) == ("lot_opened", 2_000, 300_000)
    assert (closed, second["reason"], second["bids"]) == ("lot_closed", "sold", 4)
    assert ear.metrics.total.lots == ear.metrics.total.lots_with_competition == 1


def test_bids_are_counted_always_and_described_only_to_who_listens(lines: list[dict[str, Any]]) -> None:
    for ear in (Ear(), Ear(listens=False)):
        ear.watch.bids_placed((Bid("conn:1", 7, 400_000, 1_000), Bid("conn:2", 8, 300_000, 100)))
        ear.watch.bids_refused((Refuse("conn:2", 8, 4, 401_000),), 12)
        assert (ear.metrics.total.bids, ear.metrics.total.refused) == (2, 1)
        if ear.subscription is None:
            assert ear.hub.number == 0
            continue
        names = [(name, fields["bid_id"]) for name, fields in ear.events()]
        assert names == [("bid_placed", 7), ("bid_placed", 8), ("bid_refused", 8)]
    assert lines == []  # a line for every bid would be a flood


def test_an_award_its_end_and_a_trade(lines: list[dict[str, Any]]) -> None:
    ear = Ear()
    opened = OpenAward(deal=DEAL, link=_nobody(), decided_at_ms=0)
    ear.watch.awarded(AWARD, peers_pushed=3)
    ear.watch.accepted(opened)
    ear.watch.voided(opened, 10)
    ear.watch.confirmed(TRADE)
    award, void, trade = lines
    assert (award["event"], award["improvement_e4"], award["improvement_percent"]) == ("award", 100_000, 33.33)
    assert (award["peers_pushed"], award["first_acceptable_e4"]) == (3, 310_000)
    assert (void["event"], void["code"], void["log_level"]) == ("award void", 10, "warning")
    assert (trade["event"], trade["distinct_bidders"]) == ("trade", 2)
    assert [name for name, _ in ear.events()] == ["bid_accepted", "award_voided", "trade_confirmed"]
    total = ear.metrics.total.summary()
    assert (total["awards"], total["voided"], total["trades"]) == (1, 1, 1)
    assert total["several_bidders"]["average_improvement_percent"] == 33.33


def test_the_improvement_of_a_reserve_of_nothing_has_no_percentage() -> None:
    free = Trade.of_deal(
        Deal(peer="p", bid_id=1, price_e4=100, energy_wh=1, power_w=1, lot_id=1),
        battery="b1",
        award_seq=1,
        confirmed_wall_ms=0,
        window_ms=1,
    )
    assert (trade_fields(free)["improvement_e4"], trade_fields(free)["improvement_percent"]) == (100, None)


def test_a_delivery(lines: list[dict[str, Any]]) -> None:
    ear = Ear()
    ear.watch.delivery_started(TRADE, 1_400)
    ear.watch.delivery_progress(TRADE, 500)
    ear.watch.delivery_ended(DELIVERED)
    ear.watch.delivery_ended(replace(DELIVERED, started_at_ms=None))  # not known: of a start before a reboot
    (line, again) = lines
    assert (line["event"], line["end_code"], line["delivered_wh"]) == ("delivery", 0, 1_000)
    assert (line["first_setpoint_at_ms"], again["first_setpoint_at_ms"]) == (1_400, None)
    assert len(line["evidence"]) == 64
    names = [name for name, _ in ear.events()]
    assert names == ["delivery_started", "delivery_progress", "delivery_ended", "delivery_ended"]
    assert ear.metrics.total.deliveries_complete == 2


def test_an_alarm_is_told_once_each_time_and_again_when_its_reason_changes(lines: list[dict[str, Any]]) -> None:
    ear = Ear()
    ear.watch.alarm("journal", "", raised=False)  # never raised: nothing to clear
    for reason in ("disk full", "disk full", "disk gone"):
        ear.watch.alarm("journal", reason, raised=True)
    assert ear.watch.alarms() == [
        {"battery": "b1", "name": "journal", "reason": "disk gone", "at_ms": 5, "blocks_selling": True}
    ]
    ear.watch.alarm("journal", "", raised=False)
    ear.watch.alarm("journal", "", raised=False)
    assert ear.watch.alarms() == []
    assert [line["event"] for line in lines] == ["alarm", "alarm", "alarm over"]
    assert [fields["raised"] for _, fields in ear.events()] == [True, True, False]


def test_frames_and_processing_are_counted() -> None:
    ear = Ear()
    ear.metrics.traffic.counts.received = 10
    ear.watch.unanswered(1)
    ear.watch.processed(9, 3)
    look = ear.metrics.summary()
    assert (look["frames"]["received"], look["frames"]["unanswered"], look["frames"]["ok"]) == (10, 1, False)
    assert look["bid_processing_ms"]["count"] == 9


def test_the_figures_of_a_whole_trade(tmp_path: Path) -> None:
    """Every frame that wants an answer got one, and the time a bid stood is not processing time."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, loser = await here.connect(), await here.connect()
            for _ in range(5):
                await loser.bid(1.0, 0.1)
            accept = await buyer.trade(40.0, 0.3)
            await buyer.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=300)
            await asyncio.sleep(1)
            look = here.gateway.metrics.summary()
            assert look["frames"]["received"] >= 7
            assert look["frames"]["unanswered"] == 0
            assert look["frames"]["ok"]
            assert look["bid_processing_ms"]["count"] >= 6
            assert look["bid_processing_ms"]["p99"] < 50
            assert look["total"]["complete_rate"] == 1.0

    run(scenario())


def _nobody() -> Link:
    nobody: Any = None
    link: Link = nobody
    return link

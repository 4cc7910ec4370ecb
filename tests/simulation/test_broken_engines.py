"""Engines that are broken on purpose must be caught, each for its own reason.

An invariant that never fires proves nothing. Every scene names its market, so that what is broken is what sells.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agent import award_book, delivery_view, metering, seller
from agent.delivery import Delivery
from agent.delivery_ports import StopReport
from agent.gauge import Gauge
from agent.journal import Journal
from agent.journal_file import JournalFile
from agent.lots import LotKeeper
from agent.metering import Meter, Metered
from agent.offer import Offer, Promises, offer_of
from agent.records import Kind
from agent.seller import Seller
from etp import connection
from etp.auction.lot import resized, sell
from etp.timing import LIMIT_MS
from simulation import world
from simulation.enough import Least
from simulation.faults import FaultRates
from simulation.scene import DEVICES, Market, site_toml
from simulation.world import Failure, Options, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.records import TradeKey

SEEDS = range(1, 6)
NOTHING_ASKED = Least(awards_per_h=0, faults_per_h=0)
MARKET = Market(lot_kwh=0.5, rule="standing_bid", signed=False)
SCARCE = MARKET._replace(scarce=True)


def faults(**rates: float) -> FaultRates:
    """Nothing goes wrong but what is named, so often an hour."""
    return FaultRates(**{**dict.fromkeys(FaultRates.__slots__, 0.0), **rates})


def outcome(
    tmp_path: Path, *, seed: int, rates: FaultRates, market: Market = MARKET, least: Least = NOTHING_ASKED
) -> str:
    """Return what a run was caught at, "" when it ran to its end."""
    try:
        run(Options(seed=seed, hours=1.0, directory=tmp_path, rates=rates, market=market, least=least))
    except Failure as failure:
        return str(failure) if failure.tail and failure.seed == seed else "a failure that nobody can replay"
    return ""


def caught(tmp_path: Path, *, market: Market = MARKET, **rates: float) -> str:
    """Return what the first of a few seeds was caught at that was caught at all."""
    for seed in SEEDS:
        (tmp_path / str(seed)).mkdir()
        found = outcome(tmp_path / str(seed), seed=seed, rates=faults(**rates), market=market)
        if found:
            return found
    pytest.fail("nothing was found broken")


def test_an_engine_that_is_not_broken_is_not_caught(tmp_path: Path) -> None:
    """The scenes below, with everything that goes wrong in any of them, and nothing broken."""
    rates = faults(disk_stall=60, disk_full=6, commit_then_error=6, gateway_crash=60, graceful_stop=20, house=60)
    summary = run(Options(seed=1, hours=1.0, directory=tmp_path, rates=rates, market=MARKET))
    assert summary.awards >= 20
    assert summary.trades >= 20
    assert summary.faults >= 60


def test_an_engine_that_never_offers_anything_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(LotKeeper, "_open", lambda _self, _offer, _now_ms: None)
    assert "enough is sold: 0 awards" in outcome(tmp_path, seed=1, rates=FaultRates(), least=Least())


def test_a_world_in_which_nothing_goes_wrong_is_caught(tmp_path: Path) -> None:
    assert "enough goes wrong: 0 faults" in outcome(tmp_path, seed=1, rates=faults(), least=Least())


def test_an_engine_that_accepts_twice_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The lot keeps the quantity that was awarded, and the desk no longer shrinks it to what is free."""

    def sell_and_keep(lot: Any, entry: Any, price_e4: int) -> Any:
        after, award = sell(lot, entry, price_e4)
        return resized(after, after.book.entries, lot.left_steps, lot.power_w), award

    monkeypatch.setattr(importlib.import_module("etp.auction.standing"), "sell", sell_and_keep)
    monkeypatch.setattr(LotKeeper, "_shrink", lambda _self, _offer, _now_ms: None)
    assert "no energy is sold twice: lot" in caught(tmp_path)


def test_a_desk_that_forgets_what_it_promised_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Seller, "promises", lambda _self: Promises())
    text = caught(tmp_path)
    assert "Wh owed" in text or "a shortfall leaves nothing on offer" in text


@pytest.mark.slow
def test_a_desk_that_forgets_the_energy_it_promised_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It knows the power it promised, which is most of what keeps it from selling again."""

    def forgets_energy(*args: Any, promises: Promises, **rest: Any) -> Offer:
        return offer_of(*args, promises=replace(promises, energy_wh=0), **rest)

    monkeypatch.setattr(seller, "offer_of", forgets_energy)
    assert "a shortfall leaves nothing on offer" in caught(tmp_path, market=SCARCE, gauge=60)


@pytest.mark.slow
def test_a_desk_that_keeps_awards_it_cannot_serve_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(seller, "offer_of", lambda *args, **rest: replace(offer_of(*args, **rest), short_wh=0))
    assert "a shortfall leaves nothing on offer" in caught(tmp_path, market=SCARCE, gauge=60)


def test_a_delivery_that_never_sees_the_floor_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(delivery_view, "is_at_floor", lambda *_args, **_rest: False)
    assert "the floor is never crossed" in caught(tmp_path, gauge=60)


def test_an_accept_after_its_limit_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the desk nor the outbox looks at the clock any more while the disk is slow."""
    monkeypatch.setattr(award_book, "ACCEPT_BY_MS", 60_000)
    monkeypatch.setattr(connection, "LIMIT_MS", [60_000] * len(LIMIT_MS))
    assert "nothing is accepted late" in caught(tmp_path, disk_stall=60)


def test_an_accept_that_does_not_wait_for_the_disk_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    append = Journal.append

    def promise(self: Journal, battery: str, kind: Kind, body: Any) -> tuple[int, asyncio.Future[None]]:
        seq, written = append(self, battery, kind, body)
        if kind == Kind.AWARD:
            written = asyncio.get_running_loop().create_future()
            written.set_result(None)
        return seq, written

    monkeypatch.setattr(Journal, "append", promise)
    assert "an Accept leaves only after its record is on disk" in caught(tmp_path)


def forget(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    """Let records of a kind be reported as durable and not be on disk."""
    write = JournalFile.write

    def forgetful(self: JournalFile, rows: Sequence[Any]) -> None:
        write(self, [row for row in rows if row[2] != kind])

    monkeypatch.setattr(JournalFile, "write", forgetful)


def test_a_disk_that_loses_a_confirm_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget(monkeypatch, Kind.CONFIRMED)
    text = caught(tmp_path, gateway_crash=6)
    assert "a confirmed trade survives any crash" in text or "is missing" in text


def test_an_end_that_was_told_and_is_not_on_disk_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget(monkeypatch, Kind.DELIVERY_ENDED)
    text = caught(tmp_path)
    reasons = ("what a buyer is told is on disk", "is missing", "have not ended", "payouts equal receipts")
    assert any(reason in text for reason in reasons)


def test_a_stop_that_leaves_the_battery_alone_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def leave(_self: Delivery, _code: int, _reason: str = "", **_options: float) -> StopReport:
        return StopReport(True, "")

    monkeypatch.setattr(Delivery, "stop_all", leave)
    assert "a stop " in caught(tmp_path, graceful_stop=60)


def test_a_meter_that_bills_the_owners_house_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(delivery_view, "baseline_of", lambda _state, _info: 0)
    assert "payouts equal receipts" in caught(tmp_path, house=60, graceful_stop=60)


def test_a_meter_that_bills_half_at_the_end_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    close = Meter.close

    def halve(self: Meter, key: TradeKey) -> Metered:
        metered = close(self, key)
        return metered._replace(delivered_wh=metered.delivered_wh // 2)

    monkeypatch.setattr(Meter, "close", halve)
    assert "a trade that ends complete got its energy" in caught(tmp_path)


def test_a_meter_that_sees_half_of_what_flows_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It delivers twice what it bills, and believes itself."""
    delivered_mj = metering._Account.delivered_mj
    monkeypatch.setattr(metering._Account, "delivered_mj", lambda self, step_wh: delivered_mj(self, step_wh) // 2)
    assert "what flowed is billed" in caught(tmp_path)


def test_a_coarse_gauge_that_is_believed_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It rounds up to steps of 10 %, nobody looks at the counter in between, and no sun makes good for it."""

    def sells_everything(*scene: Any) -> str:
        return re.sub(r"share_percent = \d+", "share_percent = 100", site_toml(*scene))

    monkeypatch.setattr(world, "site_toml", sells_everything)
    monkeypatch.setitem(DEVICES, "own_power_w", 0)
    monkeypatch.setattr(world, "draw_gauge", lambda _rng: (100, 99))
    monkeypatch.setattr(Gauge, "unseen_wh", lambda _self, _info, **_rest: 0)
    assert "Wh owed" in caught(tmp_path)

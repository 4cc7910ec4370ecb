"""Engines that are broken on purpose must be caught: an invariant that never fires proves nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from agent import award_book
from agent.journal_file import JournalFile
from agent.lots import LotKeeper
from agent.offer import Promises
from agent.records import Kind
from agent.seller import Seller
from etp import connection
from etp.auction.lot import resized, sell
from etp.timing import LIMIT_MS
from simulation.faults import FaultRates
from simulation.world import Failure, Options, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CALM = FaultRates(
    silent=0,
    fault=0,
    hot=0,
    deaf=0,
    disk_stall=0,
    reset=0,
    weather=0,
    gateway_crash=0,
    buyer_crash=0,
    owner_stop=0,
    crash_at_accept=0,
)


def caught(tmp_path: Path, *, seed: int = 1, hours: float = 1.0, rates: FaultRates = CALM) -> str:
    with pytest.raises(Failure) as failure:
        run(Options(seed=seed, hours=hours, directory=tmp_path, rates=rates))
    assert failure.value.seed == seed
    assert failure.value.tail
    return str(failure.value)


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
    assert "Wh owed" in caught(tmp_path, seed=2)


def test_an_accept_after_its_limit_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the desk nor the outbox looks at the clock any more while the disk is slow."""
    monkeypatch.setattr(award_book, "ACCEPT_BY_MS", 60_000)
    monkeypatch.setattr(connection, "LIMIT_MS", [60_000] * len(LIMIT_MS))
    slow_disk = FaultRates(**{**dict.fromkeys(CALM.__slots__, 0), "disk_stall": 60})
    assert "nothing is accepted late" in caught(tmp_path, rates=slow_disk)


def test_a_disk_that_loses_a_confirm_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The record of a Confirm is reported as durable and is not there after the crash."""
    write = JournalFile.write

    def forgetful(self: JournalFile, rows: Sequence[Any]) -> None:
        write(self, [row for row in rows if row[2] != Kind.CONFIRMED])

    monkeypatch.setattr(JournalFile, "write", forgetful)
    crashing = FaultRates(**{**dict.fromkeys(CALM.__slots__, 0), "gateway_crash": 6})
    text = caught(tmp_path, rates=crashing)
    assert "a confirmed trade survives any crash" in text or "is missing" in text

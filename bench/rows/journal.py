"""Commitments on disk: how many a second when many wait at once, against bare fdatasyncs of the same file system."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import uvloop

from agent.clock import wall_ms
from agent.journal import Journal
from bench.children import Child
from bench.report import Figure
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from pathlib import Path

    from bench.settings import Settings

_WRITERS: Final = 64
_BODY: Final = {"peer": "conn:1", "bid_id": 12_345, "price_e4": 400_000, "energy_wh": 500, "power_w": 500, "lot_id": 7}


def run(settings: Settings) -> list[Figure]:
    """Measure grouped commitments, then the bare disk."""
    room = settings.room("journal")
    records = settings.count(6_000, 200)
    per_s, grouped = uvloop.run(_commit(room, records))
    with Child("bench.disk", directory=str(room), size=commit_bytes(settings), every_s=60.0) as disk:
        began_s = time.monotonic()
        times = settings.count(300, 5)
        bare = disk.ask(do="run", times=times)
        bare_per_s = times / (time.monotonic() - began_s)
    return [
        Figure(
            key="journal.commitments_per_s",
            value=per_s,
            unit="/s",
            target=2_000,
            sense=">=",
            note=f"{_WRITERS} wait at once, {grouped:.0f} a group",
        ),
        Figure(key="journal.fdatasync_p99_ms", value=bare["p99_ms"], unit="ms", note=f"p50 {bare['p50_ms']:.2f} ms"),
        Figure(key="journal.ratio_to_fdatasync", value=per_s / bare_per_s, note=f"bare: {bare_per_s:,.0f} a second"),
    ]


def commit_bytes(settings: Settings) -> int:
    """Return what one commitment alone makes the journal write."""
    room = settings.room("commit")

    async def measure() -> int:
        journal = _open(room)
        wal = room / "journal.db-wal"
        before = wal.stat().st_size if wal.exists() else 0
        for _ in range(10):
            await journal.append("battery", "award", _BODY)[1]
        grown = wal.stat().st_size - before
        await journal.close()
        return max(512, grown // 10)

    return uvloop.run(measure())


async def _commit(room: Path, records: int) -> tuple[float, float]:
    journal = _open(room)
    left = iter(range(records))

    async def write() -> None:
        for _ in left:
            await journal.append("battery", "award", _BODY)[1]

    began_s = time.monotonic()
    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    took_s = time.monotonic() - began_s
    groups = journal.stats.groups
    await journal.close()
    return records / took_s, records / groups


def _open(room: Path) -> Journal:
    return Journal.open(room / "journal.db", executor=ThreadExecutor(), wall_ms=wall_ms)

"""The telemetry ring on real SQLite files."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest

from agent.journal_errors import JournalError
from agent.journal_testing import HeldExecutor
from agent.telemetry import BUFFER_MAX, FLUSH_ROWS, Sample, TelemetryRing, read_samples
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "telemetry.db"


def opened(path: Path, executor: Any = None, **options: Any) -> TelemetryRing:
    return TelemetryRing.open(path, executor=executor or ThreadExecutor(), **options)


def sample(n: int) -> Sample:
    return Sample("home", n, soc_permille=n % 1_000, power_w=-n, quality=1)


async def test_samples_come_back_in_order(path: Path) -> None:
    ring = opened(path)
    for n in range(25):
        ring.add(sample(n))
    await ring.close()
    assert read_samples(path) == [(n + 1, sample(n)) for n in range(25)]
    assert read_samples(path, after_id=20, limit=2) == [(21, sample(20)), (22, sample(21))]
    assert ring.dropped == 0


async def test_ten_samples_are_one_commit(path: Path) -> None:
    executor = HeldExecutor()
    ring = opened(path, executor)
    for n in range(9):
        ring.add(sample(n))
    assert executor.held == 0
    ring.add(sample(9))
    ring.add(sample(10))
    ring.flush()
    assert executor.held == 1
    executor.complete()
    assert len(read_samples(path)) == 10
    ring.flush()
    executor.complete()
    assert len(read_samples(path)) == 11


async def test_the_oldest_rows_are_overwritten_and_counted_also_over_a_restart(path: Path) -> None:
    ring = opened(path, rows_max=100)
    for n in range(250):
        ring.add(sample(n))
    await ring.close()
    rows = read_samples(path)
    assert [one.at_ms for _, one in rows] == list(range(150, 250))
    assert ring.dropped == 150
    again = opened(path, rows_max=100)
    assert again.dropped == 150
    await again.close()


async def test_a_stuck_disk_costs_the_oldest_samples_not_memory(path: Path) -> None:
    executor = HeldExecutor()
    ring = opened(path, executor)
    for n in range(BUFFER_MAX + 30):
        ring.add(sample(n))
    assert ring.dropped == 20  # ten are in the executor's hands
    executor.complete()
    executor.complete()
    rows = read_samples(path, limit=2 * BUFFER_MAX)
    assert len(rows) == BUFFER_MAX + 10
    assert ring.dropped == 20


async def test_a_failing_disk_is_counted_and_stops_nothing(path: Path) -> None:
    executor = HeldExecutor()
    ring = opened(path, executor)
    for n in range(15):
        ring.add(sample(n))
    executor.fail(sqlite3.OperationalError("disk I/O error"))
    ring.add(sample(16))
    ring.flush()
    assert isinstance(ring.failed, JournalError)
    assert ring.dropped == 16
    await ring.close()


async def one_sample(path: Path, n: int) -> None:
    ring = opened(path)
    ring.add(sample(n))
    await ring.close()


def test_a_damaged_file_is_set_aside(path: Path) -> None:
    asyncio.run(one_sample(path, 1))
    for damage in (b"\xa5" * 8_192, path.read_bytes()[:4_096] + b"\xa5" * 12_288):
        path.write_bytes(damage)
        asyncio.run(one_sample(path, 2))
        assert [one for _, one in read_samples(path)] == [sample(2)]
        assert path.with_name("telemetry.db.damaged").read_bytes() == damage


def test_no_place_for_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        opened(tmp_path / "file" / "telemetry.db")
    (tmp_path / "telemetry.db").mkdir()
    with pytest.raises(JournalError):
        opened(tmp_path / "telemetry.db")
    with pytest.raises(JournalError):
        read_samples(tmp_path / "none.db")


@pytest.fixture
def open_to_others(path: Path) -> Path:
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    return path


async def test_the_files_are_for_their_owner_only(open_to_others: Path) -> None:
    for place in (open_to_others, open_to_others.with_name("new.db")):
        ring = opened(place)
        for n in range(FLUSH_ROWS):
            ring.add(sample(n))
        found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in place.parent.glob(f"{place.name}*")}
        assert found == dict.fromkeys((place.name, f"{place.name}-wal", f"{place.name}-shm"), 0o600)
        await ring.close()


async def test_files_that_a_crash_left_open_to_others_are_closed_to_them(path: Path) -> None:
    ring = opened(path)
    beside = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    for each in beside:
        each.chmod(0o644)
    again = opened(path)
    assert {stat.S_IMODE(each.stat().st_mode) for each in beside} == {0o600}
    await again.close()
    await ring.close()

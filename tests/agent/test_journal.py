"""The journal through its public door, on real SQLite files."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.journal import (
    PENDING_MAX,
    Journal,
    JournalBusy,
    JournalClosed,
    JournalError,
    JournalFull,
    Record,
)
from agent.journal_testing import HeldExecutor
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from pathlib import Path

WALL_MS = 1_760_000_000_000
FULL = sqlite3.OperationalError("database or disk is full")
FULL.sqlite_errorcode = sqlite3.SQLITE_FULL


def opened(path: Path, executor: Any = None, **options: Any) -> Journal:
    return Journal.open(path, executor=executor or ThreadExecutor(), wall_ms=lambda: WALL_MS, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


def replayed(path: Path) -> list[Record]:
    return list(Journal.open_read_only(path, wall_ms=lambda: 0).replay())


async def test_records_come_back_in_order_with_their_numbers(path: Path) -> None:
    journal = opened(path)
    assert list(journal.replay()) == []
    seq, written = journal.append("home", "award", {"b": 1, "a": [None, True, "ü"]})
    await written
    await journal.append("", "epoch", {})[1]
    assert seq == 1
    assert list(journal.replay()) == [
        Record(1, "home", "award", WALL_MS, {"a": [None, True, "ü"], "b": 1}),
        Record(2, "", "epoch", WALL_MS, {}),
    ]
    await journal.close()
    again = opened(path)
    assert again.append("home", "void", {})[0] == 3
    await again.close()
    assert [record.seq for record in replayed(path)] == [1, 2, 3]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10), st.dictionaries(st.text(), json_values)), max_size=5)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_plain_body_survives(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str, dict[str, Any]]]
) -> None:
    async def run() -> None:
        executor = HeldExecutor()
        journal = opened(tmp_path_factory.mktemp("j") / "j.db", executor)
        kept = []
        for battery, kind, body in entries:
            if kind == "checkpoint":
                continue
            try:
                seq, _ = journal.append(battery, kind, body)
            except ValueError:
                continue
            kept.append(Record(seq, battery, kind, WALL_MS, body))
        while executor.held:
            executor.complete()
        assert journal.failed is None
        assert list(journal.replay()) == kept
        journal.abandon()

    asyncio.run(run())


async def test_text_that_no_disk_can_hold_is_refused_and_uses_up_no_number(path: Path) -> None:
    journal = opened(path)
    for battery, body in (("\ud800", {}), ("home", {"x": float("nan")}), ("home", {"x": object()})):
        with pytest.raises((TypeError, ValueError)):
            journal.append(battery, "award", body)
    seq, written = journal.append("home", "award", {"x": "\ud800"})
    await written
    assert seq == 1
    assert next(journal.replay()).body == {"x": "\ud800"}
    await journal.close()


async def test_a_future_is_done_only_when_the_group_is_on_disk(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    first = [journal.append("home", "award", {"n": n})[1] for n in range(5)]
    assert executor.held == 1
    assert not any(future.done() for future in first)
    executor.complete()
    assert all(future.done() for future in first)
    assert journal.stats == (5, 1, 5, 0, 5)
    late = journal.append("home", "award", {})[1]
    assert journal.stats.pending == 1
    executor.complete()
    assert late.done()
    journal.abandon()


async def test_what_is_queued_while_a_group_is_written_goes_in_the_next_group(path: Path) -> None:
    class Reentrant(HeldExecutor):
        def submit(self, job: Any, done: Any) -> None:
            def job_then_more() -> None:
                job()
                if not more:
                    more.append(journal.append("home", "award", {"n": 2})[1])

            super().submit(job_then_more, done)

    more: list[asyncio.Future[None]] = []
    executor = Reentrant()
    journal = opened(path, executor)
    journal.append("home", "award", {"n": 1})
    executor.complete()
    assert not more[0].done()
    executor.complete()
    assert more[0].done()
    assert journal.stats.groups == 2
    journal.abandon()


async def test_a_failed_disk_fails_everything_that_waits_and_all_that_follows(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    told: list[JournalError] = []
    journal.on_failure = told.append
    futures = [journal.append("home", "award", {})[1] for _ in range(3)]
    futures[1].cancel()
    executor.fail(FULL)
    assert [type(futures[n].exception()) for n in (0, 2)] == [JournalFull, JournalFull]
    assert told == [journal.failed]
    for _ in range(2):
        with pytest.raises(JournalFull, match="raise journal_max_mb"):
            journal.append("home", "award", {})
    assert executor.held == 0
    journal.abandon()
    assert replayed(path) == []


async def test_a_full_disk_is_reported_and_what_was_acknowledged_is_there_afterwards(path: Path) -> None:
    journal = opened(path, max_bytes=64 << 10)
    acknowledged = 0
    while journal.failed is None:
        [outcome] = await asyncio.gather(
            journal.append("home", "award", {"text": "x" * 500})[1], return_exceptions=True
        )
        acknowledged += outcome is None
    assert isinstance(outcome, JournalFull)
    assert acknowledged > 10
    await journal.close()
    again = opened(path)
    assert [record.seq for record in again.replay()] == list(range(1, acknowledged + 1))
    assert again.append("home", "award", {})[0] == acknowledged + 1
    await again.close()


FILE_SIZE_LIMIT = """
import asyncio, resource, sys
from pathlib import Path
from agent.journal import Journal, JournalError
from settlement.executor import ThreadExecutor

async def main() -> None:
    journal = Journal.open(Path(sys.argv[1]), executor=ThreadExecutor(), wall_ms=lambda: 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        while True:
            print(journal.append("home", "award", {"text": "x" * 500})[0])
            await journal.append("home", "award", {"text": "x" * 500})[1]
    except JournalError as error:
        print(type(error).__name__, error)
    await journal.close()

asyncio.run(main())
"""


def test_a_write_that_the_system_refuses_is_reported(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILE_SIZE_LIMIT, str(path)], capture_output=True, text=True, check=True
    )
    *numbers, verdict = done.stdout.splitlines()
    assert str(path) in verdict
    assert "disk" in verdict
    assert len(replayed(path)) >= len(numbers) - 1


async def test_too_many_records_waiting_are_refused(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    for _ in range(PENDING_MAX):
        journal.append("home", "award", {})
    with pytest.raises(JournalFull, match="wait for the disk"):
        journal.append("home", "award", {})
    assert journal.failed is None
    while executor.held:
        executor.complete()
    assert journal.append("home", "award", {})[0] == PENDING_MAX + 1
    assert journal.stats.largest_group == 1_000
    journal.abandon()


async def test_a_second_start_is_refused(path: Path) -> None:
    journal = opened(path)
    with pytest.raises(JournalBusy, match=r"journal\.db: in use by another agent \(process \d+\)"):
        opened(path)
    await journal.close()
    again = opened(path)
    await again.close()


async def test_close_writes_what_waits_and_is_final(path: Path) -> None:
    journal = opened(path)
    futures = [journal.append("home", "award", {})[1] for _ in range(50)]
    await asyncio.gather(journal.close(), journal.close())
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(JournalClosed):
        journal.append("home", "award", {})
    await journal.close()
    assert len(replayed(path)) == 50


@pytest.mark.parametrize("reached_disk", [True, False])
async def test_a_power_cut_loses_only_what_nobody_was_told(path: Path, *, reached_disk: bool) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    told = journal.append("home", "award", {})[1]
    executor.complete()
    untold = journal.append("home", "award", {})[1]
    executor.cut_power(reached_disk=reached_disk)
    journal.abandon()
    assert told.done()
    assert not untold.done()
    assert executor.closed
    assert [record.seq for record in replayed(path)] == ([1, 2] if reached_disk else [1])
    again = opened(path)
    assert again.append("home", "award", {})[0] == (3 if reached_disk else 2)
    again.abandon()
    again.abandon()


async def test_abandoned_in_the_middle_of_real_writes_the_lock_is_free(path: Path) -> None:
    journal = opened(path)
    for _ in range(100):
        journal.append("home", "award", {})
    journal.abandon()
    again = opened(path)
    seqs = [record.seq for record in again.replay()]
    assert seqs == list(range(1, len(seqs) + 1))
    await again.close()


async def test_replay_starts_at_the_newest_checkpoint(path: Path) -> None:
    journal = opened(path)
    for kind in ("award", "checkpoint", "award", "checkpoint", "award", "award"):
        await journal.append("home", kind, {})[1]
    assert [record.seq for record in journal.replay()] == [4, 5, 6]
    await journal.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from agent.journal import Journal
from settlement.executor import ThreadExecutor

async def seller(journal: Journal, name: str) -> None:
    while True:
        seq, written = journal.append(name, "award", {"name": name, "text": "x" * 200})
        await written
        sys.stdout.write(f"{seq}\\n")
        sys.stdout.flush()

async def main() -> None:
    journal = Journal.open(Path(sys.argv[1]), executor=ThreadExecutor(), wall_ms=lambda: 0)
    await asyncio.gather(*(seller(journal, f"b{n}") for n in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledgements", [1, 300, 2_000])
async def test_kill_9_loses_no_acknowledged_record(path: Path, acknowledgements: int) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    acknowledged = [int(await child.stdout.readline()) for _ in range(acknowledgements)]
    child.kill()
    acknowledged += [int(line) for line in (await child.stdout.read()).split(b"\n")[:-1]]
    await child.wait()
    journal = opened(path)
    found = [record.seq for record in journal.replay()]
    assert found == list(range(1, len(found) + 1))
    assert set(acknowledged) <= set(found)
    assert journal.append("home", "award", {})[0] == len(found) + 1
    await journal.close()


def test_the_journal_loads_no_maintenance_tools(path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from agent.journal import Journal\n"
        "from settlement.executor import ThreadExecutor\n"
        "Journal.open(pathlib.Path(sys.argv[1]), executor=ThreadExecutor(), wall_ms=lambda: 0).abandon()\n"
        "print([m for m in ('sqlite_utils', 'numpy', 'pydantic') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_the_next_start_hears_that_this_process_went_on_after_its_journal_had_failed(path: Path) -> None:
    outlived: list[bool] = []
    for failure in (None, FULL, FULL, None, None):
        executor = HeldExecutor()
        journal = opened(path, executor)
        outlived += [books.outlived for books in journal.books().values()]
        journal.append("home", "owner", {"action": "stop"})
        if failure is None:
            executor.complete()
        else:
            executor.fail(failure)
        journal.abandon()
    assert outlived == [False, True, True, False]
    assert not journal.path.with_name("journal.db.outlived").exists()


async def test_a_failure_that_cannot_be_marked_is_a_failure_like_any_other(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    journal._outlived_path = path.parent / "nowhere" / "mark"
    told: list[JournalError] = []
    journal.on_failure = told.append
    journal.append("home", "award", {})
    executor.fail(FULL)
    assert told == [journal.failed]
    journal.abandon()

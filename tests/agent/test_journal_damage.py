"""A journal whose file or place is damaged, foreign, missing or read-only."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from agent.journal import Journal, JournalCorrupt, JournalError, JournalReadOnly, Record
from agent.journal_executor import ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def opened(path: Path) -> Journal:
    return Journal.open(path, executor=ThreadExecutor(), wall_ms=lambda: 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


async def write(path: Path, count: int) -> None:
    journal = opened(path)
    await asyncio.gather(*(journal.append("home", "award", {"n": n})[1] for n in range(count)))
    await journal.close()


def replayed(path: Path) -> list[Record]:
    return list(Journal.open_read_only(path, wall_ms=lambda: 0).replay())


class TestDamage:
    @pytest.fixture
    async def written(self, path: Path) -> Path:
        await write(path, 200)
        return path

    def _sql(self, path: Path, statement: str) -> None:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute(statement)
        connection.close()

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE records SET body = '{\"n\":999}' WHERE seq = 100",
            "UPDATE records SET at_ms = at_ms + 1 WHERE seq = 100",
            "UPDATE records SET battery = 'other' WHERE seq = 100",
            "UPDATE records SET crc = 0 WHERE seq = 100",
        ],
    )
    async def test_a_changed_record_stops_the_replay_but_not_the_reading(self, written: Path, statement: str) -> None:
        self._sql(written, statement)
        journal = opened(written)
        with pytest.raises(JournalCorrupt, match=r"journal\.db: record 100 fails its checksum; keep the file"):
            list(journal.replay())
        await journal.close()
        reader = Journal.open_read_only(written, wall_ms=lambda: 0)
        assert len(list(reader.replay())) == 199
        assert reader.damage == ["record 100 fails its checksum"]

    @pytest.mark.parametrize("missing", [1, 100])
    async def test_a_missing_record_stops_the_replay(self, written: Path, missing: int) -> None:
        self._sql(written, f"DELETE FROM records WHERE seq = {missing}")
        journal = opened(written)
        with pytest.raises(JournalCorrupt, match=f"record {missing} is missing"):
            list(journal.replay())
        journal.abandon()

    @pytest.mark.parametrize(
        ("page", "readable"),
        [
            pytest.param(0, 0, id="header"),
            pytest.param(2, 2_000, id="index only"),
            pytest.param(9, 1_850, id="records in the middle"),
        ],
    )
    async def test_a_damaged_file_refuses_to_sell_and_says_what_to_do(
        self, path: Path, page: int, readable: int
    ) -> None:
        await write(path, 2_000)
        with path.open("r+b") as file:
            file.seek(page * 4096)
            file.write(b"\xa5" * 1500)
        with pytest.raises(JournalCorrupt, match="move it and its -wal and -shm files away") as caught:
            opened(path)
        reader = Journal.open_read_only(path, wall_ms=lambda: 0, why=caught.value)
        assert reader.failed is caught.value
        found = [record.seq for record in reader.replay()]
        assert found == sorted(set(found))
        assert readable <= len(found)
        assert readable == 0 or found[-1] == 2_000
        assert bool(reader.damage) == (len(found) < 2_000)
        with pytest.raises(JournalCorrupt):
            reader.append("home", "award", {})
        await reader.close()

    @pytest.mark.parametrize("damaged", [False, True])
    async def test_a_large_file_is_checked_beside_the_work(self, path: Path, *, damaged: bool) -> None:
        journal = opened(path)
        text = "x" * 100_000
        await asyncio.gather(*(journal.append("home", "award", {"text": text})[1] for _ in range(100)))
        await journal.append("", "checkpoint", {})[1]
        await journal.close()
        if damaged:
            with path.open("r+b") as file:
                file.seek(10 * 4096)
                file.write(b"\xa5" * 4096)
        journal = opened(path)
        told: list[JournalError] = []
        journal.on_failure = told.append
        assert [record.kind for record in journal.replay()] == ["checkpoint"]
        await journal.check()
        await journal.check()
        assert [type(error) for error in told] == ([JournalCorrupt] if damaged else [])
        if not damaged:
            await journal.append("home", "award", {})[1]
        await journal.close()
        await journal.check()

    async def test_another_database_is_not_touched(self, path: Path) -> None:
        path.parent.mkdir()
        self._sql(path, "CREATE TABLE recipes (name TEXT)")
        with pytest.raises(JournalCorrupt, match="not a journal"):
            opened(path)

    async def test_a_file_of_a_newer_release_is_not_touched(self, written: Path) -> None:
        self._sql(written, "PRAGMA user_version = 99")
        with pytest.raises(JournalError, match="written by a newer release"):
            opened(written)

    def test_no_file_at_all_reads_as_nothing(self, tmp_path: Path) -> None:
        reader = Journal.open_read_only(tmp_path / "none.db", wall_ms=lambda: 0)
        assert list(reader.replay()) == []
        assert reader.damage


@pytest.fixture
def frozen(path: Path) -> Iterator[Path]:
    """A journal that nobody may write; root may do anything, so for root its place is taken by a directory."""
    asyncio.run(write(path, 3))
    lock = path.with_name(path.name + ".lock")
    lock.unlink()
    lock.mkdir()
    yield path
    lock.rmdir()


def test_a_journal_that_cannot_be_written_says_so_and_can_still_be_read(frozen: Path) -> None:
    with pytest.raises(JournalReadOnly, match="check owner, mode and mount"):
        opened(frozen)
    assert len(replayed(frozen)) == 3


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalReadOnly):
        opened(tmp_path / "file" / "journal.db")

"""A journal whose file or place is damaged, foreign, missing or read-only."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from agent.journal import Journal, JournalCorrupt, JournalError, JournalFull, JournalReadOnly, Record
from agent.journal_errors import journal_error
from settlement.executor import ThreadExecutor

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

    def test_an_empty_file_is_damage_and_stays_as_it_is(self, path: Path) -> None:
        asyncio.run(write(path, 200))
        wal = path.with_name("journal.db-wal")
        wal.write_bytes(b"what a crash left" * 100)
        os.truncate(path, 0)
        with pytest.raises(JournalCorrupt, match=r"empty \(0 bytes\).*; keep the file for examination") as caught:
            opened(path)
        reader = Journal.open_read_only(path, wall_ms=lambda: 0, why=caught.value)
        assert list(reader.replay()) == []
        assert "empty" in reader.damage[0]
        assert path.stat().st_size == 0
        assert wal.read_bytes() == b"what a crash left" * 100

    def test_a_log_without_its_journal_is_damage_and_stays_as_it_is(self, path: Path) -> None:
        asyncio.run(write(path, 200))
        path.rename(path.with_name("journal.db-wal"))
        before = path.with_name("journal.db-wal").read_bytes()
        with pytest.raises(JournalCorrupt, match=r"missing, but journal\.db-wal holds records of it"):
            opened(path)
        assert path.with_name("journal.db-wal").read_bytes() == before
        assert not path.exists()

    def test_what_a_power_cut_left_of_a_journal_in_the_making_is_no_journal(self, path: Path) -> None:
        path.parent.mkdir()
        for name in ("journal.db.new", "journal.db.new-journal"):
            path.with_name(name).write_bytes(b"half of something")
        asyncio.run(write(path, 3))
        assert len(replayed(path)) == 3
        assert not list(path.parent.glob("journal.db.new*"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_link_leads_to_the_journal_and_stays_a_link(self, path: Path, tmp_path: Path) -> None:
        path.parent.mkdir()
        path.symlink_to(tmp_path / "elsewhere.db")
        asyncio.run(write(path, 3))
        assert path.is_symlink()
        assert len(replayed(tmp_path / "elsewhere.db")) == 3

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


class TestNoRoom:
    """Who runs out of room is told which room: the disk's, the file's own, or what the system allows."""

    @staticmethod
    def _disk(monkeypatch: pytest.MonkeyPatch, *, free_blocks: int, free_names: int = 100) -> None:
        given = os.statvfs("/")
        values = {"f_frsize": 4096, "f_bavail": free_blocks, "f_files": 1_000, "f_favail": free_names}
        names = [name for name in dir(given) if name.startswith("f_")]
        fake = SimpleNamespace(**{**{name: getattr(given, name) for name in names}, **values})
        monkeypatch.setattr(os, "statvfs", lambda _path: fake)

    @staticmethod
    def _sqlite(code: int, text: str) -> sqlite3.Error:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        return error

    @pytest.mark.parametrize("names", [0, 100], ids=["no names", "no blocks"])
    @pytest.mark.parametrize(
        "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CANTOPEN]
    )
    def test_a_full_disk_is_named_whatever_sqlite_says(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, code: int, names: int
    ) -> None:
        self._disk(monkeypatch, free_blocks=10 if names else 100_000, free_names=names)
        told = journal_error(path, self._sqlite(code, "disk I/O error"))
        assert isinstance(told, JournalFull)
        assert "no room left on its disk" in str(told)
        assert "journal_max_mb" not in str(told)

    def test_a_file_that_is_full_on_a_disk_that_is_not(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._disk(monkeypatch, free_blocks=100_000)
        full = self._sqlite(sqlite3.SQLITE_FULL, "database or disk is full")
        told = journal_error(path, full)
        assert isinstance(told, JournalFull)
        assert "raise journal_max_mb" in str(told)
        telemetry = journal_error(path, full, has_largest_size=False)
        assert "no room left on its disk" in str(telemetry)
        assert "journal_max_mb" not in str(telemetry)

    def test_an_error_of_a_disk_with_room_is_no_lack_of_it(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._disk(monkeypatch, free_blocks=100_000)
        told = journal_error(path, self._sqlite(sqlite3.SQLITE_IOERR_READ, "disk I/O error"))
        assert not isinstance(told, JournalFull)
        assert "check the disk" in str(told)

    @pytest.mark.parametrize(
        ("number", "advice"),
        [(errno.ENOSPC, "free some there"), (errno.EDQUOT, "free some there"), (errno.EFBIG, "raise that limit")],
    )
    def test_the_system_names_the_room_itself(self, path: Path, number: int, advice: str) -> None:
        told = journal_error(path, OSError(number, os.strerror(number)))
        assert isinstance(told, JournalFull)
        assert "no room left" in str(told)
        assert advice in str(told)
        assert "journal_max_mb" not in str(told)

    async def test_a_start_on_a_full_disk_says_so(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        await write(path, 3)
        self._disk(monkeypatch, free_blocks=0)
        error = self._sqlite(sqlite3.SQLITE_IOERR_SHMSIZE, "disk I/O error")
        monkeypatch.setattr("agent.journal_file._connect", Mock(side_effect=error))
        with pytest.raises(JournalFull, match="no room left on its disk"):
            opened(path)

"""Creating and migrating the journal's tables."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from agent.journal import Journal, UpkeepRules
from agent.journal_errors import JournalError
from agent.journal_file import row_of
from agent.journal_schema import MIGRATIONS, Migration, bring_up_to_date
from agent.journal_testing import HeldExecutor

if TYPE_CHECKING:
    from pathlib import Path

NEXT = Migration("notes", ("CREATE TABLE notes (text TEXT) STRICT", "INSERT INTO notes VALUES ('moved')"))
BROKEN = Migration("broken", ("CREATE TABLE later (text TEXT)", "INSERT INTO nowhere VALUES (1)"))


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_new_file_is_at_the_newest_version_at_once(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    connection = connect(path)
    bring_up_to_date(connection, path, (*MIGRATIONS, NEXT))
    assert version(connection) == len(MIGRATIONS) + 1
    assert connection.execute("SELECT text FROM notes").fetchall() == [("moved",)]
    bring_up_to_date(connection, path, (*MIGRATIONS, NEXT))
    connection.close()


def test_an_older_file_is_brought_forward_and_keeps_its_records(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    connection = connect(path)
    bring_up_to_date(connection, path)
    connection.execute("INSERT INTO records VALUES (1, 'home', 'award', 0, '{}', 0)")
    bring_up_to_date(connection, path, (*MIGRATIONS, NEXT))
    assert version(connection) == len(MIGRATIONS) + 1
    assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)
    applied = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
    assert applied == [("wattbid-journal", "notes")]
    connection.close()


async def test_a_journal_from_before_the_archive_can_be_pruned(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    connection = connect(path)
    bring_up_to_date(connection, path, MIGRATIONS[:1])
    rows = [row_of(seq, "home", "owner", 0, {"action": "stop"}) for seq in range(1, 101)]
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    executor = HeldExecutor()
    rules = UpkeepRules(checkpoint_every=10, whole_rows=0)
    journal = Journal.open(path, executor=executor, wall_ms=lambda: 0, rules=rules)
    assert journal.books()["home"].stopped
    journal.checkpoint()
    while executor.held:
        executor.complete()
    assert journal.failed is None
    journal.abandon()
    connection = connect(path)
    assert connection.execute("SELECT count(*) FROM archive").fetchone() == (100,)
    assert connection.execute("SELECT kind FROM records").fetchall() == [("checkpoint",)]
    connection.close()


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    connection = connect(path)
    bring_up_to_date(connection, path)
    with pytest.raises(sqlite3.Error):
        bring_up_to_date(connection, path, (*MIGRATIONS, NEXT, BROKEN))
    assert version(connection) == len(MIGRATIONS) + 1
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'later'").fetchall() == []
    connection.close()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    connection = connect(path)
    connection.execute("PRAGMA user_version = 7")
    with pytest.raises(JournalError, match="schema 7"):
        bring_up_to_date(connection, path)
    connection.close()

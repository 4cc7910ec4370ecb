"""The journal's tables as a list of named migrations; `PRAGMA user_version` says how many a file has had.

A new file gets every migration from the standard library's driver in one transaction. An older file is brought forward
by sqlite-utils, imported only then: it costs memory and start time that an agent should not pay, and it imports numpy
where that is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agent.journal_errors import KEEP_AND_RESTORE, JournalCorrupt, JournalError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlite_utils.db import Database

MIGRATION_SET: Final = "wattbid-journal"


class Migration(NamedTuple):
    """One step of the schema; a released step never changes, it is only followed by another."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        "records",
        (
            """CREATE TABLE records (
                seq INTEGER PRIMARY KEY,
                battery TEXT NOT NULL,
                kind TEXT NOT NULL,
                at_ms INTEGER NOT NULL,
                body TEXT NOT NULL,
                crc INTEGER NOT NULL
            ) STRICT""",
            # Replay starts at the newest checkpoint; the partial index finds it without a scan.
            "CREATE INDEX checkpoints ON records (seq) WHERE kind = 'checkpoint'",
        ),
    ),
    Migration(
        "archive",
        (
            # The audit trail of what a checkpoint stands for. Left among the records it would keep every page of theirs
            # in use, because new rows only go to the end; in a table of its own it is dense.
            """CREATE TABLE archive (
                seq INTEGER PRIMARY KEY,
                battery TEXT NOT NULL,
                kind TEXT NOT NULL,
                at_ms INTEGER NOT NULL,
                body TEXT NOT NULL,
                crc INTEGER NOT NULL
            ) STRICT""",
        ),
    ),
)


def bring_up_to_date(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Create the tables in an empty file or migrate an older one; the connection must be in autocommit mode.

    Raises JournalCorrupt when the file holds something else, JournalError when a newer release wrote it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == len(migrations):
        return
    if version > len(migrations):
        raise JournalError(
            path,
            f"written by a newer release (schema {version}, this one knows {len(migrations)}); "
            "install that release again or start with another file",
        )
    if version > 0:
        _upgrade(path, version, migrations)
        return
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
        raise JournalCorrupt(path, f"not a journal: it has tables but no schema version; {KEEP_AND_RESTORE}")
    connection.execute("BEGIN IMMEDIATE")
    for migration in migrations:
        for statement in migration.statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("COMMIT")


def _upgrade(path: Path, version: int, migrations: Sequence[Migration]) -> None:
    """Apply the steps a file lacks, each in a transaction of its own, and record them."""
    from sqlite_utils import Database, Migrations  # noqa: PLC0415 - see the module's docstring

    steps = Migrations(MIGRATION_SET)
    for number, migration in enumerate(migrations[version:], start=version + 1):
        steps(name=migration.name)(_step(migration, number))
    database = Database(path)
    try:
        steps.apply(database)
    finally:
        database.close()


def _step(migration: Migration, number: int) -> Callable[[Database], None]:
    """Return the function that sqlite-utils runs for one migration."""

    def apply_step(db: Database) -> None:
        for statement in (*migration.statements, f"PRAGMA user_version = {number}"):
            db.execute(statement)

    return apply_step

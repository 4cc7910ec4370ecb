"""The outbox on real files: what was awaited is there, whatever happens to the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.errors import OutboxError
from settlement.executor import ThreadExecutor
from settlement.outbox import Outbox
from settlement.outbox_file import (
    ATTEMPTS_MAX,
    WISHES_MAX,
    OutboxFile,
    leave_wishes,
    read_outbox,
    read_trade,
)
from settlement.outbox_records import (
    Attempt,
    AttemptState,
    Outcome,
    TradeRecord,
    attempt_from_json,
    attempt_to_json,
    trade_from_json,
    trade_to_json,
)
from settlement.settler_types import Stage
from tests.settlement.settler.cheques import cheque, numbered, with_final, with_interim

if TYPE_CHECKING:
    from pathlib import Path

RECORD = TradeRecord(cheque=cheque())
OUTCOME = Outcome(
    delivered_wh=2_500,
    payout=628_250,
    fee=3_141,
    returned=0,
    unpaid=0,
    how="co-signed",
    signature=bytes(range(64)),
)
SETTLED = replace(RECORD, stage=Stage.SETTLED, outcome=OUTCOME)
ATTEMPT = Attempt(
    seq=1,
    subject=RECORD.trade_id,
    action="settle",
    number=1,
    transaction=b"bytes",
    signature=bytes(range(64)),
    blockhash=bytes(32),
    last_valid_block_height=1_050,
    slot=1_000,
    price=0,
)


@given(
    seen_wh=st.none() | st.integers(0, 2**64 - 1),
    stage=st.sampled_from(Stage),
    outcome=st.none() | st.just(OUTCOME),
    signature=st.none() | st.binary(min_size=64, max_size=64),
    problem=st.none() | st.text(),
    cosigned=st.booleans(),
)
def test_a_trade_is_read_as_it_was_written(
    seen_wh: int | None,
    stage: Stage,
    outcome: Outcome | None,
    signature: bytes | None,
    problem: str | None,
    *,
    cosigned: bool,
) -> None:
    one = with_interim(with_final(cheque(), 2_000, cosigned=cosigned), 1_000)
    record = TradeRecord(
        cheque=one, seen_wh=seen_wh, stage=stage, outcome=outcome, signature=signature, problem=problem, due_at_s=5
    )
    assert trade_from_json(trade_to_json(record)) == record


@given(state=st.sampled_from(AttemptState), error=st.none() | st.text())
def test_an_attempt_is_read_as_it_was_written(state: AttemptState, error: str | None) -> None:
    attempt = replace(ATTEMPT, state=state, error=error)
    assert attempt_from_json(attempt.seq, attempt.subject, attempt_to_json(attempt)) == attempt


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"role": 1}', trade_to_json(RECORD).replace("contract", "x")]
)
def test_a_text_that_is_no_trade_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        trade_from_json(text)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    file = OutboxFile.open(path)
    other = TradeRecord(cheque=numbered(8))
    file.write([RECORD, ATTEMPT, replace(other, stage=Stage.EXPIRED)])
    file.close()
    file = OutboxFile.open(path)
    loaded = file.load()
    assert loaded.open_trades == [RECORD]
    assert loaded.recent == loaded.given_up == [replace(other, stage=Stage.EXPIRED)]
    assert loaded.open_attempts == [ATTEMPT]
    assert loaded.attempts == {RECORD.trade_id: 1}
    assert loaded.last_seq == 1
    assert loaded.stages == {"waiting": 1, "expired": 1}
    assert file.find(other.trade_id) == replace(other, stage=Stage.EXPIRED)
    assert file.find(bytes(32)) is None
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600


_CHILD = """
import sys
from pathlib import Path
from settlement.outbox_file import OutboxFile
from tests.settlement.settler.test_outbox import ATTEMPT, RECORD
file = OutboxFile.open(Path(sys.argv[1]))
file.write([RECORD, ATTEMPT])
print("written", flush=True)
sys.stdin.read()
"""


def test_what_was_written_survives_a_kill_and_the_lock_does_not(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        with pytest.raises(OutboxError, match=f"in use by process {child.pid}"):
            OutboxFile.open(path)
        assert [record for record, _ in read_outbox(path)] == [RECORD], "readers need no lock"
        child.send_signal(signal.SIGKILL)
    file = OutboxFile.open(path)
    assert file.load().open_attempts == [ATTEMPT]
    file.close()


def test_a_group_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = OutboxFile.open(tmp_path / "outbox.db")
    bad = replace(ATTEMPT, seq=2**70)
    with pytest.raises(OverflowError):
        file.write([RECORD, bad])
    assert file.load().open_trades == []
    file.write([RECORD])
    assert file.load().open_trades == [RECORD]
    file.close()


def test_a_full_disk_is_said_and_nothing_changes(tmp_path: Path) -> None:
    file = OutboxFile.open(tmp_path / "outbox.db", max_bytes=60_000)
    file.write([RECORD])
    with pytest.raises(OutboxError, match="no room for another record; make room on the disk"):
        file.write([TradeRecord(cheque=numbered(number)) for number in range(20, 60)])
    assert file.load().open_trades == [RECORD]
    file.close()


@pytest.mark.parametrize("table", ["trades", "attempts"])
def test_a_bit_that_rots_is_found(tmp_path: Path, table: str) -> None:
    path = tmp_path / "outbox.db"
    file = OutboxFile.open(path)
    file.write([RECORD, ATTEMPT])
    file.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE {table} SET body = replace(body, '\"price\":0', '\"price\":1')")
        connection.execute(f'UPDATE {table} SET body = replace(body, \'"stage":"waiting"\', \'"stage":"settled"\')')
    file = OutboxFile.open(path)
    with pytest.raises(OutboxError, match="fails its checksum; move it away"):
        file.load()
    file.close()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 100, b"\0" * 4096])
def test_another_file_is_not_taken_for_an_outbox(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(content)
    with pytest.raises(OutboxError, match=str(path)):
        OutboxFile.open(path).load()
    assert path.read_bytes()[: len(content)] == content


def test_somebody_elses_database_and_a_newer_release_are_refused(tmp_path: Path) -> None:
    for name, statement, problem in (
        ("a.db", "CREATE TABLE x (y)", "holds something else"),
        ("b.db", "PRAGMA user_version = 9", "written by a newer release"),
    ):
        with closing(sqlite3.connect(tmp_path / name, isolation_level=None)) as connection:
            connection.execute(statement)
        with pytest.raises(OutboxError, match=problem):
            OutboxFile.open(tmp_path / name)


def test_only_so_many_trades_that_are_over_stay(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    file = OutboxFile.open(path, done_max=100)
    file.write([RECORD])
    for number in range(100, 1_150):
        record = replace(TradeRecord(cheque=numbered(number)), stage=Stage.SETTLED)
        attempt = replace(ATTEMPT, seq=number, subject=record.trade_id).ended(AttemptState.LANDED)
        file.write([record, attempt])
    file.close()
    with closing(sqlite3.connect(path)) as connection:
        (trades,) = connection.execute("SELECT count(*) FROM trades WHERE done").fetchone()
        (attempts,) = connection.execute("SELECT count(*) FROM attempts").fetchone()
    assert 100 <= trades < 100 + 500
    assert attempts == trades
    newest, oldest_kept = next(iter(read_outbox(path, limit=1)))[0], list(read_outbox(path, limit=10_000))[-1][0]
    assert newest.cheque.contract.contract_no == 1_149
    assert oldest_kept == RECORD, "what is open stays, however old"


def test_only_so_many_attempts_of_one_trade_stay(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    file = OutboxFile.open(path)
    for number in range(1, 60):
        file.write([replace(ATTEMPT, seq=number, number=number).ended(AttemptState.FAILED, "because")])
    file.write([RECORD])
    assert file.load().attempts == {RECORD.trade_id: 59}
    file.close()
    ((_, attempts),) = read_outbox(path)
    assert [attempt.number for attempt in attempts] == list(range(60 - ATTEMPTS_MAX, 60))


def test_wishes_reach_the_settler_beside_its_lock_once(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with pytest.raises(OutboxError, match="is not there"):
        leave_wishes(path, [RECORD.trade_id])
    file = OutboxFile.open(path)
    leave_wishes(path, [RECORD.trade_id, bytes(32)])
    leave_wishes(path, [RECORD.trade_id])
    assert set(file.take_wishes()) == {RECORD.trade_id, bytes(32)}
    assert file.take_wishes() == ()
    with pytest.raises(OutboxError, match="0 wishes wait"):
        leave_wishes(path, [n.to_bytes(32, "little") for n in range(WISHES_MAX + 1)])
    file.close()


def test_a_trade_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    file = OutboxFile.open(path)
    file.write([RECORD, ATTEMPT, TradeRecord(cheque=numbered(9))])
    file.close()
    assert read_trade(path, RECORD.trade_id[:4]) == [(RECORD, (ATTEMPT,))]
    assert read_trade(path, RECORD.trade_id) == [(RECORD, (ATTEMPT,))]
    assert len(read_trade(path, b"")) == 2
    with pytest.raises(OutboxError, match="is not there"):
        list(read_outbox(tmp_path / "other.db"))


async def test_saves_of_one_moment_are_one_commit(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", ThreadExecutor())
    await outbox.open()
    statements: list[str] = []
    assert outbox._file is not None
    outbox._file._connection.set_trace_callback(statements.append)
    records = [TradeRecord(cheque=numbered(number)) for number in range(20, 60)]
    await asyncio.gather(*(outbox.save(record) for record in records))
    assert statements.count("COMMIT") == 2, "the first alone, all the others together"
    assert await outbox.find(records[5].trade_id) == records[5]
    await outbox.close()


async def test_who_saves_is_told_of_the_failure_and_the_next_save_works(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", ThreadExecutor())
    await outbox.open()
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as connection:
        connection.execute("ALTER TABLE attempts RENAME TO elsewhere")
        with pytest.raises(OutboxError, match="no such table"):
            await outbox.save(ATTEMPT)
        connection.execute("ALTER TABLE elsewhere RENAME TO attempts")
    await outbox.save(ATTEMPT)
    await outbox.close()


async def test_an_outbox_in_use_is_said_at_once(tmp_path: Path) -> None:
    first, second = (Outbox(tmp_path / "outbox.db", ThreadExecutor()) for _ in range(2))
    await first.open()
    with pytest.raises(OutboxError, match=f"in use by process {os.getpid()}"):
        await second.open()
    await second.close()
    await first.close()
    await second.open()
    await second.close()


def test_a_copy_of_the_cheque_adds_what_it_knows() -> None:
    record = RECORD.joined(with_final(cheque(), cosigned=False), None)
    assert record.joined(record.cheque, None) is record
    both = record.joined(with_final(cheque(), cosigned=True), 2_400)
    assert both.cheque.final is not None
    assert both.cheque.final.is_cosigned
    assert both.seen_wh == 2_400
    assert replace(record, stage=Stage.EXPIRED).joined(both.cheque, None).stage is Stage.WAITING
    assert SETTLED.joined(both.cheque, None).stage is Stage.SETTLED


def test_a_view_shows_the_ledgers_figures_once_they_are_known() -> None:
    view = replace(SETTLED, cheque=with_final(cheque(), 2_000, cosigned=True)).view()
    assert (view.delivered_wh, view.payout, view.fee, view.returned, view.is_done) == (2_500, 628_250, 3_141, 0, True)
    before = replace(RECORD, cheque=with_final(cheque(), 2_000, cosigned=True)).view()
    assert (before.delivered_wh, before.payout, before.signature, before.is_done) == (2_000, None, None, False)

"""A journal that keeps itself short: checkpoints while it runs, pruning behind them, and a word before it is full."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import records
from agent.books import books_of
from agent.journal import Journal, JournalCorrupt, JournalError, JournalFull, Record, UpkeepRules
from agent.journal_testing import HeldExecutor
from agent.journal_upkeep import PORTION_ROWS
from agent.records import AUDIT_TRAIL, Deal, Kind, RecordBody
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from pathlib import Path

WALL_MS = 1_760_000_000_000
SHORT = UpkeepRules(checkpoint_every=50, whole_rows=20)
DEAL = Deal(peer="key:aa", bid_id=1, price_e4=1, energy_wh=10_000, power_w=1, lot_id=1, signer="aa")
TAKE_OVER = records.take_over(found={"WSet": 7}, recipe=[("WSet", 7)])
LOT: RecordBody = {"energy_wh": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


def opened(path: Path, executor: Any = None, rules: UpkeepRules = SHORT, **options: Any) -> Journal:
    executor = executor or ThreadExecutor()
    return Journal.open(path, executor=executor, wall_ms=lambda: WALL_MS, rules=rules, **options)


def on_disk(path: Path) -> list[Record]:
    return list(Journal.open_read_only(path, wall_ms=lambda: 0).replay())


def progress(delivered_wh: int) -> RecordBody:
    return records.delivery_progress(peer="key:aa", bid_id=1, delivered_wh=delivered_wh)


def a_trade_begins(journal: Journal) -> None:
    journal.append("home", Kind.TAKE_OVER, TAKE_OVER)
    journal.append("home", Kind.AWARD, records.award(DEAL))
    journal.append("home", Kind.CONFIRMED, records.confirmed(DEAL, award_seq=2, confirmed_at_ms=1))


def work_off(executor: HeldExecutor) -> int:
    """Let the disk finish; return the number of jobs it took."""
    jobs = 0
    while executor.held:
        executor.complete()
        jobs += 1
    return jobs


def file_bytes(path: Path) -> int:
    return path.stat().st_size


def sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


async def test_a_running_journal_writes_checkpoints_that_a_start_replays_from(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor, UpkeepRules(checkpoint_every=50, whole_rows=1_000))
    assert journal.books() == {}
    a_trade_begins(journal)
    for n in range(200):
        journal.append("home", Kind.DELIVERY_PROGRESS, progress(n))
    work_off(executor)
    expected = books_of(journal.replay())
    journal.abandon()
    checkpoints = [record.seq for record in on_disk(path) if record.kind == Kind.CHECKPOINT]
    assert {after - before for before, after in pairwise(checkpoints)} == {51}
    again = opened(path)
    replayed = list(again.replay())
    assert len(replayed) <= 51
    found = again.books()
    assert found == expected
    assert found["home"].trades[DEAL.key].delivered_wh == 199
    assert found["home"].take_over is not None
    await again.close()


async def test_what_a_checkpoint_stands_for_is_pruned_and_the_audit_trail_stays(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    journal.books()
    a_trade_begins(journal)
    for n in range(500):
        journal.append("home", Kind.DELIVERY_PROGRESS, progress(n))
        journal.append("home", Kind.LOT_OPENED, LOT)
        journal.append("home", Kind.ALARM, records.alarm(name="a", raised=n % 2 == 0))
        work_off(executor)
    books = books_of(journal.replay())
    journal.abandon()
    kept = on_disk(path)
    assert [record.kind for record in kept[:3]] == ["take_over", "award", "confirmed"], "the take-over is in force"
    assert len([record for record in kept if record.kind == Kind.ALARM]) == 500
    passing = [record for record in kept[1:] if record.kind not in AUDIT_TRAIL]
    assert len(passing) < 120
    newest = max(record.seq for record in kept if record.kind == Kind.CHECKPOINT)
    assert {record.seq for record in kept} >= set(range(newest, kept[-1].seq + 1))
    again = opened(path)
    assert again.books() == books
    again.abandon()


async def test_a_take_over_that_is_over_is_pruned(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor)
    journal.books()
    for _ in range(100):
        journal.append("home", Kind.TAKE_OVER, TAKE_OVER)
        journal.append("home", Kind.RELEASED, records.released(reason="ended"))
        work_off(executor)
    journal.abandon()
    assert len([record for record in on_disk(path) if record.kind == Kind.TAKE_OVER]) < 50


async def test_the_newest_rows_stay_whole(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor, UpkeepRules(checkpoint_every=10, whole_rows=300))
    journal.books()
    for _ in range(1_000):
        journal.append("home", Kind.LOT_OPENED, LOT)
    work_off(executor)
    seqs = [record.seq for record in on_disk(path)]
    assert seqs[-1] == 1_100
    assert seqs == list(range(seqs[0], 1_101))
    assert 300 <= len(seqs) <= 300 + 10
    journal.abandon()


async def test_pruning_takes_turns_with_writing_in_bounded_portions(path: Path) -> None:
    executor = HeldExecutor()
    journal = opened(path, executor, UpkeepRules(checkpoint_every=100_000, whole_rows=0))
    journal.books()
    for _ in range(2_000):
        journal.append("home", Kind.LOT_OPENED, LOT)
    assert work_off(executor) == 2, "nothing to prune before there is a checkpoint"
    journal.checkpoint()
    executor.complete()
    sizes = [len(on_disk(path))]
    award = journal.append("home", Kind.AWARD, records.award(DEAL))[1]
    executor.complete()
    sizes.append(len(on_disk(path)))
    assert not award.done()
    journal.append("home", Kind.AWARD, records.award(DEAL))
    executor.complete()
    assert award.done(), "an award waits for one portion"
    journal.append("home", Kind.AWARD, records.award(DEAL))
    executor.complete()
    sizes.append(len(on_disk(path)))
    assert sizes == [2_001, 2_001 - PORTION_ROWS, 2_001 + 2 - 2 * PORTION_ROWS]
    assert work_off(executor) == 1 + 6
    assert [record.kind for record in on_disk(path)] == ["checkpoint", "award", "award", "award"]
    journal.abandon()


async def test_a_later_start_goes_on_pruning_where_the_last_one_was(path: Path) -> None:
    rules = UpkeepRules(checkpoint_every=100_000, whole_rows=0)
    executor = HeldExecutor()
    journal = opened(path, executor, rules)
    journal.books()
    for n in range(600):
        journal.append("home", Kind.ALARM if n % 2 else Kind.LOT_OPENED, {"name": "a", "raised": True})
    journal.checkpoint()
    for _ in range(2):
        executor.complete()
    executor.cut_power(reached_disk=False)
    journal.abandon()
    executor = HeldExecutor()
    again = opened(path, executor, rules)
    again.books()
    again.append("home", Kind.OWNER, records.owner_stop())
    assert work_off(executor) == 1 + 2
    again.abandon()
    found = on_disk(path)
    assert [record.seq for record in found] == [*range(2, 601, 2), 601, 602]


async def test_the_file_stops_growing(path: Path) -> None:
    journal = opened(path, max_bytes=1 << 20)
    journal.books()
    sizes = []
    for _ in range(30):
        written = [journal.append("home", Kind.LOT_OPENED, {**LOT, "text": "x" * 500})[1] for _ in range(200)]
        await written[-1]
        sizes.append(file_bytes(path))
    assert journal.failed is None
    assert journal.used_permille < 800
    assert max(sizes[15:]) <= max(sizes[:15])
    await journal.close()


async def test_the_audit_trail_takes_no_more_room_than_its_records(path: Path) -> None:
    """Half of the rows go, in turns with those that stay: no page of theirs would ever become free."""
    executor = HeldExecutor()
    journal = opened(path, executor, max_bytes=1 << 22)
    journal.books()
    text = "x" * 200
    for _ in range(4_000):
        journal.append("home", Kind.LOT_OPENED, {**LOT, "text": text})
        journal.append("home", Kind.ALARM, records.alarm(name="a", raised=True, detail=text))
        if executor.held > 0 and journal.stats.pending > 100:
            work_off(executor)
    work_off(executor)
    half_permille = 4_000 * 270 * 1_000 >> 22
    assert journal.used_permille < half_permille * 1.25
    journal.abandon()
    assert len([record for record in on_disk(path) if record.kind == Kind.ALARM]) == 4_000


@given(
    steps=st.lists(st.sampled_from(["append", "append", "append", "disk", "disk", "cut", "cut_late"]), max_size=120),
    rules=st.builds(UpkeepRules, checkpoint_every=st.integers(1, 9), whole_rows=st.integers(0, 9)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_whenever_the_power_goes_the_books_are_those_of_the_durable_records(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], rules: UpkeepRules
) -> None:
    path = tmp_path_factory.mktemp("j") / "j.db"
    history: list[Record] = []

    def start() -> tuple[HeldExecutor, Journal]:
        executor = HeldExecutor()
        journal = opened(path, executor, rules)
        last_seq = journal.stats.last_seq
        history[:] = [record for record in history if record.seq <= last_seq]
        assert journal.books() == books_of(history)
        return executor, journal

    executor, journal = start()
    for n, step in enumerate([*steps, "cut"]):
        if step == "append":
            kind, body = _an_entry(n)
            history.append(Record(journal.append("home", kind, body)[0], "home", kind, WALL_MS, body))
        elif step == "disk" and executor.held:
            executor.complete()
        elif step.startswith("cut"):
            executor.cut_power(reached_disk=step == "cut_late")
            journal.abandon()
            executor, journal = start()
    journal.abandon()


def _an_entry(n: int) -> tuple[Kind, RecordBody]:
    one = Deal(peer="key:aa", bid_id=n // 4, price_e4=1, energy_wh=100, power_w=1, lot_id=1, signer="aa")
    end = records.delivery_ended(peer="key:aa", bid_id=n // 4, code=0, delivered_wh=n)
    return [
        (Kind.AWARD, records.award(one)),
        (Kind.CONFIRMED, records.confirmed(one, award_seq=1, confirmed_at_ms=1)),
        (Kind.TAKE_OVER, TAKE_OVER),
        (Kind.DELIVERY_ENDED, end),
    ][n % 4]


class TestTrouble:
    async def _long_history(self, path: Path) -> None:
        executor = HeldExecutor()
        journal = opened(path, executor)
        journal.books()
        a_trade_begins(journal)
        for n in range(200):
            journal.append("home", Kind.DELIVERY_PROGRESS, progress(n))
        work_off(executor)
        journal.abandon()

    async def test_a_disk_that_fails_while_pruning_fails_the_journal(self, path: Path) -> None:
        executor = HeldExecutor()
        journal = opened(path, executor, UpkeepRules(checkpoint_every=100, whole_rows=0))
        journal.books()
        told: list[JournalError] = []
        journal.on_failure = told.append
        for _ in range(100):
            journal.append("home", Kind.LOT_OPENED, LOT)
        executor.complete()
        waiting = journal.append("home", Kind.LOT_OPENED, LOT)[1]
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        executor.fail(full)
        assert [type(error) for error in told] == [JournalFull]
        assert "raise journal_max_mb" in str(told[0])
        assert isinstance(waiting.exception(), JournalFull)
        assert executor.held == 0
        journal.abandon()

    async def test_close_does_not_wait_for_the_pruning(self, path: Path) -> None:
        journal = opened(path, rules=UpkeepRules(checkpoint_every=100_000, whole_rows=0))
        journal.books()
        for _ in range(5_000):
            journal.append("home", Kind.LOT_OPENED, LOT)
        journal.checkpoint()
        await journal.close()
        assert len(on_disk(path)) > 3_000
        again = opened(path)
        again.books()
        await again.close()

    @pytest.mark.parametrize("missing", ["checkpoint", "after it"])
    async def test_a_record_missing_from_the_newest_checkpoint_on_stops_the_replay(
        self, path: Path, missing: str
    ) -> None:
        await self._long_history(path)
        newest = max(record.seq for record in on_disk(path) if record.kind == Kind.CHECKPOINT)
        sql(path, f"DELETE FROM records WHERE seq = {newest + (missing != 'checkpoint')}")
        journal = opened(path)
        with pytest.raises(JournalCorrupt, match="is missing"):
            journal.books()
        journal.abandon()

    async def test_reading_goes_on_without_the_checkpoint_and_finds_the_take_over_in_force(self, path: Path) -> None:
        await self._long_history(path)
        newest = max(record.seq for record in on_disk(path) if record.kind == Kind.CHECKPOINT)
        sql(path, f"UPDATE records SET crc = 0 WHERE kind = 'checkpoint' OR seq > {newest}")
        reader = Journal.open_read_only(path, wall_ms=lambda: 0)
        books = reader.books()["home"]
        assert reader.damage
        assert books.take_over is not None
        assert books.take_over.recipe == (("WSet", 7),)
        assert list(books.trades) == [DEAL.key]

    async def test_a_checkpoint_that_this_release_does_not_understand_stops_the_start(self, path: Path) -> None:
        journal = opened(path)
        await journal.append("", Kind.CHECKPOINT, {"books": 7})[1]
        await journal.close()
        journal = opened(path)
        with pytest.raises(JournalCorrupt, match="checkpoint 1 cannot be understood"):
            journal.books()
        with pytest.raises(RuntimeError):
            journal.checkpoint()
        await journal.close()

    async def test_books_are_read_once_and_first(self, path: Path) -> None:
        journal = opened(path)
        journal.books()
        with pytest.raises(RuntimeError):
            journal.books()
        await journal.close()
        journal = opened(path, rules=UpkeepRules())
        journal.append("home", Kind.LOT_OPENED, LOT)
        with pytest.raises(RuntimeError):
            journal.books()
        await journal.close()


async def test_an_operator_is_told_before_the_journal_is_full_and_when_there_is_room_again(path: Path) -> None:
    rules = UpkeepRules(checkpoint_every=100_000, whole_rows=0)
    journal = opened(path, rules=rules, max_bytes=1 << 20)
    journal.books()
    told: list[tuple[bool, str]] = []
    journal.on_room = lambda nearly_full, words: told.append((nearly_full, words))
    body = {**LOT, "text": "x" * 4_000}
    while not told:
        await journal.append("home", Kind.LOT_OPENED, body)[1]
    assert 800 <= journal.used_permille < 820
    assert told == [(True, f"{path}: 80 % of its largest size are used; raise journal_max_mb before selling stops")]
    for _ in range(10):
        await journal.append("home", Kind.LOT_OPENED, body)[1]
    assert len(told) == 1
    await journal.checkpoint()[1]
    while len(told) == 1:
        await journal.append("home", Kind.LOT_OPENED, LOT)[1]
    assert not journal.nearly_full
    assert [nearly_full for nearly_full, _ in told] == [True, False]
    await journal.close()

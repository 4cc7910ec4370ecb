"""How long the audit trail is kept: as long as there is room, and in any case while money may depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import records
from agent.journal import Journal, UpkeepRules
from agent.journal_upkeep import ARCHIVE_KEPT_MS
from agent.records import Deal, Kind
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from pathlib import Path

DAY_MS = 86_400_000
START_MS = 1_760_000_000_000
TEXT = "x" * 680
RULES = UpkeepRules(checkpoint_every=50, whole_rows=20)
DEAL = Deal(peer="key:aa", bid_id=1, price_e4=1, energy_wh=10_000, power_w=1, lot_id=1, signer="aa")


class Calendar:
    """The time of day, moved by the test."""

    def __init__(self) -> None:
        self.at_ms = START_MS

    def __call__(self) -> int:
        return self.at_ms


def opened(path: Path, wall_ms: Calendar) -> Journal:
    return Journal.open(path, executor=ThreadExecutor(), wall_ms=wall_ms, rules=RULES, max_bytes=1 << 20)


async def days(journal: Journal, wall_ms: Calendar, count: int, *, records_a_day: int) -> None:
    """Live through days, each with so many records that an audit needs."""
    for _ in range(count):
        wall_ms.at_ms += DAY_MS
        alarm = records.alarm(name="a", raised=True, detail=TEXT)
        written = [journal.append("home", Kind.ALARM, alarm)[1] for _ in range(records_a_day)]
        await written[-1]


def kept(path: Path) -> list[int]:
    """Return the days since the start of the alarms on disk, the oldest first."""
    journal = Journal.open_read_only(path, wall_ms=lambda: 0)
    return [(record.at_ms - START_MS) // DAY_MS for record in journal.replay() if record.kind == Kind.ALARM]


async def test_years_of_trading_do_not_fill_the_journal_and_what_may_be_disputed_stays(tmp_path: Path) -> None:
    path, wall_ms = tmp_path / "journal.db", Calendar()
    journal = opened(path, wall_ms)
    journal.books()
    journal.append("home", Kind.AWARD, records.award(DEAL))
    journal.append("home", Kind.CONFIRMED, records.confirmed(DEAL, award_seq=1, confirmed_at_ms=1))
    told: list[bool] = []
    journal.on_room = lambda nearly_full, _words: told.append(nearly_full)
    await days(journal, wall_ms, 600, records_a_day=3)
    assert journal.failed is None
    assert told == []
    assert journal.used_permille < 600
    await journal.close()
    here = kept(path)
    assert here == sorted(here)
    assert here[0] > 300
    assert [day for day in here if day > 510] == [day for day in range(511, 601) for _ in range(3)]
    again = opened(path, wall_ms)
    assert list(again.books()["home"].trades) == [DEAL.key], "what is open stands in the checkpoint"
    await again.close()


async def test_a_file_with_room_keeps_everything(tmp_path: Path) -> None:
    path, wall_ms = tmp_path / "journal.db", Calendar()
    journal = opened(path, wall_ms)
    journal.books()
    await days(journal, wall_ms, 200, records_a_day=1)
    assert journal.used_permille < 500
    await journal.close()
    assert kept(path) == list(range(1, 201))


async def test_what_is_young_stays_though_the_file_gets_full(tmp_path: Path) -> None:
    path, wall_ms = tmp_path / "journal.db", Calendar()
    journal = opened(path, wall_ms)
    journal.books()
    told: list[bool] = []
    journal.on_room = lambda nearly_full, _words: told.append(nearly_full)
    most = ARCHIVE_KEPT_MS // DAY_MS
    await days(journal, wall_ms, most, records_a_day=12)
    assert told == [True]
    await journal.close()
    assert kept(path) == [day for day in range(1, most + 1) for _ in range(12)]


async def test_awards_that_nobody_confirms_do_not_fill_the_journal(tmp_path: Path) -> None:
    path, wall_ms = tmp_path / "journal.db", Calendar()
    journal = opened(path, wall_ms)
    journal.books()
    told: list[bool] = []
    journal.on_room = lambda nearly_full, _words: told.append(nearly_full)
    await days(journal, wall_ms, 20, records_a_day=2)
    void = records.void(peer="key:aa", bid_id=1, code=10, blame=True)
    for _ in range(100):
        for _ in range(20):
            journal.append("home", Kind.AWARD, records.award(DEAL))
            written = journal.append("home", Kind.VOID, void)[1]
        await written
    assert told == []
    assert journal.used_permille < 600
    await journal.close()
    assert kept(path) == [day for day in range(1, 21) for _ in range(2)], "what nobody can make for nothing stays"

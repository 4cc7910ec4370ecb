"""Settlers that are broken on purpose must be caught, each for its own reason.

An audit that never objects proves nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from settlement import progress, steps
from settlement.dispatch import Dispatch
from settlement.outbox_file import Loaded, OutboxFile
from settlement.outbox_records import Attempt, AttemptState, Outcome
from settlement.progress import Step
from settlement.rpc import RpcClient, health
from settlement.settler_types import Stage
from simulation import cheques
from simulation.cheque_faults import ChequeFaults
from simulation.cheques import ChequeOptions, run
from simulation.deals import Conduct, Person
from simulation.world import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from settlement.cheque import Cheque
    from settlement.flights import Ended
    from settlement.lines import LineState
    from settlement.outbox_file import Write
    from settlement.progress import Standing

pytestmark = pytest.mark.slow

SEEDS = range(1, 6)


def caught(
    directory: Path,
    *,
    battery: Conduct = "honest",
    buyer: Conduct = "honest",
    crash_at_step: float = 0.0,
    trades_per_h: float = 12.0,
    poll_s: float = 300.0,
    hours: float = 2.0,
    unrecorded: float = 0.0,
    **rates: float,
) -> str:
    """Return what the first of a few seeds was caught at; nothing goes wrong but what is named, so often an hour."""
    faults = ChequeFaults(rates=rates, crash_at_step=crash_at_step)
    for seed in SEEDS:
        place = directory / str(seed)
        place.mkdir()
        people = [Person("seller", "battery", battery)], [Person("customer", "buyer", buyer)]
        options = ChequeOptions(
            seed=seed,
            hours=hours,
            unrecorded=unrecorded,
            directory=place,
            faults=faults,
            trades_per_h=trades_per_h,
            people=people,
            poll_s=poll_s,
            window_s=7_200,
            timeout_s=3_600,
        )
        try:
            run(options)
        except Failure as failure:
            return str(failure) if failure.tail and failure.seed == seed else "a failure that nobody can replay"
    pytest.fail("nothing was found broken")


def test_a_settler_that_is_not_broken_is_not_caught(directory: Path) -> None:
    """The scenes below, with all that goes wrong in any of them, and nothing broken."""
    with pytest.raises(pytest.fail.Exception, match="nothing was found broken"):
        caught(directory, crash_at_step=0.02, late=20, lies=6, foreign=3, disk_full=2)


def test_a_settler_that_sends_what_is_not_on_disk_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    written = OutboxFile.write

    def forgetful(self: OutboxFile, writes: Sequence[Write]) -> None:
        written(self, [write for write in writes if not isinstance(write, Attempt)])

    monkeypatch.setattr(OutboxFile, "write", forgetful)
    assert "what is sent is on disk" in caught(directory)


def test_a_settler_that_forgets_what_it_sent_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    loaded = OutboxFile.load

    def forgetful(self: OutboxFile) -> Loaded:
        found = loaded(self)
        found.open_attempts = []
        return found

    monkeypatch.setattr(OutboxFile, "load", forgetful)
    found = caught(directory, crash_at_step=0.04, late=60, trades_per_h=30)
    assert "nothing is signed anew while the first may land" in found


def test_a_settler_that_is_impatient_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    asked = RpcClient.block_height

    async def far_ahead(self: RpcClient, *arguments: Any) -> int:
        return await asked(self, *arguments) + 150

    monkeypatch.setattr(RpcClient, "block_height", far_ahead)
    monkeypatch.setattr("settlement.flights.EXPIRY_FROM_S", 1.0)
    assert "nothing is signed anew while the first may land" in caught(directory, late=60, poll_s=10.0)


def test_a_settler_that_follows_any_cluster_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    async def trusting(self: RpcClient, place: int) -> None:
        self._healths[place] = health.verified(self._healths[place], self._monotonic_s())

    monkeypatch.setattr(RpcClient, "_verify", trusting)
    assert "another cluster" in caught(directory, foreign=20)


def test_a_settler_that_believes_a_node_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """What is called final is taken for paid, and nobody looks whether it is."""
    concluded = Dispatch._conclude

    async def credulous(self: Dispatch, ended: Sequence[Ended]) -> None:
        await concluded(self, ended)
        for one in ended:
            record = self._desk.book.open.get(one.attempt.subject)
            if record is not None and one.attempt.state is AttemptState.LANDED and one.attempt.action == "settle":
                split, signature = record.cheque.contract.split(1), one.attempt.signature
                paid = Outcome(delivered_wh=1, **split._asdict(), unpaid=0, how="co-signed", signature=signature)
                await self._desk.save(replace(record, stage=Stage.SETTLED, outcome=paid), record)

    monkeypatch.setattr(Dispatch, "_conclude", credulous)
    assert "a settler says what is so" in caught(directory, lies=30)


def test_a_settler_that_claims_what_it_has_claimed_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(progress, "_TABLE", table_with(_finalize=progress._claim))
    assert "what was delivered and covered is paid" in caught(directory, buyer="vanishes")


def test_a_battery_that_never_claims_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(progress, "_TABLE", table_with(_claim=never))
    assert "what was delivered and covered is paid" in caught(directory, buyer="refuses")


def test_a_settler_that_gives_up_early_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Too early, and for ever: one that looks again at what it gave up is paid after all."""

    def at_once(case: Any) -> tuple[Step, int]:
        return Step(progress.Action.EXPIRE), case.cheque.contract.ends_at_s

    monkeypatch.setattr(progress, "_TABLE", table_with(_expire=at_once))
    monkeypatch.setattr(steps, "is_open_again", lambda *_case, **_known: False)
    assert "what was delivered and covered is paid" in caught(directory, buyer="refuses")


def test_a_buyer_that_disputes_what_it_got_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(progress, "plausible_wh", lambda _seen_wh, _rules: -1)
    assert "an honest buyer disputes no honest claim" in caught(directory, buyer="refuses")


def test_a_buyer_that_looks_away_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(progress, "_TABLE", table_with(_dispute=never))
    assert "an honest buyer disputes what it did not get" in caught(directory, battery="over-claims", trades_per_h=30)


def test_a_battery_that_gives_a_number_twice_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    def next_of_line(line: LineState, _promises: object) -> int:
        return next(no for no in range(line.base_no, line.base_no + 256) if not line.is_used(no))

    monkeypatch.setattr(cheques, "free_number", next_of_line)
    assert "what was delivered and covered is paid" in caught(directory, trades_per_h=60)


VOIDABLE = "only what nobody can be paid for is voided"


@pytest.mark.parametrize("buyer", ["honest", "refuses"])
def test_a_battery_that_voids_too_early_is_caught(
    monkeypatch: pytest.MonkeyPatch, directory: Path, buyer: Conduct
) -> None:
    """When the contract ends, and nothing that both have signed is at hand."""

    def at_the_end(cheque: Cheque, standing: Standing) -> bool:
        is_unsigned = progress.paper_of(cheque) is not progress.Paper.BOTH
        is_mine = cheque.role == "battery" and standing.place is progress.Place.FREE
        return is_mine and is_unsigned and standing.now_s >= cheque.contract.ends_at_s

    for module in (progress, steps):
        monkeypatch.setattr(module, "is_in_the_way", at_the_end)
    monkeypatch.setattr(progress, "_TABLE", table_with(_claim=progress._void))
    assert VOIDABLE in caught(directory, buyer=buyer, trades_per_h=30)


def test_a_battery_that_voids_before_the_last_claim_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """An hour before the end of validity: the margin has the wrong sign."""
    monkeypatch.setattr(progress, "EXPIRE_MARGIN_S", -3_600)
    monkeypatch.setattr(progress, "VOID_BEHIND", 8)
    assert VOIDABLE in caught(directory, hours=30.0, unrecorded=0.06, trades_per_h=2.0, poll_s=600.0)


def test_a_battery_that_voids_nothing_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(progress, "VOID_BEHIND", 1_000)
    found = caught(directory, hours=44.0, unrecorded=0.06, trades_per_h=7.0, poll_s=600.0)
    assert "a Line goes on to take numbers" in found


def test_a_settler_that_trips_over_what_it_reads_is_caught(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    def trips(*_arguments: object) -> Step:
        raise KeyError("a trade")

    monkeypatch.setattr(steps, "next_step", trips)
    assert "a settler stops for a disk that fails alone" in caught(directory)


def never(_case: Any) -> None:
    """A move that never becomes possible."""


def table_with(**moves: Any) -> dict[Any, Any]:
    """Return the table of moves with others in place of those named."""
    by_move = {getattr(progress, name): move for name, move in moves.items()}
    return {key: tuple(by_move.get(move, move) for move in row) for key, row in progress._TABLE.items()}

"""A world of cheques: parties that lie, nodes that fail, power that goes; and the money ends where it belongs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from settlement import progress
from simulation.cheque_faults import NO_FAULTS, ChequeFaults, schedule
from simulation.cheques import ChequeOptions, ChequeWorld, Tally, run
from simulation.deals import Conduct, Person
from simulation.rpc_nodes import MOODS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

HOURS = 20.0
SEEDS = range(1, 11)
"""200 simulated hours. A failure names its seed; `wattbid simulate --cheques` replays it."""


@pytest.mark.hours
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(600)
def test_the_money_ends_where_it_belongs(seed: int, directory: Path) -> None:
    tally = run(ChequeOptions(seed=seed, hours=HOURS, directory=directory))
    assert tally.hours >= HOURS
    assert tally.trades >= 3 * HOURS
    assert tally.settled >= tally.trades * 9 // 10
    assert tally.faults >= 2 * HOURS
    assert tally.crashes >= HOURS / 2
    assert min(tally.cosigned, tally.finalized, tally.thefts) >= 1


def people(battery: Conduct, buyer: Conduct) -> tuple[list[Person], list[Person]]:
    return [Person("seller", "battery", battery)], [Person("customer", "buyer", buyer)]


def scene(
    directory: Path, battery: Conduct = "honest", buyer: Conduct = "honest", *, faults: ChequeFaults = NO_FAULTS
) -> Tally:
    """Return what a few hours of one battery and one buyer came to."""
    options = ChequeOptions(seed=1, hours=2.0, directory=directory, faults=faults, people=people(battery, buyer))
    return run(options)


def test_honest_people_need_no_claim(directory: Path) -> None:
    tally = scene(directory)
    assert tally.trades >= 5
    assert tally.cosigned == tally.settled == tally.trades


def test_who_never_signs_pays_all_the_same(directory: Path) -> None:
    tally = scene(directory, buyer="refuses")
    assert tally.finalized == tally.claimed == tally.settled >= 5
    assert tally.disputed == 0


def test_who_vanishes_has_paid_in_advance(directory: Path) -> None:
    tally = scene(directory, buyer="vanishes")
    assert tally.settled == tally.trades >= 1
    assert tally.finalized >= 1


def test_who_lies_pays_at_least_what_is_beyond_dispute(directory: Path) -> None:
    tally = scene(directory, buyer="lies")
    assert min(tally.disputed, tally.attested) >= 3
    assert tally.resolved >= 1
    assert tally.timed_out >= 1


def test_who_claims_too_much_is_disputed(directory: Path) -> None:
    tally = scene(directory, battery="over-claims")
    assert min(tally.disputed, tally.finalized, tally.cosigned) >= 1


@pytest.mark.parametrize("faults", [NO_FAULTS, ChequeFaults()])
@pytest.mark.timeout(300)
def test_after_a_trade_that_expired_its_line_goes_on_to_take_numbers(directory: Path, faults: ChequeFaults) -> None:
    """Two days of one Line, more trades than it has numbers at once; a day after it began the first ones expire."""
    options = ChequeOptions(
        seed=1,
        hours=44.0,
        trades_per_h=7.0,
        unrecorded=0.06,
        directory=directory,
        faults=faults,
        people=people("honest", "honest"),
        poll_s=600.0,
    )
    tally = run(options)
    assert tally.trades > 256
    assert tally.voided >= 3
    assert tally.settled >= tally.trades * 9 // 10


def test_every_kind_of_fault_is_drawn() -> None:
    kinds = {fault.kind for fault in schedule(random.Random(1), ChequeFaults(), 200.0)}
    assert kinds == {*MOODS, "cut", "offline", "crash", "disk_stall", "disk_full"}


@pytest.mark.hours
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("buyer", "party"), [("honest", "customer"), ("refuses", "seller"), ("lies", "customer")])
def test_power_may_go_at_any_step_of_a_trade(buyer: Conduct, party: str, directory: Path) -> None:
    """One trade, told once for every step (before and after each write and request) at which a party loses power."""

    def told(number: int) -> ChequeWorld:
        place = directory / str(number)
        place.mkdir()
        options = ChequeOptions(
            seed=4,
            hours=0.5,
            trades_per_h=30.0,
            trades_max=1,
            directory=place,
            faults=NO_FAULTS,
            people=people("honest", buyer),
            poll_s=1_800.0,
            window_s=3_700,
            timeout_s=1_800,
            crash_at=(party, number),
        )
        world = ChequeWorld(options)
        tally = world.run()
        assert tally.settled == tally.trades == 1
        return world

    steps = next(host.steps for host in told(0).hosts if host.name == party)
    assert steps >= 40
    for number in range(1, steps + 1):
        told(number)


@pytest.mark.hours
@pytest.mark.timeout(900)
def test_power_may_go_at_any_step_until_a_number_is_voided(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Two trades, the first without a record of its end, told once for every step at which the battery loses power."""
    monkeypatch.setattr(progress, "VOID_BEHIND", 1)

    def told(number: int) -> ChequeWorld:
        place = directory / str(number)
        place.mkdir()
        options = ChequeOptions(
            seed=2,
            hours=40.0,
            trades_per_h=30.0,
            trades_max=2,
            unrecorded=0.5,
            directory=place,
            faults=NO_FAULTS,
            people=people("honest", "honest"),
            poll_s=21_600.0,
            crash_at=("seller", number),
        )
        world = ChequeWorld(options)
        tally = world.run()
        last = max(deal.contract.contract_no for deal in world.deals.values())
        holes = [deal for deal in world.deals.values() if not deal.ended and deal.contract.contract_no < last]
        assert tally.voided == len(holes)
        return world

    whole = told(0)
    assert whole.payments.voided == 1
    steps = next(host.steps for host in whole.hosts if host.name == "seller")
    for number in range(1, steps + 1):
        told(number)

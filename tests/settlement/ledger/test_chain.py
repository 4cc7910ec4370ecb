from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from settlement.ledger import LedgerFileError, Settings
from settlement.ledger.limits import BLOCKHASH_AGE, FINALIZED_LAG
from tests.settlement.ledger.world import SOL, World, pay

if TYPE_CHECKING:
    from pathlib import Path


def test_a_payment_is_processed_then_confirmed_then_finalized() -> None:
    world = World()
    to = world.key().pubkey()
    assert world.submit([pay(world.ledger.faucet, to, SOL)], world.ledger.faucet) is None
    assert [world.lamports(to, level) for level in ("processed", "confirmed", "finalized")] == [SOL, 0, 0]
    world.wait(1)
    assert [world.lamports(to, level) for level in ("processed", "confirmed", "finalized")] == [SOL, SOL, 0]
    world.wait(FINALIZED_LAG - 2)
    assert world.lamports(to, "finalized") == 0
    world.wait(1)
    assert world.lamports(to, "finalized") == SOL


def test_every_level_shows_the_state_of_its_own_block() -> None:
    world = World(settings=Settings(finalized_lag=4))
    payer, to = world.funded(), world.key().pubkey()
    for _ in range(6):
        world.wait(1)
        assert world.submit([pay(payer, to, SOL)], payer) is None
    assert world.lamports(to, "processed") == 6 * SOL
    assert world.lamports(to, "confirmed") == 5 * SOL
    assert world.lamports(to, "finalized") == 2 * SOL


def test_a_duplicate_is_refused_and_changes_nothing() -> None:
    world = World()
    payer, to = world.funded(), world.key().pubkey()
    paid = world.signed([pay(payer, to, SOL)], payer)
    assert world.ledger.submit(paid) is None
    world.wait(3)
    before = world.lamports(payer.pubkey())
    assert world.ledger.submit(paid) == "AlreadyProcessed"
    assert (world.lamports(to), world.lamports(payer.pubkey())) == (SOL, before)


def test_a_blockhash_is_good_through_its_last_height_and_not_after() -> None:
    world = World()
    payer, to = world.funded(), world.key().pubkey()
    world.wait(5)
    bank = world.ledger.height("processed")
    last = world.ledger.blocks.last_good_height(bank)
    early, late = (
        world.signed([pay(payer, to, n)], payer, blockhash=world.blockhash("processed")) for n in (SOL, SOL + 1)
    )
    world.wait(last - bank)
    assert world.ledger.height("processed") == last == bank + BLOCKHASH_AGE
    assert world.ledger.submit(early) is None
    world.wait(1)
    assert world.ledger.submit(late) == "BlockhashNotFound"


def test_a_blockhash_of_nobody_is_not_found() -> None:
    world, other = World(), World(seed=1)
    payer = world.funded()
    paid = world.signed([pay(payer, payer.pubkey(), 1)], payer, blockhash=other.blockhash())
    assert world.ledger.submit(paid) == "BlockhashNotFound"
    assert world.ledger.genesis != other.ledger.genesis


def test_a_failure_lands_and_costs_its_fee() -> None:
    world = World()
    payer, to = world.funded(SOL), world.key().pubkey()
    paid = world.signed([pay(payer, to, 2 * SOL)], payer)
    assert world.ledger.submit(paid) is None
    landing = world.ledger.landing(bytes(paid.signature))
    assert landing is not None
    assert landing.err == {"InstructionError": [0, {"Custom": 1}]}
    assert (world.lamports(payer.pubkey()), world.lamports(to)) == (SOL - 5_000, 0)


def test_a_payer_that_does_not_exist_does_not_land() -> None:
    world = World()
    nobody = world.key()
    paid = world.signed([pay(nobody, nobody.pubkey(), 1)], nobody)
    assert world.ledger.submit(paid) == "AccountNotFound"
    assert world.ledger.landing(bytes(paid.signature), search=True) is None


def test_a_restart_comes_back_at_the_finalized_state(tmp_path: Path) -> None:
    world = World(tmp_path)
    genesis, payer = world.ledger.genesis, world.funded()
    kept, lost = world.key().pubkey(), world.key().pubkey()
    first = world.signed([pay(payer, kept, SOL)], payer)
    assert world.ledger.submit(first) is None
    world.wait(FINALIZED_LAG)
    second = world.signed([pay(payer, lost, SOL)], payer)
    assert world.ledger.submit(second) is None
    height, slot = world.ledger.height("processed"), world.ledger.blocks.slot
    world.restart()
    assert world.ledger.genesis == genesis
    assert world.ledger.height("finalized") >= height
    assert world.ledger.blocks.slot > slot
    assert (world.lamports(kept, "finalized"), world.lamports(lost)) == (SOL, 0)
    assert world.ledger.landing(bytes(second.signature), search=True) is None
    assert world.ledger.submit(first) == "AlreadyProcessed"
    assert world.ledger.submit(second) is None
    assert world.lamports(lost) == SOL


def test_a_restart_of_a_ledger_that_stood_long_gives_no_height_twice(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(5):
        world.wait(1_000)
        height = world.ledger.height("processed")
        world.restart()
        assert world.ledger.height("finalized") >= height
        assert world.ledger.height("finalized") <= height + 300


def test_two_ledgers_cannot_share_a_directory(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(LedgerFileError, match="is in use; end the other ledger"):
        World(tmp_path)
    world.ledger.close()


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(LedgerFileError, match="is damaged"):
        World(tmp_path)

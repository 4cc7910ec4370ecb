"""Deployments through the real loader, of the Memo program's code: what the ledger holds from its first block on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from solders.instruction import Instruction
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from settlement.cluster.deploy import DeployError, buffer_key, deploy, freeze, read_program
from settlement.cluster.landing import LandingError
from settlement.keys import SeedKey
from settlement.program.loader import upgrade
from tests.settlement.ledger.cluster import Cluster
from tests.settlement.ledger.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from settlement.ledger.wire import Received

MEMO = LiteSVM().get_account(Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"))
assert MEMO is not None
CODE = MEMO.data
PROGRAM = SeedKey(bytes([7]) * 32)
ADDRESS = Pubkey.from_bytes(PROGRAM.public_key)


async def test_a_deployed_program_runs_and_a_frozen_one_runs_on() -> None:
    cluster = Cluster()
    lander = cluster.lander()
    told: list[str] = []
    found = await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep, tell=told.append)
    assert (found.program, found.authority, found.fresh) == (ADDRESS, lander.payer.public_key, True)
    assert told == ["making a buffer of 2304 bytes", "writing 3 of 3 pieces", f"deploying {ADDRESS}"]
    signature = await lander.land([Instruction(ADDRESS, b"hello", [])])
    record = cluster.world.ledger.record(signature)
    assert record is not None
    assert any("hello" in line for line in record.logs)
    assert await freeze(lander, ADDRESS)
    assert not await freeze(lander, ADDRESS)
    await lander.land([Instruction(ADDRESS, b"still", [])])
    again = await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep)
    assert (again.fresh, again.authority) == (False, None)


async def test_a_program_cannot_be_called_in_the_slot_of_its_deployment() -> None:
    cluster = Cluster()
    lander, world = cluster.lander(), cluster.world
    called: list[Received] = []
    execute = world.ledger.submit

    def call_at_once(received: Received) -> object:
        refused = execute(received)
        if Pubkey.from_bytes(PROGRAM.public_key) in received.keys and not called:
            payer = cluster.payers[0]
            called.append(world.signed([Instruction(ADDRESS, b"too early", [])], payer))
            assert execute(called[0]) is None
        return refused

    world.ledger.submit = call_at_once  # type: ignore[method-assign]
    await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep)
    landing = world.ledger.landing(bytes(called[0].signature))
    assert landing is not None
    assert landing.err == {"InstructionError": [0, "UnsupportedProgramId"]}
    world.ledger.submit = execute  # type: ignore[method-assign]
    await lander.land([Instruction(ADDRESS, b"in time", [])])


async def test_a_deployed_program_runs_after_a_restart(tmp_path: Path) -> None:
    cluster = Cluster(World(tmp_path))
    await deploy(cluster.lander(), PROGRAM, CODE, sleep=cluster.sleep)
    cluster.world.wait(40)
    cluster.world.restart()
    again = Cluster(cluster.world)
    signature = await again.lander().land([Instruction(ADDRESS, b"after all", [])])
    record = again.world.ledger.record(signature)
    assert record is not None
    assert any("after all" in line for line in record.logs)
    again.world.ledger.close()


async def test_a_frozen_program_cannot_be_upgraded() -> None:
    cluster = Cluster()
    lander = cluster.lander()
    await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep)
    await freeze(lander, ADDRESS)
    payer = Pubkey.from_bytes(lander.payer.public_key)
    with pytest.raises(LandingError, match=r"Account is immutable|invalid account data"):
        await lander.land([upgrade(ADDRESS, cluster.world.key().pubkey(), payer, payer)])


async def test_an_interrupted_deployment_goes_on_where_it_ended() -> None:
    cluster = Cluster()
    lander = cluster.lander()
    writes = 0
    execute = cluster.world.ledger.submit

    def until_the_second_write(received: object) -> object:
        nonlocal writes
        writes += len(received.wire) > 900  # type: ignore[attr-defined]
        if writes == 2:
            raise KeyboardInterrupt
        return execute(received)  # type: ignore[arg-type]

    cluster.world.ledger.submit = until_the_second_write  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep)
    cluster.world.ledger.submit = execute  # type: ignore[method-assign]
    cluster.world.wait(2)
    told: list[str] = []
    found = await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep, tell=told.append)
    assert found.fresh
    assert told[0] == "writing 2 of 3 pieces"


async def test_transactions_that_are_lost_are_sent_again() -> None:
    cluster = Cluster()
    lander = cluster.lander()
    cluster.node.faults.lose = 2
    cluster.node.faults.mute = 7
    cluster.node.faults.rate_limit = 11
    found = await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep)
    assert found.fresh


async def test_other_code_at_the_address_is_left_alone() -> None:
    cluster = Cluster()
    lander = cluster.lander()
    await deploy(lander, PROGRAM, CODE, sleep=cluster.sleep)
    with pytest.raises(DeployError, match="is another program already"):
        await deploy(lander, PROGRAM, CODE[:-8] + bytes(7) + b"\x01", sleep=cluster.sleep)


async def test_only_the_authority_freezes() -> None:
    cluster = Cluster()
    owner, other = cluster.lander(), cluster.lander()
    await deploy(owner, PROGRAM, CODE, sleep=cluster.sleep)
    with pytest.raises(DeployError, match="only this key can freeze it"):
        await freeze(other, ADDRESS)
    with pytest.raises(DeployError, match="is no program here"):
        await freeze(other, cluster.world.key().pubkey())
    with pytest.raises(DeployError, match="is no program of the upgradeable loader"):
        await read_program(other, Pubkey.from_bytes(owner.payer.public_key))


async def test_code_that_is_none_is_refused_by_the_loader() -> None:
    cluster = Cluster()
    lander = cluster.lander()
    with pytest.raises(LandingError, match="invalid account data for instruction"):
        await deploy(lander, PROGRAM, bytes(2_000), sleep=cluster.sleep)
    with pytest.raises(DeployError, match="a program of 0 bytes"):
        await deploy(lander, PROGRAM, b"", sleep=cluster.sleep)


def test_the_buffer_is_the_payers_alone() -> None:
    one, other = SeedKey(bytes([1]) * 32), SeedKey(bytes([2]) * 32)
    keys = {
        buffer_key(payer, program, code).public_key
        for payer in (one, other)
        for program in (bytes(32), PROGRAM.public_key)
        for code in (CODE, CODE[1:])
    }
    assert len(keys) == 8

"""A journal that is full, damaged, unwritable or taken: nothing is sold, reading goes on, the operator is told."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

from agent.journal import Journal
from etp.messages import MessageType, ReasonCode
from settlement.executor import ThreadExecutor
from tests.system.buyer import buyer, trades_fairly
from tests.system.processes import Agent, Battery, Process, run, write_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow  # a start or two of the agent each


@pytest.fixture
def battery(tmp_path: Path) -> Iterator[Battery]:
    with Battery(tmp_path) as battery:
        yield battery


def journal_of(directory: Path) -> Path:
    return directory / "wattbid-data" / "journal.db"


def no_more_room(agent: Agent, journal: Path) -> None:
    """Let no file of the agent grow beyond what its journal has reached: a disk that is full."""
    most = journal.with_name("journal.db-wal").stat().st_size
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (most, most))


async def assert_reads_and_does_not_sell(agent: Agent, battery: Battery, reason: str) -> None:
    look = await agent.until(lambda look: "journal" in look["alarms"] and look["soc_permille"] is not None)
    assert reason in look["alarms"]["journal"]
    assert look["lot"] is None
    assert look["connected"]
    battery.ask("set", soc_permille=612)
    await agent.until(lambda look: abs(look["soc_permille"] - 612) <= 2)
    async with buyer(agent.endpoint) as peer:
        assert (await peer.ask()).termination_code == ReasonCode.WITHDRAWN
        assert (await peer.bid(99.0, 0.1)).code == ReasonCode.WITHDRAWN
    await agent.control("resume")  # an owner's wish does not make room
    assert (await agent.snapshot())["lot"] is None


async def test_the_disk_fills_up_while_it_sells(tmp_path: Path, battery: Battery) -> None:
    with Agent(tmp_path, write_site(tmp_path, battery.address)) as agent:
        await agent.until_selling()
        await trades_fairly(agent.endpoint)
        no_more_room(agent, journal_of(tmp_path))
        async with buyer(agent.endpoint) as peer:
            said = await peer.bid(60.0, 0.1)
            assert (said.kind, said.code) == (MessageType.BID_REJECT, ReasonCode.TOO_LATE)
        await assert_reads_and_does_not_sell(agent, battery, "journal.db")
        assert agent.end() == 0
    with Agent(tmp_path, write_site(tmp_path, battery.address), name="again") as agent:
        await agent.until_selling()  # with room again
        await trades_fairly(agent.endpoint)
        assert agent.end() == 0


async def test_the_disk_fills_up_in_mid_delivery(tmp_path: Path, battery: Battery) -> None:
    """The trade was promised, so it goes on; the battery is released at the end all the same."""
    with Agent(tmp_path, write_site(tmp_path, battery.address)) as agent:
        await agent.until_selling()
        async with buyer(agent.endpoint) as peer:
            accept = await peer.bid(60.0, 1.0)
            assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
            await battery.until(lambda truth: truth["power_w"] < -500)
            no_more_room(agent, journal_of(tmp_path))
            await agent.until_logged("alarm", alarm="journal", timeout_s=15)
            assert battery.truth()["power_w"] < -500
            assert (await agent.snapshot())["deliveries"]
        agent.popen.send_signal(signal.SIGTERM)
        await battery.until(lambda truth: truth["released"])
        assert agent.end() == 0


@pytest.mark.parametrize("damage", ["garbage", "record", "missing", "empty"])
async def test_a_damaged_journal(tmp_path: Path, battery: Battery, damage: str) -> None:
    site = write_site(tmp_path, battery.address)
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        await trades_fairly(agent.endpoint)
        agent.end(signal.SIGKILL)
    spoil(journal_of(tmp_path), damage)
    with Agent(tmp_path, site, name="again") as agent:
        await assert_reads_and_does_not_sell(agent, battery, "journal.db")
        assert agent.end() == 0


async def test_a_damaged_journal_with_a_delivery_in_it_lets_go_of_the_battery(tmp_path: Path, battery: Battery) -> None:
    site = write_site(tmp_path, battery.address)
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        async with buyer(agent.endpoint) as peer:
            accept = await peer.bid(60.0, 1.0)
            assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
            await battery.until(lambda truth: truth["power_w"] < -500)
            agent.end(signal.SIGKILL)
    spoil(journal_of(tmp_path), "record")
    with Agent(tmp_path, site, name="again") as agent:
        truth = await battery.until(lambda truth: truth["released"])
        assert truth["writes"] > 0
        await agent.until(lambda look: "journal" in look["alarms"])
        agent.end()


def spoil(journal: Path, damage: str) -> None:
    if damage == "garbage":
        journal.with_name("journal.db-wal").unlink(missing_ok=True)
        journal.write_bytes(b"not a database, not at all " * 500)
        return
    if damage == "empty":
        os.truncate(journal, 0)
        return
    connection = sqlite3.connect(journal)
    with connection:
        what = "UPDATE records SET crc = 0 WHERE seq = 3" if damage == "record" else "DELETE FROM records WHERE seq = 3"
        connection.execute(what)
    connection.close()


async def test_a_journal_that_cannot_be_written(tmp_path: Path, battery: Battery) -> None:
    storage = journal_of(tmp_path).parent
    storage.mkdir()
    (storage / "in-the-way").touch()
    site = write_site(tmp_path, battery.address, storage='journal = "in-the-way/journal.db"')
    with Agent(tmp_path, site) as agent:
        await assert_reads_and_does_not_sell(agent, battery, "journal.db")
        assert agent.end() == 0


async def test_a_journal_at_its_limit(tmp_path: Path, battery: Battery) -> None:
    path = journal_of(tmp_path)
    journal = Journal.open(path, executor=ThreadExecutor(), wall_ms=lambda: 0)
    text = "x" * 10_000
    await asyncio.gather(*(journal.append("other", "lot_opened", {"text": text})[1] for _ in range(120)))
    await journal.close()
    site = write_site(tmp_path, battery.address, storage="journal_max_mb = 1")
    with Agent(tmp_path, site) as agent:
        await assert_reads_and_does_not_sell(agent, battery, "journal.db")
        assert agent.end() == 0


async def test_a_second_start_on_the_same_journal_refuses(tmp_path: Path, battery: Battery) -> None:
    site = write_site(tmp_path, battery.address)
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        second = run("agent", "--site", str(site))
        assert second.returncode == 1
        assert second.stdout == ""
        assert second.stderr.splitlines()[-1].startswith("wattbid agent: ")
        assert f"in use by another agent (process {agent.pid}); end that one first" in second.stderr
        await trades_fairly(agent.endpoint)
        assert agent.end() == 0


async def test_a_start_after_the_first_has_gone(tmp_path: Path, battery: Battery) -> None:
    """Neither the lock nor the control socket of a process that was killed is in the way."""
    site = write_site(tmp_path, battery.address)
    with Process(tmp_path, "first", "agent", "--site", str(site)) as first:
        first.until_ready()
        first.end(signal.SIGKILL)
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        assert agent.end() == 0

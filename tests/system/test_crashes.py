"""The agent's process ends at the worst moment: what was promised goes on or ends openly, nothing is promised twice."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from agent.journal import Journal
from etp.messages import Body, MessageType, ReasonCode
from settlement.keys import IdentityKey
from tests.system.buyer import DEVICE_ID, bid_body, buyer, confirm_of, trades_fairly
from tests.system.processes import Agent, Battery, write_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = IdentityKey.from_root(bytes(range(32)))
SIGNED = 'peers = "signed"\ntrusted_peers = "any"'

pytestmark = pytest.mark.slow  # a start, a kill and another start each


@pytest.fixture
def battery(tmp_path: Path) -> Iterator[Battery]:
    with Battery(tmp_path) as battery:
        yield battery


def records(directory: Path, kind: str) -> list[dict[str, Any]]:
    """Return what the journal on disk says, oldest first."""
    journal = Journal.open_read_only(directory / "wattbid-data" / "journal.db", wall_ms=lambda: 0)
    return [record.body for record in journal.replay() if record.kind == kind]


@pytest.mark.parametrize("policy", ["open", "signed"])
async def test_killed_between_accept_and_confirm(tmp_path: Path, battery: Battery, policy: str) -> None:
    """The award is void after the restart: openly in the journal, and to its buyer when he asks."""
    key = KEY if policy == "signed" else None
    site = write_site(tmp_path, battery.address, network=SIGNED if key else 'peers = "open"')
    before_wh = battery.truth()["discharged_wh"]
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        async with buyer(agent.endpoint, key) as peer:
            accept = (await peer.bid(60.0, 0.2, 41)).body
            assert accept.message_type == MessageType.BID_ACCEPT
            agent.end(signal.SIGKILL)
    (award,) = records(tmp_path, "award")
    assert (award["bid_id"], award["energy_wh"]) == (41, 200)
    with Agent(tmp_path, site, name="again") as agent:
        look = await agent.until_selling()
        assert (look["committed_wh"], look["deliveries"]) == (0, [])
        async with buyer(agent.endpoint, key) as peer:
            refused = await peer.confirm(accept)
            assert refused.kind in {MessageType.BID_REJECT, MessageType.TERMINATE}
            assert refused.code == ReasonCode.NOT_CONFIRMED
        truth = battery.truth()
        assert truth["released"]
        assert truth["discharged_wh"] == before_wh
        await trades_fairly(agent.endpoint, key)
        assert agent.end() == 0
    assert [(void["bid_id"], void["code"]) for void in records(tmp_path, "void")] == [(41, ReasonCode.NOT_CONFIRMED)]


async def test_killed_in_mid_delivery_goes_on(tmp_path: Path) -> None:
    """A confirmed trade survives: the restarted agent counts what flowed meanwhile and delivers the rest."""
    with Battery(tmp_path, "--time-lapse", "60") as battery:
        site = write_site(tmp_path, battery.address, site="time_lapse = 60", network=SIGNED)
        before_wh = battery.truth()["discharged_wh"]
        with Agent(tmp_path, site) as agent:
            await agent.until_selling()
            async with buyer(agent.endpoint, KEY) as peer:
                accept = (await peer.bid(60.0, 1.2, 51)).body
                assert (await peer.confirm(accept)).kind == MessageType.BESS_STATUS
                await battery.until(lambda truth: truth["discharged_wh"] > before_wh + 200)
                agent.end(signal.SIGKILL)
        with Agent(tmp_path, site, name="again") as agent:
            async with buyer(agent.endpoint, KEY) as peer:
                ended = await peer.until(MessageType.TERMINATE, 51, timeout_s=40)
            truth = battery.truth()
            assert truth["released"]
            assert agent.end() == 0
        delivered_wh = ended.body.energy_wh
        assert (ended.code == ReasonCode.NONE) == (delivered_wh == 1_200)
        # what the buyer is told never exceeds what left the battery
        assert 200 <= delivered_wh <= truth["discharged_wh"] - before_wh + 1
        (end,) = records(tmp_path, "delivery_ended")
        assert (end["bid_id"], end["code"], end["delivered_wh"]) == (51, ended.code, delivered_wh)


async def test_killed_in_mid_delivery_and_never_started_again(tmp_path: Path, battery: Battery) -> None:
    """The battery is not left discharging: its own revert timer ends that."""
    site = write_site(tmp_path, battery.address)
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        async with buyer(agent.endpoint) as peer:
            accept = await peer.bid(60.0, 1.0)
            assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
            truth = await battery.until(lambda truth: truth["power_w"] < -500)
            assert 0 < truth["revert_in_ms"] <= 60_000
            agent.end(signal.SIGKILL)
    await battery.until(lambda truth: truth["released"] and truth["power_w"] > -50, timeout_s=65)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_releases_the_battery(tmp_path: Path, battery: Battery, number: int) -> None:
    site = write_site(tmp_path, battery.address)
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        async with buyer(agent.endpoint) as peer, buyer(agent.endpoint) as other:
            accept = await peer.bid(60.0, 1.0)
            assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
            await battery.until(lambda truth: truth["power_w"] < -500)
            agent.popen.send_signal(number)
            ended = await peer.until(MessageType.TERMINATE, accept.body.message_id, timeout_s=10)
            assert ended.code == ReasonCode.WITHDRAWN
            assert all(said.kind != MessageType.BID_ACCEPT for said in await other.closed())
            assert agent.end() == 0
        assert battery.truth()["released"]
        assert not agent.socket.exists()
    (end,) = records(tmp_path, "delivery_ended")
    assert end["code"] == ReasonCode.WITHDRAWN


async def test_told_to_stop_with_a_bid_standing_and_an_award_open(tmp_path: Path, battery: Battery) -> None:
    site = write_site(tmp_path, battery.address, battery="standing_ms = 400")
    with Agent(tmp_path, site) as agent:
        await agent.until_selling()
        async with buyer(agent.endpoint) as standing, buyer(agent.endpoint) as awarded:
            accept = await awarded.bid(60.0, 0.2)
            assert accept.kind == MessageType.BID_ACCEPT
            await standing.send(bid_body(1, 50.0, 0.1))
            await standing.ask()
            agent.popen.send_signal(signal.SIGTERM)
            assert (await standing.verdict(1)).code == ReasonCode.WITHDRAWN
            await awarded.closed()
            assert agent.end() == 0
    with Agent(tmp_path, site, name="again") as agent:
        assert (await agent.until_selling())["committed_wh"] == 0
        assert agent.end() == 0


async def test_killed_and_restarted_over_and_over(tmp_path: Path, battery: Battery) -> None:
    """The kill comes at another moment of the trade each time; never is one trade two, never an id forgotten."""
    site = write_site(tmp_path, battery.address, network=SIGNED)
    confirmed: list[int] = []
    for turn, delay_s in enumerate((0.0, 0.01, 0.03, 0.1)):
        with Agent(tmp_path, site, name=f"agent-{turn}") as agent:
            await agent.until_selling()
            async with buyer(agent.endpoint, KEY) as peer:
                bid_id = 100 + turn
                accept = (await peer.bid(60.0, 0.1, bid_id)).body
                await peer.send(confirm_of(accept))
                await asyncio.sleep(delay_s)
                agent.end(signal.SIGKILL)
                said = await peer.closed()
                if any(each.kind == MessageType.BESS_STATUS and each.body.message_id == bid_id for each in said):
                    confirmed.append(bid_id)
    on_disk = [body["bid_id"] for body in records(tmp_path, "confirmed")]
    with Agent(tmp_path, site, name="last") as agent:
        async with buyer(agent.endpoint, KEY) as peer:
            for bid_id in confirmed:
                await peer.send(Body.terminate(bid_id, DEVICE_ID, code=0, delivered_wh=0))
            await agent.until(lambda look: look["deliveries"] == [], timeout_s=30)
        assert agent.end() == 0
    assert len(on_disk) == len(set(on_disk))
    assert set(confirmed) <= set(on_disk)  # acknowledged = on disk
    assert sorted(body["bid_id"] for body in records(tmp_path, "delivery_ended")) == sorted(on_disk)
    assert battery.truth()["released"]


@pytest.mark.parametrize("policy", ["open", "signed"])
async def test_a_trade_from_before_a_restart_belongs_to_nobody_new(tmp_path: Path, policy: str) -> None:
    """After a restart connections begin anew; a stranger who gets an old number gets nothing of the old trade."""
    key = KEY if policy == "signed" else None
    with Battery(tmp_path, "--time-lapse", "60") as battery:
        network = SIGNED if key else 'peers = "open"'
        site = write_site(tmp_path, battery.address, site="time_lapse = 60", network=network)
        before_wh = battery.truth()["discharged_wh"]
        with Agent(tmp_path, site) as agent:
            await agent.until_selling()
            async with buyer(agent.endpoint, key) as peer:
                accept = (await peer.bid(60.0, 0.4, 1)).body
                assert (await peer.confirm(accept)).kind == MessageType.BESS_STATUS
                await battery.until(lambda truth: truth["discharged_wh"] > before_wh + 20)
                agent.end(signal.SIGKILL)
        with Agent(tmp_path, site, name="again") as agent:
            await agent.until_selling()
            assert len((await agent.snapshot())["deliveries"]) == 1
            async with buyer(agent.endpoint, key) as peer, buyer(agent.endpoint, key) as other:
                if key is not None:  # the same buyer: its id is taken as long as the trade lasts
                    assert (await peer.bid(60.0, 0.3, 1)).code == ReasonCode.DUPLICATE_ID
                else:  # somebody else: nothing to stop, nothing to confirm, and a trade of its own
                    await peer.send(Body.terminate(1, DEVICE_ID, code=0, delivered_wh=0))
                    mine = await peer.bid(60.0, 0.3, 1)
                    assert mine.kind == MessageType.BID_ACCEPT
                    assert (await peer.confirm(mine.body)).kind == MessageType.BESS_STATUS
                    assert len((await agent.snapshot())["deliveries"]) == 2
                    assert (await other.confirm(accept)).code == ReasonCode.NOT_CONFIRMED
                    ended = await peer.until(MessageType.TERMINATE, 1, timeout_s=40)
                    assert (ended.code, ended.body.energy_wh) == (ReasonCode.NONE, 300)
                await agent.until(lambda look: look["deliveries"] == [], timeout_s=60)
            assert agent.end() == 0
    ends = [(end["bid_id"], end["delivered_wh"]) for end in records(tmp_path, "delivery_ended")]
    assert sorted(ends) == ([(1, 400)] if key is not None else [(1, 300), (1, 400)])

"""A battery that is absent, half there, or says what cannot be: nothing is sold, and it is told why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etp.messages import Body, MessageType, ReasonCode
from tests.system.buyer import DEVICE_ID, buyer, trades_fairly
from tests.system.processes import Agent, Battery, free_port, write_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

Site = tuple[Battery, Agent]
pytestmark = pytest.mark.slow  # a battery needs its seconds to be noticed as lost, and to be trusted again


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("battery")
    with Battery(directory) as battery, Agent(directory, write_site(directory, battery.address)) as agent:
        yield battery, agent
        assert agent.end() == 0


@pytest.fixture
async def well(site: Site) -> AsyncIterator[Site]:
    """A battery that sells, and sells again when what was wrong with it is over."""
    battery, agent = site
    await agent.until_selling()
    yield site
    battery.ask("clear")
    await agent.until_selling()
    await trades_fairly(agent.endpoint)


WRONGS = [
    ("silent", None, ReasonCode.OFFLINE, "no answer in time"),
    ("half", None, ReasonCode.OFFLINE, "no answer in time"),
    ("busy", None, ReasonCode.OFFLINE, "exception 6"),
    ("disconnect", None, ReasonCode.OFFLINE, "connection lost"),
    ("slow", 5_000, ReasonCode.OFFLINE, "no answer in time"),
    ("wrong", "impossible", ReasonCode.OFFLINE, "more than twice the rating"),
    ("wrong", "absent", ReasonCode.OFFLINE, "is absent"),
    ("wrong", "zero", ReasonCode.OFFLINE, ""),
    ("fault", None, ReasonCode.FAULT, "inverter fault"),
    ("over-temperature", 62, ReasonCode.FAULT, "over temperature"),
    ("local", None, ReasonCode.FAULT, ""),
]


@pytest.mark.parametrize(
    ("fault", "value", "code", "reason"), WRONGS, ids=[f"{name}-{value}" for name, value, _, _ in WRONGS]
)
async def test_nothing_is_sold(well: Site, fault: str, value: int | str | None, code: ReasonCode, reason: str) -> None:
    battery, agent = well
    async with buyer(agent.endpoint) as peer:
        await peer.send(Body.register(1, DEVICE_ID))
        battery.ask("fault", name=fault, value=value)
        assert (await peer.until(MessageType.DEVICE_FAILURE, timeout_s=12)).code == ReasonCode.FAULT
        offer = await peer.ask()
        assert (offer.required_energy_amount, offer.termination_code) == (0.0, code)
        assert (await peer.bid(99.0, 0.1)).code == code
    assert reason in (await agent.snapshot())["alarms"]["battery"]


async def test_an_impossible_value_stops_a_sale_that_stands(well: Site) -> None:
    """A bid that stands when the battery fails is refused, an award is taken back; neither becomes a trade."""
    battery, agent = well
    async with buyer(agent.endpoint) as winner:
        accept = await winner.bid(60.0, 0.1)
        battery.ask("fault", name="fault")
        taken_back = await winner.until(MessageType.TERMINATE, accept.body.message_id)
        assert taken_back.code == ReasonCode.FAULT
        assert (await winner.confirm(accept.body)).code == ReasonCode.NOT_CONFIRMED  # there is no such award any more
    assert (await agent.snapshot())["deliveries"] == []


async def test_a_battery_that_falls_silent_in_mid_delivery_is_let_go(well: Site) -> None:
    battery, agent = well
    async with buyer(agent.endpoint) as peer:
        accept = await peer.bid(60.0, 1.0)
        assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
        await battery.until(lambda truth: truth["power_w"] < -500)
        battery.ask("fault", name="silent")
        ended = await peer.until(MessageType.TERMINATE, accept.body.message_id, timeout_s=15)
        assert ended.code in {ReasonCode.OFFLINE, ReasonCode.FAULT}
        # nobody can tell it to stop: its own revert timer does
        await battery.until(lambda truth: truth["released"] and truth["power_w"] > -50, timeout_s=45)


async def test_values_that_stand_still_end_a_delivery(well: Site) -> None:
    """A battery that shows no effect of its setpoint gets none; people are told, and have to look into it."""
    battery, agent = well
    battery.ask("fault", name="stuck")
    async with buyer(agent.endpoint) as peer:
        accept = await peer.bid(60.0, 1.0)
        assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
        ended = await peer.until(MessageType.TERMINATE, accept.body.message_id, timeout_s=30)
        assert (ended.code, ended.body.energy_wh) == (ReasonCode.FAULT, 0)
        await battery.until(lambda truth: truth["released"])
        look = await agent.until(lambda look: look["stopped"] != "")
        assert any("measured" in reason for reason in look["alarms"].values())
    battery.ask("clear")
    assert (await agent.snapshot())["lot"] is None  # not by itself
    await agent.control("resume")


async def test_a_lost_grid_is_a_fault_and_its_return_is_not_trusted_at_once(tmp_path: Path) -> None:
    with Battery(tmp_path) as battery, Agent(tmp_path, write_site(tmp_path, battery.address)) as agent:
        await agent.until_selling()
        battery.ask("fault", name="grid-lost")
        look = await agent.until(lambda look: look["stopped"] == "grid lost")
        battery.ask("clear")
        await battery.until(lambda truth: truth["faults"] == {})
        async with buyer(agent.endpoint) as peer:
            assert (await peer.ask()).termination_code == ReasonCode.FAULT
        assert look["lot"] is None
        assert agent.end() == 0


async def test_no_battery_at_the_start(tmp_path: Path) -> None:
    """The agent starts without its battery, says so, sells nothing, and sells when the battery comes."""
    port = free_port()
    with Agent(tmp_path, write_site(tmp_path, f"127.0.0.1:{port}")) as agent:
        async with buyer(agent.endpoint) as peer:
            assert (await peer.ask()).termination_code == ReasonCode.OFFLINE
            assert (await peer.bid(99.0, 0.1)).code == ReasonCode.OFFLINE
        look = await agent.snapshot()
        assert (look["connected"], look["lot"], look["soc_permille"]) == (False, None, None)
        assert look["stopped"]
        with Battery(tmp_path, port=port):
            await agent.until_selling()
            await trades_fairly(agent.endpoint)
        assert (await agent.until(lambda look: look["lot"] is None))["connected"] is False
        assert agent.end() in {0, 1}

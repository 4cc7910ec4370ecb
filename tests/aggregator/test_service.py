"""The whole aggregator from its configuration: over sockets, by discovery, and in virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.config import AggregatorConfig, load_config
from aggregator.scout import Scout
from aggregator.service import Aggregator, Surroundings, label_of
from aggregator.testing import StandInBattery
from etp.auth import AuthPolicy
from etp.discovery import DiscoveryRules, Endpoint
from etp.io.client import connect
from etp.io.group import MulticastSettings, MulticastUnavailable
from etp.io.maker import ConnectionMaker
from etp.io.multicast import BatteryAnnouncer, Finder
from etp.io.sockets import open_service_sockets
from etp.limits import Limits
from etp.messages import Body
from etp.timing import Role
from settlement import IdentityKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aggregator.slot import Conversation, Slot

HOST = "127.0.0.1"
WALL_MS = 1_700_000_000_000


def wall_ms() -> int:
    return WALL_MS


def configure(tmp_path: Path, *, ports: list[int] | None = None, extra: str = "") -> AggregatorConfig:
    path = tmp_path / "buyer.toml"
    batteries = [f"{HOST}:{port}" for port in ports or []]
    path.write_text(
        f'name = "test"\n{extra}\n[network]\npeers = "open"\nbatteries = {json.dumps(batteries)}\n'
        "[buy]\nneed_kwh = 5\nbudget_c = 1000\n[value]\nforecast_c = [20]\nfee_c = 1\nprivate_spread_c = 0.5\n"
    )
    return load_config(path)


class Running:
    """An aggregator with its events."""

    def __init__(self, config: AggregatorConfig) -> None:
        self.lines: list[dict[str, Any]] = []
        self.told = asyncio.Event()
        maker = ConnectionMaker(
            role=Role.AGGREGATOR, device_id=3, policy=AuthPolicy(), limits=Limits(), wall_ms=wall_ms
        )

        async def dial(host: str, port: int, slot: Slot) -> Conversation:
            return await connect(host, port, handler=slot, maker=maker)

        self.aggregator = Aggregator(
            config,
            Surroundings(device_id=3, dial=dial, wall_ms=wall_ms, rng=random.Random(1), write=self.write),
        )

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))
        self.told.set()

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_so():
                self.told.clear()
                await self.told.wait()


@asynccontextmanager
async def started(config: AggregatorConfig) -> AsyncIterator[Running]:
    running = Running(config)
    running.aggregator.start()
    try:
        yield running
    finally:
        await running.aggregator.stop()


async def test_a_configured_buyer_buys_its_need_and_says_so(tmp_path: Path) -> None:
    seller = StandInBattery(wall_ms=wall_ms)
    port = await seller.start()
    config = configure(tmp_path, ports=[port], extra='status_file = "status.json"')
    try:
        async with started(config) as running:
            await running.until(lambda: "ended" in running.events())
            status = running.aggregator.status()
            assert (status["bought_wh"], status["connected"], status["name"]) == (5_000, 1, "test")
            assert status["spent_c"] == 25.0
            assert status["batteries"][0]["circuit"] == "closed"
            assert (status["latency_ms"], status["connections"]["received"]) == ({}, 0)  # its dial counts elsewhere
            assert running.lines[0]["aggregator"] == "test"
            assert running.lines[0]["at_ms"] == WALL_MS
    finally:
        await seller.close()
    assert json.loads((tmp_path / "status.json").read_text())["name"] == "test"


async def test_a_status_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    seller = StandInBattery(wall_ms=wall_ms)
    port = await seller.start()
    config = configure(tmp_path, ports=[port], extra='status_file = "none/status.json"')
    try:
        async with started(config) as running:
            await running.until(lambda: "ended" in running.events())
    finally:
        await seller.close()


async def test_a_battery_heard_of_is_dialled_on_this_machine_only(tmp_path: Path) -> None:
    seller = StandInBattery(wall_ms=wall_ms)
    port = await seller.start()
    try:
        async with started(configure(tmp_path)) as running:
            scout, pool = running.aggregator.scout, running.aggregator.pool
            scout.heard("192.0.2.1", 4084, 1, None)
            assert len(pool) == 0
            scout.heard(HOST, port, 1, None)
            scout.heard(HOST, port, 1, None)
            assert len(pool) == 1
            await running.until(lambda: "ended" in running.events())
            scout.failed(HOST, port, Body.device_failure(1, 1), None)
            scout.forget()
            assert len(pool) == 1
    finally:
        await seller.close()


async def test_a_battery_that_cannot_be_reached_is_forgotten_and_a_listed_one_is_not(tmp_path: Path) -> None:
    async with started(configure(tmp_path, ports=[1])) as running:
        scout, pool = running.aggregator.scout, running.aggregator.pool
        scout.heard(HOST, 2, 1, None)
        await running.until(lambda: len({line["battery"] for line in running.lines}) == 2)
        scout.forget()
        assert [slot.endpoint for slot in pool] == [Endpoint(HOST, 1)]


async def test_a_scout_without_a_pool_waits() -> None:
    scout = Scout(static=[Endpoint(HOST, 1)], rules=DiscoveryRules())
    scout.heard(HOST, 2, 1, None)
    scout.forget()
    assert len(scout.directory) == 1


async def test_a_signed_battery_that_moved_keeps_its_trades(tmp_path: Path) -> None:
    ours, theirs = IdentityKey(bytes(31) + b"\x05"), IdentityKey(bytes(31) + b"\x06")
    path = tmp_path / "buyer.toml"
    first = StandInBattery(wall_ms=wall_ms, policy=AuthPolicy(peers="signed", signer=theirs), delivery_ms=60_000)
    # Another label, because with this clock both would sign the very same introduction: a replay.
    second = StandInBattery(wall_ms=wall_ms, policy=AuthPolicy(peers="signed", signer=theirs), lots=0, device_id=2)
    path.write_text(
        'name = "test"\nroot_file = "r"\n[network]\ntrusted_peers = "any"\n'
        "[buy]\nneed_kwh = 5\n[value]\nforecast_c = [20]\n"
    )
    running = Running(load_config(path))
    maker = ConnectionMaker(
        role=Role.AGGREGATOR,
        device_id=3,
        policy=AuthPolicy(peers="signed", signer=ours),
        limits=Limits(),
        wall_ms=wall_ms,
    )

    async def dial(host: str, port: int, slot: Slot) -> Conversation:
        return await connect(host, port, handler=slot, maker=maker)

    scout, pool = running.aggregator.scout, running.aggregator.pool
    pool._dial = dial
    running.aggregator.start()
    try:
        old, new = Endpoint(HOST, await first.start()), Endpoint(HOST, await second.start())
        scout.heard(*old, 1, None)
        await running.until(lambda: "confirmed" in running.events())
        scout.heard(*new, 1, None)
        await running.until(lambda: "lost" in running.events())
        heir = pool.get(new)
        assert heir is not None
        assert heir.session.open_trades == 1
        scout.forget()
        assert [slot.endpoint for slot in pool] == [new]
    finally:
        await running.aggregator.stop()
        await first.close()
        await second.close()


async def test_a_battery_is_found_by_multicast_and_traded_with(tmp_path: Path) -> None:
    settings = MulticastSettings(interface=HOST, port=40_841)
    sockets = open_service_sockets(HOST, 0)
    seller = StandInBattery(wall_ms=wall_ms, device_id=7)
    announcer = BatteryAnnouncer(
        device_id=7, policy=AuthPolicy(), wall_ms=wall_ms, answer=lambda *_: None, settings=settings
    )
    sockets.tcp.close()
    await seller.start(sockets.port)
    await announcer.start(sockets.udp)
    async with started(configure(tmp_path)) as running:
        finder = Finder(
            device_id=3,
            policy=AuthPolicy(),
            wall_ms=wall_ms,
            listener=running.aggregator.scout,
            settings=settings,
        )
        try:
            try:
                await finder.start()
                await announcer.join()
            except MulticastUnavailable as error:
                pytest.skip(str(error))
            await running.until(lambda: "ended" in running.events())
            assert running.lines[-1]["battery"] == f"{HOST}:{sockets.port}"
        finally:
            finder.close()
            announcer.close()
            await seller.close()


def test_labels_are_stable_and_differ_by_name() -> None:
    assert label_of("a") == label_of("a") != label_of("b")
    assert 0 <= label_of("a") < 1 << 64

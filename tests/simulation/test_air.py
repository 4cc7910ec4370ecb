"""Discovery, unchanged, over UDP that loses, doubles and reorders: every battery is found, and a gone one forgotten."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from etp.auth import AuthPolicy
from etp.discovery import Directory, DiscoveryRules, Endpoint
from etp.io.group import MulticastSettings, MulticastUnavailable
from etp.io.multicast import BatteryAnnouncer, Finder
from etp.io.sockets import open_service_sockets
from etp.messages import Body
from settlement import IdentityKey
from simulation.air import Air, Weather
from simulation.loop import VirtualLoop

HOST = "127.0.0.1"
BATTERIES = 5
RULES = DiscoveryRules()
CLEAR = Weather(lost=0.0, doubled=0.0, delay_ms=1)
FORGOTTEN_S = RULES.register_every_ms * RULES.missed / 1_000


def wall_ms() -> int:
    return 1_800_000_000_000 + round(asyncio.get_running_loop().time() * 1_000)


class Buyer:
    """An aggregator's ears and its table of batteries."""

    def __init__(self, group: MulticastSettings) -> None:
        self.directory = Directory(RULES)
        self.heard_of: list[tuple[int, int]] = []
        self.finder = Finder(
            device_id=9,
            policy=AuthPolicy(peers="signed", signer=IdentityKey(bytes([99]) * 32)),
            wall_ms=wall_ms,
            listener=self,
            settings=group,
            listen=HOST,
        )

    def heard(self, host: str, port: int, device_id: int, signer: bytes | None) -> None:
        now_ms = round(asyncio.get_running_loop().time() * 1_000)
        self.heard_of.append((now_ms, device_id))
        self.directory.saw(Endpoint(host, port), device_id, signer, now_ms)

    def failed(self, host: str, port: int, body: Body, signer: bytes | None) -> None:
        raise AssertionError("nobody failed")

    def ids(self) -> set[int]:
        self.directory.expire(round(asyncio.get_running_loop().time() * 1_000))
        return {listing.device_id for listing in self.directory}


class Seller:
    """A battery's UDP side."""

    def __init__(self, number: int, group: MulticastSettings) -> None:
        self.device_id = (1 << 63) + number
        self.asked = 0
        self.doors = open_service_sockets(HOST, 0, group_port=group.port)
        self.announcer = BatteryAnnouncer(
            device_id=self.device_id,
            policy=AuthPolicy(peers="signed", signer=IdentityKey(bytes([number]) * 32)),
            wall_ms=wall_ms,
            answer=self.answer,
            settings=group,
        )

    def answer(self, query: Body, _source: Endpoint) -> Body:
        self.asked += 1
        return Body.query_response(query.message_id, self.device_id, beat_e4=100_000)

    async def start(self) -> None:
        await self.announcer.start(self.doors.udp)
        await self.announcer.join()


@dataclass
class Found:
    """What came of one seed."""

    heard_of: list[tuple[int, int]]
    air: Air


def discover(seed: int, weather: Weather) -> Found:
    """Let two buyers look for five batteries, one of which goes away."""
    loop = VirtualLoop()
    air = loop.air = Air(loop, random.Random(seed), weather)
    group = MulticastSettings(port=43_210)

    async def scenario() -> Found:
        with ExitStack() as tidy:
            sellers = [Seller(number, group) for number in range(1, BATTERIES + 1)]
            buyers = [Buyer(group), Buyer(group)]
            for seller in sellers:
                tidy.callback(seller.doors.close)
                tidy.callback(seller.announcer.close)
                await seller.start()
            for buyer in buyers:
                tidy.callback(buyer.finder.close)
                await buyer.finder.start()
            await asyncio.sleep(2 * FORGOTTEN_S)
            everybody = {seller.device_id for seller in sellers}
            for buyer in buyers:
                assert {device_id for _, device_id in buyer.heard_of} == everybody
                assert len(buyer.directory) <= BATTERIES  # doubled and late words are nobody new
            sellers[0].announcer.close()
            await asyncio.sleep(FORGOTTEN_S + weather.delay_ms / 1_000 + 1)
            assert [sellers[0].device_id in buyer.ids() for buyer in buyers] == [False, False]
            air.weather = CLEAR
            await asyncio.sleep(RULES.register_every_ms / 1_000 + 1)
            assert [buyer.ids() for buyer in buyers] == [everybody - {sellers[0].device_id}] * 2
            return Found([each for buyer in buyers for each in buyer.heard_of], air)

    try:
        return loop.run_until_complete(scenario())
    except MulticastUnavailable as error:
        pytest.skip(str(error))
    finally:
        loop.close()


@pytest.mark.parametrize("seed", range(1, 9))
def test_everybody_is_found_and_who_has_gone_is_forgotten(seed: int) -> None:
    found = discover(seed, Weather())
    assert min(found.air.lost, found.air.doubled, found.air.overtaken) > 0


def test_the_same_seed_takes_the_same_course() -> None:
    assert discover(3, Weather()).heard_of == discover(3, Weather()).heard_of
    assert discover(3, Weather()).heard_of != discover(4, Weather()).heard_of


def test_what_is_lost_is_not_heard() -> None:
    with pytest.raises(AssertionError):
        discover(1, Weather(lost=1.0))

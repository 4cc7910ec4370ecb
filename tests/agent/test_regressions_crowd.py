"""Connections are a gateway's: its batteries count them together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from etp.limits import Limits
from tests.agent.market_lab import FIRST_PORT, HOST, Lab, Wire

if TYPE_CHECKING:
    from pathlib import Path


class Door(Wire):
    """A connection that knows when it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True


async def knock(lab: Lab, battery: int) -> Door:
    _, door = await lab.loop.create_connection(Door, HOST, FIRST_PORT + battery - 1)
    assert isinstance(door, Door)
    await asyncio.sleep(0.05)
    return door


def test_connections_of_one_address_are_counted_over_all_batteries(tmp_path: Path) -> None:
    lab = Lab(tmp_path, batteries=3)
    most = Limits().per_address

    async def story() -> None:
        await lab.up()
        doors = [await knock(lab, 1 + number % 3) for number in range(most)]
        assert not any(door.is_closed for door in doors)
        for battery in (1, 2, 3):
            assert (await knock(lab, battery)).is_closed
        doors[0].close()  # at the first battery
        await asyncio.sleep(0.05)
        assert not (await knock(lab, 2)).is_closed
        assert (await knock(lab, 1)).is_closed

    lab.run(story())

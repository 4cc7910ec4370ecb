"""The agent as its buyers meet it: the production gateway in a process of its own, with steady batteries behind it.

Options: `core`, `directory` (for journal and keys), `batteries`, `standing_ms`, `lot_wh`, `rated_power_w`, `peers`
("open" or "signed"), `doubling` (of the increment, 0 = never). Orders: `{"do": "figures"}`, and for the first battery
`{"do": "fail"}` (it reports a fault; the answer tells when) and `{"do": "heal"}`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from agent.clock import wall_ms
from agent.config import load_site
from agent.gateway import Gateway
from agent.surroundings import Surroundings
from bench.children import log_to, options, orders, say
from bench.steady import SteadyBattery
from etp import auction
from etp.limits import Limits
from settlement.executor import ThreadExecutor
from settlement.keys import IdentityKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config_values import BatterySite, Site
    from agent.storefront import Storefront

_SITE = """
[site]
name = "bench"
lab = true
[network]
multicast = false
peers = "{peers}"
trusted_peers = "any"
"""

_BATTERY = """
[[battery]]
name = "steady-{number}"
address = "127.0.0.1:9"
unit = {number}
port = 0
floor_percent = 20
share_percent = 80
reserve_c_per_kwh = 30.00
increment_c = 0.01
price_cap_c = 100000.00
"""

WIDE_LIMITS = {
    "connections": 1_024,
    "per_address": 1_024,
    "frames_per_s": 100_000,
    "burst": 100_000,
    "address_frames_per_s": 1_000_000,
}
"""One client on one address plays every buyer, faster than any buyer may; the checks themselves stay on."""


def site_of(given: dict[str, Any]) -> Site:
    """Return the site; what no site file allows (a standing time beyond 400 ms) is set on the value."""
    directory = Path(given["directory"])
    path = directory / "site.toml"
    count = given.get("batteries", 1)
    text = _SITE.format(peers=given.get("peers", "open")) + "".join(
        _BATTERY.format(number=n) for n in range(1, count + 1)
    )
    path.write_text(text, encoding="utf-8")
    site = load_site(path)
    standing_ms, lot_wh = given.get("standing_ms", 400), given.get("lot_wh", 5_000)
    batteries = tuple(replace(battery, standing_ms=standing_ms, lot_wh=lot_wh) for battery in site.batteries)
    limits = Limits(**WIDE_LIMITS)
    return replace(site, limits=limits, batteries=batteries)


def surroundings(batteries: list[SteadyBattery], rated_power_w: int) -> Surroundings:
    """Return the production surroundings with a steady battery for a device."""

    def open_battery(battery: BatterySite, _site: Site) -> SteadyBattery:
        batteries.append(SteadyBattery(battery.name, rated_power_w=rated_power_w))
        return batteries[-1]

    return Surroundings(
        open_battery=open_battery,
        journal_executor=ThreadExecutor,
        signer=lambda battery: IdentityKey.from_file(battery.root_file),
        wall_ms=wall_ms,
        random_bytes=secrets.token_bytes,
        clock_trusted=lambda: True,
        datagrams=False,
    )


class Shop:
    """A gateway with steady batteries."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._batteries: list[SteadyBattery] = []
        self._doubling = given.get("doubling", 32)
        self.gateway = Gateway(site_of(given), surroundings(self._batteries, given.get("rated_power_w", 5_000)))

    @property
    def fronts(self) -> list[Storefront]:
        """The batteries' doors, in the order of the site file."""
        return list(self.gateway.fronts.values())

    async def open(self) -> dict[str, Any]:
        """Open the doors and wait for the first lots; return the ports, and the first battery's key."""
        await self.gateway.start(control=False)
        for front in self.fronts:
            front.seller._terms_of = _with_doubling(front.seller._terms_of, self._doubling)
        try:
            async with asyncio.timeout(10):
                while any(front.seller.desk.lots.state.lot is None for front in self.fronts):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise RuntimeError(f"no lot opens: {self.fronts[0].seller.offer}") from error
        key = IdentityKey.from_file(self.fronts[0].site.root_file)
        ports = [front.doors.port for front in self.fronts]
        return {"port": ports[0], "ports": ports, "key": key.public_key.hex()}

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what the parent wants."""
        if order["do"] in {"fail", "heal"}:
            at_s = time.monotonic()
            self._batteries[0].fault = "bench" if order["do"] == "fail" else ""
            self._batteries[0].poll()
            return {"at_s": at_s}
        stats = auction.stats(self.fronts[0].seller.desk.lots.state)
        return {"metrics": self.gateway.metrics.summary(), "entered": stats.entered if stats else 0}


def _with_doubling(terms_of: Callable[[int], auction.Terms], doubling: int) -> Callable[[int], auction.Terms]:
    """Return the same terms but for the doubling of the increment, which no site file sets."""
    known: dict[int, auction.Terms] = {}

    def terms(reserve_e4: int) -> auction.Terms:
        if reserve_e4 not in known:
            known[reserve_e4] = replace(terms_of(reserve_e4), doubling=doubling)
        return known[reserve_e4]

    return terms


async def serve(given: dict[str, Any]) -> None:
    """Sell until stdin ends."""
    shop = Shop(given)
    say(**await shop.open())
    stream = await orders()
    async for line in stream:
        say(**shop.obey(json.loads(line)))
    await shop.gateway.stop()


if __name__ == "__main__":
    _given = options()
    with log_to(_given["directory"], "agent"):
        uvloop.run(serve(_given))

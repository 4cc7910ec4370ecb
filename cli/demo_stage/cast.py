"""Brings the market on stage: batteries, then agents, then buyers, each ready before the next begin."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.demo_stage import scene
from cli.demo_stage.cashbook import Bank, Cashbook
from cli.demo_stage.collector import SiteFollower
from cli.demo_stage.identities import identity_of
from cli.demo_stage.processes import Troupe
from settlement import to_base58

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.demo_stage.book import Book
    from cli.demo_stage.scene import Group, Till

LOOK_EVERY_S: Final = 0.2
BUYERS_NICENESS: Final = 5
"""On a small machine four buyers in a bidding war shall not keep an agent from stopping a delivery in time."""


class Ports(NamedTuple):
    """The first port of each kind, the other sites' next to it; 0 = any."""

    etp: int = 0
    modbus: int = 0

    @staticmethod
    def of(first: int, number: int) -> int:
        """Return the port of the site with this number."""
        return first + number if first else 0


class Cast:
    """All processes of a market, and the followers of its sites."""

    def __init__(self, book: Book, directory: Path, *, say: Callable[[str], None], ports: Ports) -> None:
        self.troupe = Troupe(directory)
        self.followers: dict[str, SiteFollower] = {}
        self.cashbook: Cashbook | None = None
        self.bound: list[int] = []
        """Every port that was opened."""
        self._book = book
        self._directory = directory
        self._say = say
        self._ports = ports
        self._sellers = {site.name: identity_of(f"battery-{site.name}", directory) for site in scene.SITES}
        self._buyers = {buyer.name: identity_of(f"buyer-{buyer.name}", directory) for buyer in scene.BUYERS}
        self._resolver = identity_of("resolver", directory)
        book.introduce({identity.peer: name for name, identity in self._buyers.items()})

    async def enter(self, group: Group | None) -> None:
        """Start everything; without a group the buyers are given the endpoints. Raises ChildError."""
        till = await self._start_ledger()
        batteries = await self._start_batteries()
        endpoints = await self._start_agents(batteries, group, till)
        await self._start_buyers(endpoints, group, till)

    async def _start_ledger(self) -> Till:
        """Return the ledger, with the program on it, money in the buyers' wallets and on their Lines."""
        self._say("starting a ledger with the settlement program, test money, and Lines from every buyer to every site")
        command = ["ledger", "--init", "--port", "0", "--json", "--finalized-after", str(scene.FINALIZED_AFTER)]
        command += ["--line-usdc", str(scene.LINE_USDC)]
        for option, members in (("--battery", self._sellers), ("--buyer", self._buyers)):
            for member in members.values():
                command += [option, str(member.root_file)]
        child = await self.troupe.start("ledger", command)
        told = json.loads(await child.ready())
        bank = Bank(**{name: told[name] for name in ("rpc", "genesis", "program", "mint")})
        self.bound.append(int(bank.rpc.rpartition(":")[2]))
        self._say(f"  ledger: {bank.rpc}, program {bank.program}")
        sites = {name: seller.wallet.public_key for name, seller in self._sellers.items()}
        buyers = {name: buyer.wallet.public_key for name, buyer in self._buyers.items()}
        self.cashbook = Cashbook(bank, self._book, sites=sites, buyers=buyers)
        await self.cashbook.look()
        resolver = to_base58(self._resolver.wallet.public_key)
        return scene.Till(rpc=bank.rpc, program=bank.program, genesis=bank.genesis, mint=bank.mint, resolver=resolver)

    async def _start_batteries(self) -> dict[str, tuple[str, int]]:
        """Return the Modbus endpoint and the control port of each battery."""
        self._say(f"starting {len(scene.SITES)} simulated batteries, each a Modbus TCP server")
        children = [
            await self.troupe.start(
                f"battery-{site.name}",
                site.battery_command(port=Ports.of(self._ports.modbus, number), seed=number),
            )
            for number, site in enumerate(scene.SITES)
        ]
        found: dict[str, tuple[str, int]] = {}
        for site, child in zip(scene.SITES, children, strict=True):
            fields = _fields(await child.ready())
            control_port = int(fields["control"].rpartition(":")[2])
            found[site.name] = fields["modbus"], control_port
            self.bound += [int(fields["modbus"].rpartition(":")[2]), control_port]
            self._say(f"  battery {site.name}: Modbus {fields['modbus']}, control {fields['control']}")
        return found

    async def _start_agents(
        self, batteries: dict[str, tuple[str, int]], group: Group | None, till: Till
    ) -> dict[str, str]:
        """Return where each battery is sold."""
        self._say(f"starting {len(scene.SITES)} agents, one for each site")
        children = []
        for number, site in enumerate(scene.SITES):
            text = site.site_file(
                modbus=batteries[site.name][0],
                port=Ports.of(self._ports.etp, number),
                socket=self._socket(site.name),
                group=group,
                root_file=self._sellers[site.name].root_file,
                buyers=[identity.key for identity in self._buyers.values()],
                till=till,
            )
            path = scene.write(self._directory, f"site-{site.name}.toml", text)
            children.append(await self.troupe.start(f"agent-{site.name}", ["agent", "--site", str(path)]))
        endpoints: dict[str, str] = {}
        for site, child in zip(scene.SITES, children, strict=True):
            endpoint = endpoints[site.name] = _fields(await child.ready())[site.name]
            self.bound.append(int(endpoint.rpartition(":")[2]))
            self._say(f"  agent {site.name}: sells at {endpoint}")
            await self._follow(site.name, batteries[site.name][1])
        return endpoints

    async def _start_buyers(self, endpoints: dict[str, str], group: Group | None, till: Till) -> None:
        found = "are given the batteries' endpoints" if group is None else "find the batteries by multicast"
        self._say(f"starting {len(scene.BUYERS)} aggregators, each with its own strategy: they {found}")
        static = list(endpoints.values()) if group is None else []
        children = []
        for number, buyer in enumerate(scene.BUYERS):
            text = buyer.config_file(
                seed=number,
                batteries=static,
                group=group,
                root_file=self._buyers[buyer.name].root_file,
                sellers=[identity.key for identity in self._sellers.values()],
                till=till,
            )
            path = scene.write(self._directory, f"buyer-{buyer.name}.toml", text)
            children.append(
                await self.troupe.start(
                    f"buyer-{buyer.name}",
                    ["aggregator", "--config", str(path), "--json"],
                    on_line=_reader_of(buyer.name, self._book),
                    niceness=BUYERS_NICENESS,
                )
            )
        for buyer, child in zip(scene.BUYERS, children, strict=True):
            await child.ready()
            self._say(f"  aggregator {buyer.name}: {buyer.strategy}")

    async def _follow(self, name: str, truth_port: int) -> None:
        follower = SiteFollower(
            name, self._book, socket=self._socket(name), truth_port=truth_port, look_every_s=LOOK_EVERY_S
        )
        self.followers[name] = follower
        await follower.open()

    def _socket(self, name: str) -> Path:
        return self._directory / f"{name}.sock"


def _reader_of(name: str, book: Book) -> Callable[[str], None]:
    def read(line: str) -> None:
        book.buyer_line(name, json.loads(line))

    return read


def _fields(line: str) -> dict[str, str]:
    """Return the `name=value` parts of a ready line."""
    return dict(part.split("=", 1) for part in line.split() if "=" in part)

"""Agent, aggregator and both settlers on the real program, in virtual time: trades become money on the ledger."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from aggregator.config import load_config
from aggregator.service import Aggregator, Money, Surroundings
from aggregator.testing.seller import BUYER_KEYS
from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.limits import Limits
from settlement.exchange import to_base58
from settlement.ledger.transport import NodeTransport
from settlement.settler import Settler
from settlement.settler_types import Stage
from simulation.chain import Chain
from simulation.deals import Person
from simulation.disk import Disk, VirtualExecutor
from simulation.loop import VirtualLoop
from tests.agent import gateway_world as gw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aggregator.slot import Conversation, Slot
    from etp.auth import Signer
    from settlement.keys import IdentityKey, SeedKey
    from settlement.settler_types import SettlerSettings, TradeView

pytestmark = pytest.mark.slow
URL = "http://ledger.simulated"


class Party(Person):
    """A person with the keys that the worlds of agent and aggregator use."""

    def __init__(self, name: str, role: Any, identity: IdentityKey, wallet: SeedKey) -> None:
        super().__init__(name, role)
        self.identity, self.signer, self.wallet = identity, wallet, wallet.public_key


class Town:
    """A ledger with one battery and one buyer, and whoever opens a settler on it."""

    def __init__(self, directory: Path) -> None:
        self.loop = VirtualLoop()
        self.directory = directory
        self.battery = Party("battery", "battery", gw.key(99), gw.key(98))
        self.buyer = Party("buyer", "buyer", BUYER_KEYS.identity, BUYER_KEYS.signer("wallet"))
        self.chain = Chain(self.loop, random.Random(1), [self.battery], [self.buyer], timeout_s=600)
        self.settlers: list[Settler] = []
        self.lines: list[dict[str, Any]] = []

    def table(self, **more: object) -> str:
        venue = self.chain.venue
        addresses = {
            "program_id": venue.program_id,
            "genesis": venue.genesis_hash,
            "mint": venue.mint,
            "resolver": self.chain.resolver.public_key,
        }
        lines = ["[settlement]", f'rpc = ["{URL}"]', "dispute_window_s = 30"]
        lines += [f'{key} = "{to_base58(value)}"' for key, value in addresses.items()]
        return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in more.items())])

    def open_settler(self, settings: SettlerSettings, wallet: Signer, told: Callable[[Any], None]) -> Settler:
        settler = Settler(
            settings,
            wallet=wallet,
            transport=NodeTransport({URL: self.chain.node}),
            executor=VirtualExecutor(Disk(), random.Random(5)),
            monotonic_s=self.loop.time,
            rng=random.Random(6),
            on_event=told,
        )
        self.settlers.append(settler)
        return settler

    def make_buyer(self, world: gw.World, **more: object) -> Aggregator:
        file = self.directory / "buyer.toml"
        file.write_text(
            'name = "buyer"\nroot_file = "r"\n[network]\ntrusted_peers = "any"\nmulticast = false\n'
            f'batteries = ["{world.gateway.endpoints["battery-1"]}"]\n[buy]\nneed_kwh = 1\n'
            f"[value]\nforecast_c = [60]\n{self.table(**{'time_lapse': 20, 'outbox': 'buyer.db', **more})}\n"
        )
        identity = BUYER_KEYS.identity
        maker = ConnectionMaker(
            role=Role.AGGREGATOR,
            device_id=identity.device_id,
            policy=AuthPolicy(peers="signed", signer=identity),
            limits=Limits(),
            wall_ms=world.wall_ms,
        )

        async def dial(host: str, port: int, slot: Slot) -> Conversation:
            return await connect(host, port, handler=slot, maker=maker, clock=world.clock)

        rng = random.Random(3)
        money = Money(
            keys=BUYER_KEYS, open_settler=self.open_settler, executor=VirtualExecutor(Disk(), random.Random(4))
        )
        return Aggregator(
            load_config(file),
            Surroundings(
                device_id=identity.device_id,
                dial=dial,
                wall_ms=world.wall_ms,
                rng=rng,
                write=lambda line: self.lines.append(json.loads(line)),
                money=money,
            ),
        )

    @asynccontextmanager
    async def trading(self, *, cosign_wait_s: int = 30, **more: object) -> AsyncIterator[tuple[gw.World, Aggregator]]:
        network = "\n".join(['peers = "signed"\ntrusted_peers = "any"', self.table(cosign_wait_s=cosign_wait_s)])
        async with gw.world(self.directory, open_settler=self.open_settler, network=network) as world:
            buyer = self.make_buyer(world, **more)
            await buyer.open()
            buyer.start()
            try:
                yield world, buyer
            finally:
                await buyer.stop()

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    def stages(self) -> set[tuple[str, Stage]]:
        """Return where the first trade of each settler is."""
        return {(view.role, view.stage) for settler in self.settlers for view in settler.trades()[:1]}

    async def paid(self, world: gw.World) -> TradeView:
        """Wait until the buyer's first trade is over on the ledger, for both settlers."""
        found: list[TradeView] = []

        def is_over() -> bool:
            found[:] = [
                view for settler in self.settlers for view in settler.trades()[:1] if view.stage is Stage.SETTLED
            ]
            return len({view.role for view in found}) == 2

        await world.until(is_over, 3_600)
        return found[-1]

    def run(self, coroutine: Any) -> None:
        try:
            self.loop.run_until_complete(coroutine)
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            self.chain.close()


def test_a_trade_that_both_signed_is_settled_at_once_and_to_the_base_unit(tmp_path: Path) -> None:
    town = Town(tmp_path)

    async def scene() -> None:
        before = town.chain.tokens(town.battery.wallet)
        async with town.trading() as (world, buyer):
            await world.until(lambda: "cosigned" in town.events(), 3_600)
            view = await town.paid(world)
            assert view.how == "co-signed"
            contract = view.contract
            assert view.delivered_wh is not None
            split = contract.split(view.delivered_wh)
            assert (view.payout, view.fee, view.returned) == (split.payout, split.fee, split.returned)
            assert town.chain.tokens(town.battery.wallet) - before == split.payout
            line = buyer.status()["batteries"][0]["line"]
            assert line["promised"] + line["locked"] + line["free"] == line["cover"]
            assert "disputed" not in town.events()

    town.run(scene())


def test_a_buyer_that_does_not_cosign_is_claimed_from_and_pays_after_the_window(tmp_path: Path) -> None:
    town = Town(tmp_path)

    async def scene() -> None:
        before = town.chain.tokens(town.battery.wallet)
        async with town.trading(cosign=False) as (world, _buyer):
            await world.until(lambda: "not_cosigned" in town.events(), 3_600)
            view = await town.paid(world)
            assert view.how == "finalized"
            assert view.delivered_wh is not None
            assert view.payout is not None
            assert view.payout == view.contract.split(view.delivered_wh).payout > 0
            assert town.chain.tokens(town.battery.wallet) - before >= view.payout  # other trades are paid meanwhile

    town.run(scene())


def test_a_buyer_that_comes_back_after_the_claim_pays_it_too(tmp_path: Path) -> None:
    town = Town(tmp_path)

    async def scene() -> None:
        async with town.trading() as (world, buyer):
            await world.until(lambda: "delivering" in town.events(), 3_600)
            await buyer.stop()
            await asyncio.sleep(600)
            again = town.make_buyer(world)
            await again.open()
            again.start()
            try:
                view = await town.paid(world)
                assert view.payout == view.contract.split(cast("int", view.delivered_wh)).payout > 0
                assert "disputed" not in town.events()
            finally:
                await again.stop()

    town.run(scene())


def test_a_claim_for_more_than_can_have_been_delivered_is_disputed_by_itself(tmp_path: Path) -> None:
    town = Town(tmp_path)

    async def scene() -> None:
        # For this buyer energy does not run faster, so the battery cannot have delivered what it says.
        async with town.trading(time_lapse=1) as (world, _buyer):
            await world.until(lambda: "disputed" in town.events(), 3_600)
            disputed = {("buyer", Stage.DISPUTED), ("battery", Stage.DISPUTED)}
            await world.until(lambda: disputed <= town.stages(), 7_200)
            contract = town.settlers[0].trades()[0].contract
            said = [line for line in town.lines if line.get("trade_id") == contract.trade_id.hex()]
            own_wh = max(line["own_wh"] for line in said if line["event"] == "disputed")
            town.chain.resolve(contract, own_wh)
            view = await town.paid(world)
            assert (view.how, view.delivered_wh) == ("resolved", own_wh)
            assert view.payout == contract.split(own_wh).payout

    town.run(scene())

"""The production agent and the production aggregator settle with each other, in virtual time; the ledger stands in."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aggregator.cheque_file import ChequeFile
from aggregator.config import load_config
from aggregator.entries import Entry, State
from aggregator.service import Aggregator, Money, Surroundings
from aggregator.testing.seller import BUYER_KEYS
from aggregator.testing.settler import StandInSettler
from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.limits import Limits
from simulation.disk import Disk, VirtualExecutor
from tests.agent import gateway_world as gw
from tests.agent import settling_world as sw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aggregator.slot import Conversation, Slot
    from etp.auth import Signer
    from settlement.settler_types import SettlerSettings

BUYER_KEY = BUYER_KEYS.public_keys["identity"]
BUYER_WALLET = BUYER_KEYS.public_keys["wallet"]


class Purchaser:
    """A running aggregator beside a gateway's world."""

    def __init__(
        self, directory: Path, world: gw.World, ledger: sw.Ledger, extra: str = "", need_kwh: float = 2
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self.settler = StandInSettler()
        self.settler.lines[sw.BATTERY_WALLET] = ledger.lines[BUYER_WALLET]
        self.path = directory / "cheques.db"
        self.world = world
        file = directory / "buyer.toml"
        file.write_text(
            'name = "buyer"\nroot_file = "r"\n[network]\ntrusted_peers = "any"\nmulticast = false\n'
            f'batteries = ["{world.gateway.endpoints["battery-1"]}"]\n[buy]\nneed_kwh = {need_kwh}\n'
            f"[value]\nforecast_c = [60]\n{sw.SETTLEMENT}\ntime_lapse = 20\n{extra}"
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

        def open_settler(_settings: SettlerSettings, _wallet: Signer, told: Any) -> StandInSettler:
            self.settler.on_event = told
            return self.settler

        rng = random.Random(3)
        self.aggregator = Aggregator(
            load_config(file),
            Surroundings(
                device_id=identity.device_id,
                dial=dial,
                wall_ms=world.wall_ms,
                rng=rng,
                write=lambda line: self.lines.append(json.loads(line)),
                money=Money(keys=BUYER_KEYS, open_settler=open_settler, executor=VirtualExecutor(Disk(), rng)),
            ),
        )

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    def the(self, event: str) -> dict[str, Any]:
        return next(line for line in self.lines if line["event"] == event)

    async def until(self, *events: str, timeout_s: float = 600.0) -> None:
        await self.world.until(lambda: set(events) <= set(self.events()), timeout_s)

    async def start(self) -> None:
        await self.aggregator.open()
        self.aggregator.start()

    def on_disk(self) -> list[Entry]:
        file = ChequeFile.open(self.path)
        try:
            return file.read_open(0, 100)
        finally:
            file.close()


@asynccontextmanager
async def market(
    directory: Path, *, extra: str = "", need_kwh: float = 2, **options: Any
) -> AsyncIterator[tuple[gw.World, sw.Ledger, Purchaser]]:
    async with sw.settled_world(directory, allot=False, **options) as (world, ledger):
        line = ledger.allot(buyer_key=BUYER_KEY)
        ledger.lines.clear()
        ledger.lines[BUYER_WALLET] = line
        buyer = Purchaser(directory, world, ledger, extra, need_kwh)
        await buyer.start()
        try:
            yield world, ledger, buyer
        finally:
            await buyer.aggregator.stop()


def test_a_trade_is_agreed_delivered_and_signed_by_both(tmp_path: Path) -> None:
    async def scene() -> None:
        async with market(tmp_path) as (world, ledger, buyer):
            await buyer.until("cosigned", "ended")
            await asyncio.sleep(2)
            theirs = [cheque for cheque in ledger.settler.cheques.values() if cheque.final is not None]
            ours = [cheque for cheque, _ in buyer.settler.last().values()]
            assert len(theirs) == len(ours) == 1
            assert theirs[0].final is not None
            assert theirs[0].final.is_cosigned
            assert (theirs[0].contract, theirs[0].final) == (ours[0].contract, ours[0].final)
            assert (theirs[0].buyer_signature, theirs[0].battery_signature) == (
                ours[0].buyer_signature,
                ours[0].battery_signature,
            )
            assert ours[0].interim is not None
            assert theirs[0].interim == ours[0].interim
            theirs[0].check()
            assert buyer.the("ended")["delivered_wh"] == 2_000
            assert not {"disputed", "not_confirmed", "receipt_refused"} & set(buyer.events())
            assert world.seller is not None
        (kept,) = buyer.on_disk()
        assert kept.state is State.AGREED

    gw.run(scene())


def test_many_trades_in_a_row_use_the_numbers_of_one_line(tmp_path: Path) -> None:
    async def scene() -> None:
        async with market(tmp_path, need_kwh=6) as (_world, ledger, buyer):
            await buyer.world.until(lambda: buyer.events().count("cosigned") == 3, 1_200)
            await asyncio.sleep(2)
            numbers = [cheque.contract.contract_no for cheque, _ in buyer.settler.last().values()]
            assert sorted(numbers) == [0, 1, 2]
            assert len(ledger.settler.cheques) == 3

    gw.run(scene())


def test_a_buyer_that_does_not_cosign_leaves_a_claimable_cheque(tmp_path: Path) -> None:
    async def scene() -> None:
        async with market(tmp_path, extra="cosign = false\n") as (_world, ledger, buyer):
            await buyer.until("not_cosigned", "ended")
            await asyncio.sleep(2)
            trade_id = bytes.fromhex(buyer.the("not_cosigned")["trade_id"])
            cheque = ledger.settler.cheques[trade_id]
            assert cheque.final is not None
            assert (cheque.final.battery_signature is not None, cheque.final.buyer_signature) == (True, None)
            # It was ended when a quarter of the contract had been delivered without a signature.
            assert 500 <= cheque.final.receipt.delivered_wh < 1_000
            ours, figure_wh = buyer.settler.last()[trade_id]
            assert (ours.final, figure_wh) == (None, cheque.final.receipt.delivered_wh)

    gw.run(scene())


def test_a_connection_that_breaks_in_mid_delivery_costs_nobody_anything(tmp_path: Path) -> None:
    async def scene() -> None:
        async with market(tmp_path) as (world, ledger, buyer):
            await buyer.until("delivering")
            for end in world.network.open_ends():
                end.abort()
            await buyer.until("cosigned", "ended")
            await asyncio.sleep(2)
            (cheque,) = ledger.settler.cheques.values()
            assert cheque.final is not None
            assert (cheque.final.is_cosigned, cheque.final.receipt.delivered_wh >= 2_000) == (True, True)

    gw.run(scene())


def test_a_battery_that_crashes_in_mid_delivery_is_paid_for_what_it_delivered(tmp_path: Path) -> None:
    async def scene() -> None:
        async with market(tmp_path) as (world, ledger, buyer):
            await buyer.until("delivering")
            await asyncio.sleep(20)
            await world.crash()
            await buyer.until("cosigned", timeout_s=1_200)
            await asyncio.sleep(2)
            (cheque,) = ledger.settler.cheques.values()
            assert cheque.final is not None
            assert cheque.final.is_cosigned
            assert "disputed" not in buyer.events()

    gw.run(scene())


def test_a_buyer_that_restarts_answers_what_it_had_not_answered(tmp_path: Path) -> None:
    async def scene() -> None:
        async with market(tmp_path) as (world, ledger, first):
            await first.until("delivering")
            await asyncio.sleep(10)
            await first.aggregator.stop()
            await asyncio.sleep(150)
            second = Purchaser(tmp_path, world, ledger)
            assert second.aggregator.till is not None
            await second.start()
            try:
                ((trade_id, _),) = first.settler.last().items()
                await second.until("cosigned", timeout_s=1_200)
                assert second.the("cosigned")["trade_id"] == trade_id.hex()
                await asyncio.sleep(2)
                cheque = ledger.settler.cheques[trade_id]
                assert cheque.final is not None
                assert cheque.final.is_cosigned
                assert second.settler.last()[trade_id][0].final == cheque.final
            finally:
                await second.aggregator.stop()

    gw.run(scene())

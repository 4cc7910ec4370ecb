"""A battery's and a buyer's settler on one embedded ledger with the real program, all in virtual time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from solders.pubkey import Pubkey

from settlement import Cheque, Contract, KeyRing, Venue, device_id
from settlement.cluster.landing import Lander
from settlement.cluster.setup import Member
from settlement.ledger import Faults, Ledger, Node, Settings
from settlement.ledger.init import Wishes, prepare
from settlement.ledger.transport import NodeTransport
from settlement.opening import Opening
from settlement.program.elf import program_elf
from settlement.rpc import RpcClient
from settlement.settler import Settler
from settlement.settler_types import EventKind, SettlerEvent, SettlerSettings, Stage, TradeView
from simulation.disk import Disk, VirtualExecutor
from simulation.loop import VirtualLoop
from tests.settlement.settler.cheques import cheque, with_final, with_interim

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from settlement.signing import Party

START_MS = 1_800_000_000_000
SOL = 1_000_000_000
LINE_UNITS = 50_000_000
NODES = ("http://one", "http://two")


class World:
    """Time, ledger, nodes, parties; `settler` starts one. Leaves nothing running."""

    def __init__(self, directory: Path, *, lamports: int = SOL, line_units: int = LINE_UNITS) -> None:
        self.directory = directory
        self.loop = VirtualLoop()
        self.ledger = Ledger(None, clock_ms=self.now_ms, settings=Settings(), draw=random.Random(7).randbytes)
        self.nodes = {url: Node(self.ledger, Faults()) for url in NODES}
        self.transport = NodeTransport(self.nodes)
        self.rings: dict[Party, KeyRing] = {"battery": KeyRing(bytes([1]) * 32), "buyer": KeyRing(bytes([2]) * 32)}
        self.resolver = KeyRing(bytes([3]) * 32)
        self.settlers: list[Settler] = []
        self.events: dict[str, list[SettlerEvent]] = {"battery": [], "buyer": []}
        self.disks: dict[str, Disk] = {"battery": Disk(), "buyer": Disk()}
        self._lamports, self._line_units = lamports, line_units

    def __enter__(self) -> Self:
        asyncio.set_event_loop(self.loop)
        members = [Member(role, ring.signer("wallet"), ring.signer("identity")) for role, ring in self.rings.items()]
        wishes = Wishes(
            code=program_elf(),
            members=members,
            lamports=self._lamports,
            units=2 * LINE_UNITS,
            line_units=self._line_units,
        )
        node = self.nodes[NODES[0]]
        place = self.run(prepare(node, bytes([9]) * 32, wishes, clock_ms=self.now_ms, sleep=asyncio.sleep))
        self.venue = Venue(
            program_id=bytes(place.program), genesis_hash=bytes(self.ledger.genesis), mint=bytes(place.mint)
        )
        self.opening = Opening(self.venue)
        self.wait(20)
        return self

    def __exit__(self, *_exc: object) -> None:
        for settler in self.settlers:
            self.run(settler.close())
        self.loop.run_until_complete(asyncio.sleep(1))
        self.loop.close()
        self.ledger.close()
        asyncio.set_event_loop(None)

    def now_ms(self) -> int:
        return START_MS + round(self.loop.time() * 1_000)

    @property
    def now_s(self) -> int:
        return self.now_ms() // 1_000

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def wallet(self, role: Party) -> bytes:
        return self.rings[role].public_keys["wallet"]

    def settings(self, role: Party, **changes: Any) -> SettlerSettings:
        made = SettlerSettings(role=role, rpc=NODES, venue=self.venue, outbox=self.directory / f"{role}.db")
        return replace(made, **changes)

    def settler(self, role: Party, **changes: Any) -> Settler:
        made = Settler(
            self.settings(role, **changes),
            wallet=self.rings[role].signer("wallet"),
            transport=self.transport,
            executor=VirtualExecutor(self.disks[role], random.Random(role)),
            monotonic_s=self.loop.time,
            rng=random.Random(role),
            on_event=self.events[role].append,
        )
        self.settlers.append(made)
        self.run(made.start())
        return made

    def end(self, settler: Settler) -> None:
        self.settlers.remove(settler)
        self.run(settler.close())

    def crash(self, settler: Settler) -> None:
        self.settlers.remove(settler)
        settler.abandon()
        self.wait(0)

    def contract(self, number: int = 0, **terms: Any) -> Contract:
        """One that began an hour ago and ended ten minutes later."""
        line = self.line()
        ends_at_s = self.now_s - 60
        fields: dict[str, Any] = {
            "venue": self.venue,
            "battery_wallet": self.wallet("battery"),
            "buyer_wallet": self.wallet("buyer"),
            "generation": line["generation"],
            "contract_no": number,
            "battery_device_id": device_id(self.rings["battery"].public_keys["identity"]),
            "buyer_device_id": device_id(self.rings["buyer"].public_keys["identity"]),
            "message_id": 4_711 + number,
            "price_e4": 251_300,
            "energy_wh": 2_500,
            "base_units_per_cent": 10_000,
            "starts_at_s": ends_at_s - 600,
            "ends_at_s": ends_at_s,
            "valid_until_s": ends_at_s + 259_200,
            "fee_bps": 50,
            "dispute_window_s": 3_600,
            "resolver": self.resolver.public_keys["wallet"],
        }
        return Contract(**{**fields, **terms})

    def cheque(self, role: Party, contract: Contract) -> Cheque:
        return cheque(
            role, contract=contract, battery=self.rings["battery"].identity, buyer=self.rings["buyer"].identity
        )

    def bring_bond_money(self) -> None:
        """Leave something in the buyer's escrow that no Line holds: disputes take their bond from it."""
        self.land("buyer", *self.opening.deposit(self.wallet("buyer"), 10_000_000))

    def final(self, one: Cheque, wh: int | None = None, *, cosigned: bool) -> Cheque:
        battery, buyer = self.rings["battery"].identity, self.rings["buyer"].identity
        return with_final(one, wh, cosigned=cosigned, battery=battery, buyer=buyer)

    def line(self) -> dict[str, Any]:
        from settlement.program.accounts import Line  # noqa: PLC0415

        key = self.opening.line(self.wallet("buyer"), self.wallet("battery"))
        account = self.ledger.account_at(key, self.ledger.height("confirmed"))
        if account is None:
            return {"generation": 1}
        record = Line.decode(bytes(account.data))
        return {name: getattr(record, name) for name in record.__match_args__}

    def tokens(self, wallet: bytes) -> int:
        account = self.ledger.account_at(self.opening.tokens(wallet), self.ledger.height("confirmed"))
        return 0 if account is None else int.from_bytes(bytes(account.data)[64:72], "little")

    def lamports(self, wallet: bytes) -> int:
        account = self.ledger.account_at(Pubkey.from_bytes(wallet), self.ledger.height("confirmed"))
        return 0 if account is None else account.lamports

    def land(self, role: Party, *instructions: Any) -> None:
        """Land something that a party does by hand."""
        client = RpcClient(
            NODES, self.venue.genesis_hash, self.transport, monotonic_s=self.loop.time, rng=random.Random(5)
        )
        lander = Lander(client, self.rings[role].signer("wallet"), sleep=asyncio.sleep)
        self.run(lander.land(list(instructions)))

    def interim(self, one: Cheque, wh: int) -> Cheque:
        battery, buyer = self.rings["battery"].identity, self.rings["buyer"].identity
        return with_interim(one, wh, battery=battery, buyer=buyer)

    def done(self, settler: Settler, trade_id: bytes, *, step_s: float = 5.0, seconds: float = 9_000) -> TradeView:
        """Wait until a trade has ended, and return it."""

        def has_ended() -> bool:
            view = settler.trade(trade_id)
            return view is not None and view.is_done

        self.until(has_ended, seconds=seconds, step_s=step_s)
        view = settler.trade(trade_id)
        assert view is not None
        return view

    def stage(self, settler: Settler, trade_id: bytes, stage: Stage) -> None:
        """Wait until a trade is so far."""

        def has_moved() -> bool:
            view = settler.trade(trade_id)
            return view is not None and view.stage is stage

        self.until(has_moved, seconds=9_000, step_s=5.0)

    def kinds(self, role: str) -> list[EventKind]:
        return [event.kind for event in self.events[role]]

    def until(self, what: Any, *, seconds: float = 600.0, step_s: float = 1.0) -> None:
        """Let time pass until something holds."""

        async def watch() -> None:
            async with asyncio.timeout(seconds):
                while not what():  # noqa: ASYNC110 - nothing to wait for but virtual time
                    await asyncio.sleep(step_s)

        self.run(watch())

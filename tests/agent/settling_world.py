"""A gateway with `[settlement]`, a settler that only remembers, and a buyer that signs contracts and receipts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from etp.messages import Body, MessageType
from settlement import Cheque, Contract, Receipt, Venue, sign_contract, sign_receipt, to_base58
from settlement.lines import LineState
from settlement.settler_types import EventKind, SettlerEvent, SettlerSettings, SettlerSnapshot, Stage, TradeView
from settlement.terms import MarketTerms, Times, bid_of, check_accept, times_for, window_s
from tests.agent import gateway_world as gw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from etp.connection import Received
    from etp.extensions import Contract as WireContract
    from settlement.keys import IdentityKey

BATTERY: Final = gw.key(99)
BATTERY_WALLET: Final = gw.key(98).public_key
BUYER: Final = gw.key(50)
STRANGER: Final = gw.key(51)
BUYER_WALLET: Final = bytes([8]) * 32
GENERATION: Final = 435_888_001
VENUE: Final = Venue(program_id=bytes([4]) * 32, genesis_hash=bytes([5]) * 32, mint=bytes([6]) * 32)
MARKET: Final = MarketTerms(
    venue=VENUE, base_units_per_cent=10_000, fee_bps=50, dispute_window_s=86_400, resolver=bytes([9]) * 32
)
SETTLEMENT: Final = "\n".join(
    [
        "[settlement]",
        'rpc = ["http://127.0.0.1:8899"]',
        *(
            f'{name} = "{to_base58(bytes([number]) * 32)}"'
            for name, number in (("program_id", 4), ("genesis", 5), ("mint", 6), ("resolver", 9))
        ),
    ]
)


LAPSING: Final = "lab = true\ntime_lapse = 20"


class FakeSettler:
    """Remembers cheques by trade, and reads the Lines that the test has put there. Implements `SettlerPort`."""

    def __init__(
        self, settings: SettlerSettings, wallet: IdentityKey, told: Callable[[SettlerEvent], None], ledger: Ledger
    ) -> None:
        self.settings = settings
        self.wallet = wallet
        self.told = told
        self.ledger = ledger
        self.cheques: dict[bytes, Cheque] = {}
        self.puts: list[Cheque] = []
        self.watched: set[bytes] = set()
        self.views: dict[bytes, TradeView] = {}
        self.can_pay_claim: bool | None = True
        self.state = "connected"
        self.low_sol = False
        self.age_s = 4.0
        self.has_read = True
        self.chain_now_s: int | None = None

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    def put(self, cheque: Cheque) -> None:
        cheque.check()
        self.puts.append(cheque)
        known = self.cheques.get(cheque.trade_id)
        self.cheques[cheque.trade_id] = cheque if known is None else known.merged(cheque)

    def watch(self, wallet: bytes) -> None:
        self.watched.add(wallet)

    def unwatch(self, wallet: bytes) -> None:
        self.watched.discard(wallet)

    def line(self, wallet: bytes) -> LineState | None:
        return self.ledger.lines.get(wallet) if wallet in self.watched and self.has_read else None

    def line_age_s(self, wallet: bytes) -> float | None:
        return self.age_s if wallet in self.watched and self.has_read else None

    def trade(self, trade_id: bytes) -> TradeView | None:
        return self.views.get(trade_id)

    def settled(self, trade_id: bytes, stage: Stage = Stage.SETTLED) -> None:
        """The ledger has paid."""
        contract = self.cheques[trade_id].contract
        self.views[trade_id] = TradeView(
            trade_id=trade_id, role="battery", contract=contract, stage=stage, payout=1, fee=0, signature="sig"
        )
        self.told(SettlerEvent(EventKind.TRADE_MOVED, {"trade_id": trade_id.hex(), "stage": stage.value}))

    def snapshot(self) -> SettlerSnapshot:
        return SettlerSnapshot(
            state=self.state,
            problem=None if self.state == "connected" else "no route",
            endpoints=(),
            wallet="w",
            lamports=1,
            tokens=2,
            low_sol=self.low_sol,
            can_pay_claim=self.can_pay_claim,
            slot=3,
            chain_now_s=self.chain_now_s,
            read_age_s=self.age_s if self.has_read else None,
            open_trades=len(self.cheques),
            in_flight=0,
        )


class Ledger:
    """What every start of the gateway finds: the Lines, and the settlers that were opened on it."""

    def __init__(self) -> None:
        self.lines: dict[bytes, LineState] = {}
        self.settlers: list[FakeSettler] = []

    def open_settler(
        self, settings: SettlerSettings, wallet: IdentityKey, told: Callable[[SettlerEvent], None]
    ) -> FakeSettler:
        self.settlers.append(FakeSettler(settings, wallet, told, self))
        return self.settlers[-1]

    @property
    def settler(self) -> FakeSettler:
        return self.settlers[-1]

    def allot(self, units: int = 10**12, **fields: Any) -> LineState:
        line = LineState(
            generation=GENERATION,
            base_no=0,
            used=0,
            amount=units,
            locked=0,
            release_amount=0,
            release_at_s=0,
            read_at_s=gw.WALL_START_MS // 1_000,
            slot=GENERATION + 9,
            buyer_key=BUYER.public_key,
            battery_key=BATTERY.public_key,
        )
        self.lines[BUYER_WALLET] = replace(line, **fields)
        return self.lines[BUYER_WALLET]


class SettledBuyer:
    """A signed buyer's end: knows the battery's terms, makes bids, contracts and receipts, well or badly."""

    market = MARKET
    battery_key = BATTERY.public_key
    wallet = BUYER_WALLET
    generation = GENERATION

    def __init__(self, buyer: gw.Buyer, wall_ms: Callable[[], int], key: IdentityKey = BUYER) -> None:
        self.buyer = buyer
        self.wall_ms = wall_ms
        self.key = key
        self.offer = cast("WireContract", None)
        self.bids: dict[int, WireContract] = {}

    async def introduce(self) -> SettledBuyer:
        """Register, and read the battery's terms."""
        self.buyer.register()
        terms = (await self.buyer.until(MessageType.REGISTER)).extensions.contract
        assert terms is not None
        self.market.check_offer(terms)
        self.offer = terms
        return self

    async def terms(self, **changes: Any) -> WireContract:
        """Return what an honest bid carries now, with changes."""
        quote = await self.buyer.ask()
        length_s = window_s(quote.energy_wh, round(quote.discharge_rate * 1_000))
        times: Times = times_for(self.wall_ms() // 1_000, length_s)
        honest = bid_of(self.offer, buyer_wallet=self.wallet, generation=self.generation, times=times)
        return honest._replace(**changes)

    def bids_with(self, terms: WireContract | None, price_c: float = 60.0, kwh: float = 1.0) -> int:
        """Send a bid with these terms and return its id."""
        bid_id = self.buyer.next_id()
        body = Body(MessageType.BID, bid_id, gw.BUYER_ID, bid_price=price_c, required_energy_amount=kwh)
        if terms is not None:
            self.bids[bid_id] = terms
        self.buyer.link.send(body, contract=terms)
        return bid_id

    async def bid(self, terms: WireContract | None, price_c: float = 60.0, kwh: float = 1.0) -> Received:
        return await self.buyer.until(*gw.ANSWERS, message_id=self.bids_with(terms, price_c, kwh))

    def contract_of(self, accept: Received) -> Contract:
        """Return the contract that an Accept means, checked as a buyer does."""
        wire = accept.extensions.contract
        assert wire is not None
        check_accept(self.bids[accept.body.message_id], wire)
        return self.market.contract(
            wire,
            battery_key=self.battery_key,
            buyer_key=self.key.public_key,
            message_id=accept.body.message_id,
            price_e4=accept.body.sale_price_e4,
            energy_wh=accept.body.energy_wh,
        )

    def confirm(self, accept: Received, wire: WireContract | None = None) -> None:
        """Confirm an Accept, with the buyer's signature or with what is given."""
        body = accept.body
        contract = self.contract_of(accept)
        signed = contract.to_wire(sign_contract(contract, self.key)) if wire is None else wire
        confirm = Body.bid_confirm(body.message_id, gw.BUYER_ID, price_e4=body.sale_price_e4, energy_wh=body.energy_wh)
        self.buyer.link.send(confirm, contract=signed)

    async def trade(self, price_c: float = 60.0, kwh: float = 1.0) -> Contract:
        """Bid, confirm, and return the contract when the battery has acknowledged."""
        accept = await self.bid(await self.terms(), price_c, kwh)
        assert accept.body.message_type == MessageType.BID_ACCEPT, accept
        self.confirm(accept)
        await self.buyer.until(MessageType.BESS_STATUS, message_id=accept.body.message_id)
        return self.contract_of(accept)

    async def receipt(self, contract: Contract, *, count: int = 1, kind: int = MessageType.BESS_STATUS) -> Received:
        """Return the n-th frame of a kind that carries a receipt of this trade."""
        async with asyncio.timeout(3_600):
            while True:
                found = [
                    frame
                    for frame in self.buyer.said(kind, message_id=contract.message_id)
                    if frame.extensions.receipt is not None
                ]
                if len(found) >= count:
                    return found[count - 1]
                await asyncio.sleep(0.02)

    def answer(self, contract: Contract, frame: Received, key: IdentityKey | None = None, **changes: Any) -> None:
        """Send a receipt back under the buyer's signature, changed or signed by another where told."""
        wire = frame.extensions.receipt
        assert wire is not None
        receipt = replace(Receipt.from_wire(wire, contract.trade_id), **changes)
        own = sign_receipt(receipt, contract, self.key) if key is None else key.sign(b"x")
        self.reply(frame, receipt.to_wire(own))

    def reply(self, frame: Received, receipt: Any, code: int = 0) -> None:
        body = frame.body
        if body.message_type == MessageType.TERMINATE:
            said = Body.terminate(body.message_id, gw.BUYER_ID, code=code, delivered_wh=body.energy_wh)
        else:
            said = Body(MessageType.BESS_STATUS, body.message_id, gw.BUYER_ID)
        self.buyer.link.send(said, receipt=receipt)


def settled_toml(*, lines: str = "", network: str = "") -> str:
    """Return the table to be put before the batteries; for `site_toml(network=...)`."""
    return "\n".join([network or 'peers = "signed"\ntrusted_peers = "any"', SETTLEMENT, lines])


@asynccontextmanager
async def settled_world(
    directory: Path,
    *,
    lines: str = "",
    site: str = LAPSING,
    battery: str = "",
    allot: bool = True,
) -> AsyncIterator[tuple[gw.World, Ledger]]:
    """A selling gateway with `[settlement]`, and the ledger behind it."""
    ledger = Ledger()
    if allot:
        ledger.allot()
    network = settled_toml(lines=lines)
    opened = gw.world(directory, open_settler=ledger.open_settler, network=network, site=site, battery=battery)
    async with opened as world:
        yield world, ledger


async def buyer_in(world: gw.World, key: IdentityKey = BUYER) -> SettledBuyer:
    """Return a connected buyer that has the battery's terms, and whose Line is being read."""
    return await SettledBuyer(await world.connect(key), world.wall_ms, key).introduce()

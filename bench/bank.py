"""A ledger in this process with one buyer, one battery and a Line between them, and as many cheques as are wanted.

Time on it is a number: what waits 0.4 s for a block moves it on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from settlement import Cheque, Contract, KeyRing, Receipt, SignedReceipt, Venue, sign_contract, sign_receipt
from settlement.actions import plan
from settlement.chain import Map, View
from settlement.cluster.setup import Member
from settlement.ledger import Ledger, Node, Settings
from settlement.ledger.init import UNITS_PER_USDC, Wishes, prepare
from settlement.ledger.limits import LAMPORTS_PER_SOL
from settlement.program.accounts import Line
from settlement.program.elf import program_elf
from settlement.progress import Action
from settlement.transaction import compile_message, sign_message

if TYPE_CHECKING:
    from collections.abc import Iterator

BATTERY_ROOT: Final = b"\x0b" * 32
BUYER_ROOT: Final = b"\x0c" * 32
BATTERY: Final = KeyRing(BATTERY_ROOT)
BUYER: Final = KeyRing(BUYER_ROOT)
_START_MS: Final = 1_700_000_000_000
_LINE_USDC: Final = 100_000


@dataclass
class Bank:
    """The ledger and what both parties know of it."""

    ledger: Ledger
    node: Node
    venue: Venue
    clock_ms: list[int]

    @classmethod
    def open(cls) -> Bank:
        """Deploy, register, fund; a second or two of work."""
        clock_ms = [_START_MS]

        async def sleep(seconds: float) -> None:
            clock_ms[0] += round(seconds * 1_000)

        ledger = Ledger(None, clock_ms=lambda: clock_ms[0], settings=Settings())
        node = Node(ledger)
        members = [
            Member(role, ring.signer("wallet"), ring.identity)
            for role, ring in (("battery", BATTERY), ("buyer", BUYER))
        ]
        wishes = Wishes(
            code=program_elf(),
            members=members,
            lamports=100 * LAMPORTS_PER_SOL,
            units=_LINE_USDC * UNITS_PER_USDC,
            line_units=_LINE_USDC * UNITS_PER_USDC,
        )
        place = asyncio.run(prepare(node, b"\x0d" * 32, wishes, clock_ms=lambda: clock_ms[0], sleep=sleep))
        venue = Venue(program_id=bytes(place.program), genesis_hash=place.genesis, mint=bytes(place.mint))
        return cls(ledger, node, venue, clock_ms)

    def line(self) -> Line:
        """Return the Line as it is now."""
        pair = self._map().counterpart(BATTERY.signer("wallet").public_key)
        account = self.ledger.account_at(pair.line, self.ledger.blocks.height)
        if account is None:
            raise RuntimeError("the ledger was prepared without a Line")
        return Line.decode(account.data)

    def cheques(self, count: int) -> Iterator[Cheque]:
        """Yield trades of 0.1 kWh that both signed, each with a number of its own."""
        line = self.line()
        for number in range(count):
            contract = agreed(self.venue, number, generation=line.generation)
            yield cosigned(contract)

    def settlements(self, cheques: list[Cheque]) -> Iterator[tuple[bytes, bytes]]:
        """Yield the buyer's transactions that settle cheques, with their signatures."""
        atlas, line = self._map(), self.line()
        view = View(lines={BATTERY.signer("wallet").public_key: line})
        wallet = BUYER.signer("wallet")
        blockhash = self.ledger.blocks.latest_hash(self.ledger.blocks.height)
        for cheque in cheques:
            planned = plan(Action.SETTLE, cheque, atlas, view)
            message = compile_message(
                wallet.public_key, planned.instructions, bytes(blockhash), units=planned.units, price=0
            )
            signed = sign_message(message, [wallet])
            yield signed.encoded, signed.signature

    def _map(self) -> Map:
        return Map("buyer", BUYER.signer("wallet").public_key, self.venue)


def agreed(venue: Venue, number: int, *, generation: int = 1) -> Contract:
    """Return a contract over 0.1 kWh at 40 c."""
    ends_at_s = _START_MS // 1_000 + 3_600
    return Contract(
        venue=venue,
        battery_wallet=BATTERY.signer("wallet").public_key,
        buyer_wallet=BUYER.signer("wallet").public_key,
        generation=generation,
        contract_no=number,
        battery_device_id=BATTERY.identity.device_id,
        buyer_device_id=BUYER.identity.device_id,
        message_id=number + 1,
        price_e4=400_000,
        energy_wh=100,
        base_units_per_cent=10_000,
        starts_at_s=ends_at_s - 120,
        ends_at_s=ends_at_s,
        valid_until_s=ends_at_s + 259_200,
        fee_bps=50,
        dispute_window_s=86_400,
        resolver=b"\x0e" * 32,
    )


def cosigned(contract: Contract) -> Cheque:
    """Return the cheque of a contract that was delivered in full, with every signature."""
    receipt = Receipt(
        trade_id=contract.trade_id,
        final=True,
        delivered_wh=contract.energy_wh,
        started_at_s=contract.starts_at_s,
        ended_at_s=contract.ends_at_s,
        evidence=b"\x0f" * 32,
    )
    battery, buyer = BATTERY.identity, BUYER.identity
    return Cheque(
        role="buyer",
        contract=contract,
        battery_key=battery.public_key,
        buyer_key=buyer.public_key,
        battery_signature=sign_contract(contract, battery),
        buyer_signature=sign_contract(contract, buyer),
        final=SignedReceipt(
            receipt=receipt,
            battery_signature=sign_receipt(receipt, contract, battery),
            buyer_signature=sign_receipt(receipt, contract, buyer),
        ),
    )

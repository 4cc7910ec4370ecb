"""The embedded ledger in virtual time, with the real program, a mint, and everybody's Lines on it.

Nodes ask it through `answer`; the world itself looks at it and moves on it directly.
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey

from settlement.base58 import from_base58
from settlement.cluster.tokens import read_token_account
from settlement.keyring import KeyRing
from settlement.ledger import Ledger
from settlement.ledger.faults import Faults
from settlement.ledger.node import Node
from settlement.ledger.wire import receive
from settlement.opening import Opening
from settlement.program import instructions
from settlement.program.accounts import Escrow, Line, Trade, Unpaid
from settlement.program.addresses import token_account
from settlement.transaction import compile_message, sign_message
from simulation.chain_setup import LINE_UNITS, begin
from simulation.machines import WALL_START_MS
from simulation.payments import EscrowFigures

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from solders.account import Account
    from solders.instruction import Instruction

    from etp.auth import Signer
    from settlement.contract import Contract
    from settlement.ledger.records import Record
    from settlement.ledger.wire import Received
    from simulation.deals import Person
    from simulation.loop import VirtualLoop

_UNITS: Final = 200_000
_VOID: Final = instructions.VOID.discriminator
_BLOCKHASH: Final = b'"getLatestBlockhash"'


class WatchedLedger(Ledger):
    """A ledger that tells of each transaction that lands."""

    on_landed: Callable[[Record], None] = staticmethod(lambda _record: None)

    def submit(self, received: Received) -> object:
        """Execute a transaction in the present block."""
        err = super().submit(received)
        if err is None:
            record = self.record(bytes(received.signature))
            if record is not None:
                self.on_landed(record)
        return err


class Chain:
    """One ledger, in memory, and all that a world wants to know of it."""

    def __init__(
        self,
        loop: VirtualLoop,
        rng: random.Random,
        batteries: Sequence[Person],
        buyers: Sequence[Person],
        *,
        timeout_s: int,
        line_units: int = LINE_UNITS,
    ) -> None:
        """`timeout_s` is the time that whoever rules on disputes has, `line_units` what every Line begins with."""
        self.loop = loop
        self.ledger = WatchedLedger(None, clock_ms=lambda: wall_ms(loop), draw=rng.randbytes)
        self.faults = Faults()
        self.node = Node(self.ledger, self.faults)
        self.operator = KeyRing(rng.randbytes(32)).signer("wallet")
        self.resolver = KeyRing(rng.randbytes(32)).signer("wallet")
        self.thief = KeyRing(rng.randbytes(32)).signer("wallet")
        self.batteries = batteries
        self.buyers = buyers
        self._last_valid: dict[bytes, int] = {}
        self._landed: set[bytes] = set()
        self.on_landed: Callable[[Record], None] = lambda _record: None
        self.ledger.on_landed = self._told
        self.venue = begin(self, rng, timeout_s=timeout_s, line_units=line_units)
        self.opening = Opening(self.venue)
        self.at, self.mint = self.opening.at, self.opening.mint

    def close(self) -> None:
        """Let go of it."""
        self.ledger.close()

    # as nodes see it

    def answer(self, body: bytes, lag_blocks: int = 0) -> bytes:
        """Return the answer to one JSON-RPC request, as the ledger was so many blocks ago."""
        self.faults.stale = lag_blocks
        found = self.node.handle(body)
        answer = b"" if found is None else found.body
        if _BLOCKHASH in body:
            value = json.loads(answer).get("result", {}).get("value")
            if value is not None:
                blockhash = from_base58(value["blockhash"], field="blockhash", size=32)
                self._last_valid[blockhash] = value["lastValidBlockHeight"]
        return answer

    # as the world sees it

    def submit(self, calls: Sequence[Instruction], *signers: Signer) -> None:
        """Let the operator pay for a transaction that these sign, too. Raises RuntimeError unless it succeeds."""
        err = self.try_to(calls, self.operator, *signers)
        if err is not None:
            raise RuntimeError(f"the world's own transaction failed: {err}")

    def try_to(self, calls: Sequence[Instruction], payer: Signer, *signers: Signer) -> object:
        """Send a transaction; returns None after success, else the error. Raises TransactionError if it has no form."""
        self.ledger.advance()
        blockhash = self.ledger.blocks.latest_hash(self.ledger.blocks.height)
        message = compile_message(payer.public_key, calls, blockhash, units=_UNITS, price=0)
        received = receive(sign_message(message, [payer, *signers]).encoded)
        err = self.ledger.submit(received)
        if err is not None:
            return err
        record = self.ledger.record(bytes(received.signature))
        return "lost" if record is None else record.err

    def resolve(self, contract: Contract, ruling_wh: int) -> None:
        """Rule on a dispute."""
        trade = self.at.trade(contract.trade_id)
        escrow, battery = self.opening.escrow(contract.buyer_wallet), Pubkey.from_bytes(contract.battery_wallet)
        rent_payer = Trade.decode(self._data(trade)).rent_payer
        call = instructions.resolve(
            Pubkey.from_bytes(self.venue.program_id),
            resolver=Pubkey.from_bytes(self.resolver.public_key),
            battery=self.at.participant(battery),
            buyer=self.at.participant(Pubkey.from_bytes(contract.buyer_wallet)),
            escrow=escrow,
            vault=self.at.vault(escrow),
            line=self.at.line(escrow, battery),
            trade=trade,
            payee=token_account(battery, self.mint),
            unpaid=self.at.unpaid(battery, escrow),
            rent_payer=Pubkey.from_bytes(rent_payer),
            event_authority=self.at.event_authority(),
            ruling_wh=ruling_wh,
        )
        self.submit([call], self.resolver)

    def top_up(self, battery: Person, buyer: Person) -> None:
        """Let a buyer lay more money on its Line to a battery."""
        self.submit(self.opening.allot(buyer.wallet, battery.wallet, LINE_UNITS), buyer.signer)

    def last_valid_height(self, blockhash: bytes) -> int | None:
        """Return the last height at which a blockhash is good; None when this ledger never gave it out."""
        return self._last_valid.get(blockhash)

    def finalized_height(self) -> int:
        """Return the height of the newest final block."""
        self.ledger.advance()
        return self.ledger.height("finalized")

    def has_landed(self, signature: bytes) -> bool:
        """Whether a transaction is part of a block, with or without success."""
        return signature in self._landed

    def own_calls(self, record: Record) -> Iterator[bytes]:
        """Return the data of the calls that the program made to itself in a transaction."""
        for group in record.inner:
            for inner in group:
                if record.keys[inner.program] == self.venue.program_id:
                    yield inner.data

    def voids(self, record: Record) -> Iterator[tuple[Person, Person, int]]:
        """Return battery, buyer and contract number of each number that a transaction has voided."""
        for call in receive(record.wire).message.instructions:
            data = bytes(call.data)
            if record.keys[call.program_id_index] != self.venue.program_id or not data.startswith(_VOID):
                continue
            line = record.keys[bytes(call.accounts)[1]]
            for battery, buyer in product(self.batteries, self.buyers):
                if bytes(self.opening.line(buyer.wallet, battery.wallet)) == line:
                    yield battery, buyer, instructions.VOID.decode(data)["contract_no"]

    def lines(self) -> Iterator[tuple[Person, Line]]:
        """Return every Line with the buyer whose it is."""
        for buyer in self.buyers:
            for battery in self.batteries:
                yield buyer, Line.decode(self._data(self.opening.line(buyer.wallet, battery.wallet)))

    def escrows(self) -> Iterator[tuple[Person, EscrowFigures]]:
        """Return what lies in every escrow, its vault and its Lines."""
        for buyer in self.buyers:
            key = self.opening.escrow(buyer.wallet)
            escrow = Escrow.decode(self._data(key))
            lines = [line for whose, line in self.lines() if whose is buyer]
            figures = EscrowFigures(
                vault=self._tokens_at(self.at.vault(key)),
                available=escrow.available,
                allotted=escrow.allotted,
                bonds=escrow.bonds,
                fees_due=escrow.fees_due,
                unpaid=escrow.unpaid,
                on_lines=sum(line.amount for line in lines),
                locked=sum(line.locked for line in lines),
            )
            yield buyer, figures

    def tokens(self, wallet: bytes) -> int:
        """Return what a wallet holds of the mint."""
        return self._tokens_at(token_account(Pubkey.from_bytes(wallet), self.mint))

    def unpaid(self, battery: Person) -> int:
        """Return what a battery is owed because its account could not take it."""
        wallet = Pubkey.from_bytes(battery.wallet)
        places = [self.at.unpaid(wallet, self.opening.escrow(buyer.wallet)) for buyer in self.buyers]
        return sum(Unpaid.decode(self._data(place)).amount for place in places)

    def open_trades(self) -> int:
        """Return how many claims and disputes are open."""
        found = self.ledger.accounts_of_at(Pubkey.from_bytes(self.venue.program_id), self.ledger.blocks.height)
        return sum(bytes(account.data[:8]) == Trade.DISCRIMINATOR for account in found.values())

    def _told(self, record: Record) -> None:
        self._landed.add(record.signature)
        self.on_landed(record)

    def _account(self, key: Pubkey) -> Account:
        account = self.ledger.account_at(key, self.ledger.blocks.height)
        if account is None:
            raise RuntimeError(f"{key} is not there")
        return account

    def _data(self, key: Pubkey) -> bytes:
        return bytes(self._account(key).data)

    def _tokens_at(self, key: Pubkey) -> int:
        found = read_token_account(self._account(key))
        return 0 if found is None else found.amount


def wall_ms(loop: VirtualLoop) -> int:
    """Return the time of day in a world, which is the ledger's clock as well."""
    return WALL_START_MS + int(loop.time() * 1_000)


def wall_s(loop: VirtualLoop) -> int:
    """Return the time of day in seconds."""
    return wall_ms(loop) // 1_000

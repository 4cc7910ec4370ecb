"""A ledger in virtual time, and transactions for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from settlement.ledger import Commitment, Ledger, Settings
from settlement.ledger.limits import SLOT_MS
from settlement.ledger.wire import Received, receive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from solders.instruction import Instruction
    from solders.pubkey import Pubkey

START_MS = 1_800_000_000_000
SOL = 1_000_000_000


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def slots(self, count: int) -> None:
        self.now_ms += count * SLOT_MS


class World:
    """One ledger and its clock; `restart` is what a crash and a new start do."""

    def __init__(self, directory: Path | None = None, *, settings: Settings | None = None, seed: int = 0) -> None:
        self.time = Time()
        self.directory = directory
        self.settings = settings
        self._random = random.Random(seed)
        self.ledger = self._open()

    def _open(self) -> Ledger:
        return Ledger(self.directory, clock_ms=self.time, settings=self.settings, draw=self._random.randbytes)

    def restart(self) -> None:
        """Let go of the directory without a word, and start again."""
        self.ledger.close()
        self.ledger = self._open()

    def wait(self, blocks: int) -> None:
        self.time.slots(blocks)
        self.ledger.advance()

    def key(self) -> Keypair:
        return Keypair.from_seed(self._random.randbytes(32))

    def funded(self, lamports: int = 100 * SOL) -> Keypair:
        """Return a wallet that the faucet has paid."""
        key = self.key()
        assert self.submit([pay(self.ledger.faucet, key.pubkey(), lamports)], self.ledger.faucet) is None
        return key

    def blockhash(self, commitment: Commitment = "confirmed") -> Hash:
        return Hash.from_bytes(self.ledger.blocks.latest_hash(self.ledger.height(commitment)))

    def signed(self, instructions: Sequence[Instruction], *signers: Keypair, blockhash: Hash | None = None) -> Received:
        message = MessageV0.try_compile(signers[0].pubkey(), list(instructions), [], blockhash or self.blockhash())
        return receive(bytes(VersionedTransaction(message, list(signers))))

    def submit(self, instructions: Sequence[Instruction], *signers: Keypair) -> object:
        return self.ledger.submit(self.signed(instructions, *signers))

    def lamports(self, key: Pubkey, commitment: Commitment = "processed") -> int:
        account = self.ledger.account_at(key, self.ledger.height(commitment))
        return 0 if account is None else account.lamports


def pay(payer: Keypair, to: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=lamports))

"""The ledger: a cluster of one, in process.

It owns what LiteSVM does not: time that passes in slots, blockhashes that expire, duplicates that are refused, nonces,
commitment levels and a state on disk. It has one owner and is not safe for threads; time is what the clock it is given
says, so it runs in virtual time as well. Every method first builds the blocks that are due, and may therefore raise
LedgerFileError when a finalized state cannot be written; nothing that is not on disk is ever called finalized.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.system_program import ID as SYSTEM_PROGRAM

from settlement.ledger import limits
from settlement.ledger.blocks import Blocks, Run
from settlement.ledger.fees import price_of
from settlement.ledger.history import History, Landing
from settlement.ledger.limits import CONFIRMED_LAG, FINALIZED_LAG, LEASE_BLOCKS, SLOT_MS, STALE_MAX, STATUS_BLOCKS
from settlement.ledger.machine import Execution, Machine
from settlement.ledger.nonce import read_nonce, value_after
from settlement.ledger.prices import Prices
from settlement.ledger.records import Place, Record, record_of
from settlement.ledger.store import Progress, Store
from settlement.ledger.sysvars import CLOCK, clock_account
from settlement.ledger.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solders.pubkey import Pubkey

    from settlement.ledger.wire import Received

Commitment = Literal["processed", "confirmed", "finalized"]
_SECRET: Final = "secret"  # noqa: S105 - the name of what blockhashes are derived from
_SECRET_BYTES: Final = 32
_SLOT_HASHES: Final = 512
_RENT_EPOCH: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may differ between ledgers. Lags are blocks."""

    confirmed_lag: int = CONFIRMED_LAG
    finalized_lag: int = FINALIZED_LAG
    transactions_max: int = limits.HISTORY_TRANSACTIONS_MAX


class Ledger:
    """One ledger with one data directory, or without any in memory."""

    def __init__(
        self,
        directory: Path | None,
        *,
        clock_ms: Callable[[], int],
        settings: Settings | None = None,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Come back at the last finalized state, or begin with a fresh genesis hash.

        `clock_ms` tells the time in UTC milliseconds, `draw` returns so many random bytes. Raises LedgerFileError.
        """
        self.settings = settings or Settings()
        self._clock_ms = clock_ms
        self._store = Store(directory, transactions_max=self.settings.transactions_max)
        try:
            self._open(draw)
        except BaseException:
            self._store.close()
            raise

    def _open(self, draw: Callable[[int], bytes]) -> None:
        secret = self._store.fact(_SECRET)
        if secret is None:
            secret = draw(_SECRET_BYTES)
            self._create(secret)
        else:
            self._begin_run()
        self.genesis = Hash.from_bytes(hashlib.sha256(b"genesis" + secret).digest())
        """What no other data directory has."""
        self.faucet = _faucet(secret)
        """Airdrops are its transfers."""
        self._blocks = Blocks(secret, self._store.runs())
        self._progress = self._store.progress()
        self._machine = Machine(self._store.accounts())
        self._machine_height = 0
        self._versions = Versions()
        self._number = 0
        self._history = History(self._store, self._store.recent(self._progress.root - STATUS_BLOCKS))
        self.prices = Prices()
        """What was paid for priority."""
        self.advance()

    def _create(self, secret: bytes) -> None:
        run = Run(first_slot=0, first_height=0, started_ms=self._clock_ms() - SLOT_MS)
        progress = Progress(root=0, reserved_height=LEASE_BLOCKS, reserved_slot=LEASE_BLOCKS, transactions=0)
        funds = Account(limits.FAUCET_LAMPORTS, b"", SYSTEM_PROGRAM, False, _RENT_EPOCH)
        self._store.create({_SECRET: secret}, run, progress, {_faucet(secret).pubkey(): funds})

    def _begin_run(self) -> None:
        """Go on above every height that may have been given out; what is on disk is the state up to there."""
        now_ms, progress, first = self._clock_ms(), self._store.progress(), self._store.runs()[0]
        height = progress.reserved_height + 1
        slot = max(progress.reserved_slot + 1, (now_ms - first.started_ms) // SLOT_MS)
        run = Run(first_slot=slot, first_height=height, started_ms=now_ms)
        reserved = replace(
            progress, root=height - 1, reserved_height=height + LEASE_BLOCKS, reserved_slot=slot + LEASE_BLOCKS
        )
        self._store.begin_run(run, reserved)

    def close(self) -> None:
        """Let go of the data directory. What is not finalized is lost, as at any other end."""
        self._store.close()

    # time

    def advance(self) -> None:
        """Build the blocks that are due, and write what became final."""
        if not self._blocks.advance(self._clock_ms()):
            return
        self._number = 0
        through = max(self._progress.root, self._blocks.height - self.settings.finalized_lag)
        changed = self._versions.changed_within(self._progress.root, through)
        records = self._history.through(through)
        progress = replace(self._progress, root=through, transactions=self._progress.transactions + len(records))
        if self._blocks.height >= progress.reserved_height:
            reserved = self._blocks.height + LEASE_BLOCKS
            progress = replace(progress, reserved_height=reserved, reserved_slot=self._blocks.slot_of(reserved))
        if changed or records or progress.reserved_height != self._progress.reserved_height:
            accounts = {key: self.account_at(key, through) for key in changed}
            keep_above = through - STATUS_BLOCKS
            self._store.commit(progress, accounts, records, keep_above=keep_above)
            self._history.on_disk(records)
        self._progress = progress
        self._versions.forget(through - STALE_MAX)
        self._history.forget(self._blocks.height - STATUS_BLOCKS)

    @property
    def blocks(self) -> Blocks:
        """Slots, heights and blockhashes."""
        return self._blocks

    def height(self, commitment: Commitment) -> int:
        """Return the height of the newest block of a commitment level."""
        if commitment == "finalized":
            return self._progress.root
        lag = self.settings.confirmed_lag if commitment == "confirmed" else 0
        return max(self._progress.root, self._blocks.height - lag)

    def count(self, height: int) -> int:
        """Return how many transactions there are up to a height that is not below the finalized one."""
        return self._progress.transactions + len(self._history.through(height))

    # state

    def account_at(self, key: Pubkey, height: int) -> Account | None:
        """Return what an account held after the block at a height, None when there was none.

        Heights more than STALE_MAX below the finalized one show what that one shows.
        """
        if key == CLOCK:
            return clock_account(self._blocks.slot_of(height), self._blocks.time_s_of(height))
        version = self._versions.at(key, height)
        return self._machine.account(key) if version is None else version.account

    def accounts_of_at(self, owner: Pubkey, height: int) -> dict[Pubkey, Account]:
        """Return every account that a program owned after the block at a height."""
        found = dict(self._machine.accounts_of(owner))
        for key in self._versions.changed_after(height):
            account = self.account_at(key, height)
            if account is not None and account.owner == owner:
                found[key] = account
            else:
                found.pop(key, None)
        return found

    def rent(self, size: int) -> int:
        """Return the lamports that an account of so many bytes must hold."""
        return self._machine.rent(size)

    # transactions

    def submit(self, received: Received) -> Any:
        """Execute a transaction in the present block; its signatures are the caller's care.

        Returns None when it landed (successfully or not: `landing` tells), else why it did not, as JSON-RPC has it.
        """
        self.advance()
        height = self._blocks.height
        durable, err = self._admit(received, height)
        if err is not None:
            return err
        self._enter_block()
        execution = self._machine.execute(received, durable=durable)
        if not execution.landed:
            return execution.err
        for key, before, after in zip(execution.keys, execution.before, execution.after, strict=True):
            if before != after:
                self._versions.record(key, height, before)
        self._history.add(record_of(received, execution, Place(height, self._number)))
        self._number += 1
        listed = enumerate(received.keys)
        self.prices.add(height, price_of(received.message), [key for at, key in listed if received.is_writable(at)])
        return None

    def would_take(self, received: Received, height: int) -> bool:
        """Whether the block after a height takes a transaction by its blockhash or nonce."""
        good = self._blocks.is_good(bytes(received.blockhash), height)
        return good or self._durable(received, height) is not None

    def simulate(self, received: Received, height: int, *, checked: bool = True) -> Execution | str:
        """Execute a transaction on top of the block at a height, and keep nothing; the name of an error if it cannot.

        Unless `checked`, its blockhash and whether it is a duplicate are not looked at.
        """
        self.advance()
        if checked:
            _, err = self._admit(received, height)
            if err is not None:
                return err
        self._enter_block()
        older = {key: self._versions.at(key, height) for key in received.keys}
        for instruction in received.instructions:
            version = older[received.keys[instruction.program_id_index]]
            if version is not None and version.account is None:
                return "ProgramAccountNotFound"
        swapped = {key: version.account for key, version in older.items() if version is not None}
        newest = {key: self._machine.account(key) for key in swapped}
        try:
            self._put_data(swapped)
            self._machine.set_clock(self._blocks.slot_of(height), self._blocks.time_s_of(height))
            return self._machine.simulate(received)
        finally:
            self._put_data(newest)
            self._machine.set_clock(self._blocks.slot, self._blocks.time_s_of(self._blocks.height))

    def _put_data(self, accounts: dict[Pubkey, Account | None]) -> None:
        """Let accounts be these; programs stay, for what they do does not depend on the block."""
        for key, account in accounts.items():
            if account is None or not account.executable:
                self._machine.put(key, account)

    def _admit(self, received: Received, height: int) -> tuple[Pubkey | None, str | None]:
        """Return the nonce account a transaction stands on, or None for a blockhash; and why it is not admitted."""
        durable = None
        if not self._blocks.is_good(bytes(received.blockhash), height):
            durable = self._durable(received, height)
            if durable is None:
                return None, "BlockhashNotFound"
        landing = self._history.landing_of_message(received.digest)
        if landing is not None and landing.place.height <= height:
            return durable, "AlreadyProcessed"
        return durable, None

    def _durable(self, received: Received, height: int) -> Pubkey | None:
        """Return the nonce account whose value a transaction carries and may use in this block."""
        key = received.nonce_account()
        nonce = None if key is None else read_nonce(self.account_at(key, height))
        value = bytes(received.blockhash)
        if nonce is None or nonce.value != value or value == value_after(self._blocks.latest_hash(height)):
            return None
        return key if received.signs_first_instruction(nonce.authority) else None

    def _enter_block(self) -> None:
        """Tell the machine which block it is in, once a block."""
        height = self._blocks.height
        if self._machine_height == height:
            return
        oldest = max(0, height - _SLOT_HASHES)
        hashes = [
            (self._blocks.slot_of(past), self._blocks.hash_of(past)) for past in range(height - 1, oldest - 1, -1)
        ]
        self._machine.begin_block(self._blocks.slot, self._blocks.time_s_of(height), hashes)
        self._machine_height = height

    # history

    def landing(self, signature: bytes, *, search: bool = False) -> Landing | None:
        """Return where a transaction landed; with `search` also what only the disk remembers."""
        self.advance()
        landing = self._history.landing(signature)
        if landing is not None or not search:
            return landing
        record = self._history.record(signature)
        return None if record is None else Landing(record.signature, record.digest, record.place, record.err)

    def record(self, signature: bytes) -> Record | None:
        """Return all that is kept of a transaction that landed."""
        self.advance()
        return self._history.record(signature)

    def mentioning(self, key: Pubkey, before: Place, count: int) -> list[Record]:
        """Return the newest transactions that name an account and come before a place, newest first."""
        self.advance()
        return self._history.mentioning(bytes(key), before, count)


def _faucet(secret: bytes) -> Keypair:
    return Keypair.from_seed(hashlib.sha256(b"faucet" + secret).digest())

"""The real program in LiteSVM, and whether it holds what the model's world holds."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from solders.account import Account as SvmAccount
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from settlement.program.codec import LayoutError, Record
from settlement.program.elf import program_elf
from settlement.program.events import EVENTS
from settlement.program.layout import EVENT_TAG
from tests.settlement.program.model_world import NOTHING, SYSTEM, Account, Clock, Plain, World
from tests.settlement.program.scene import PROGRAM, keypair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solders.instruction import Instruction
    from solders.keypair import Keypair


PAYER: Final = keypair("payer of fees")
_BY_TAG: Final = {event.DISCRIMINATOR: event for event in EVENTS}
_DATA: Final = "Program data: "


class Sent(NamedTuple):
    """What became of a transaction. `failure`: (index of the instruction, custom number or None for other errors)."""

    failure: tuple[int, int | None] | None
    events: tuple[Record, ...]
    units: int
    said: str


class Chain:
    """One LiteSVM with the program and a world in it."""

    def __init__(self, world: World, clock: Clock, program: Pubkey = PROGRAM, elf: bytes | None = None) -> None:
        self.svm = LiteSVM().with_transaction_history(0).with_blockhash_check(False)
        self.svm.add_program(program, elf or program_elf())
        self.program = program
        self.put(bytes(PAYER.pubkey()), Account(SYSTEM, 10**15, Plain()))
        for address, account in world.accounts.items():
            self.put(address, account)
        self.set_clock(clock)
        self._hashes = 0

    def set_clock(self, clock: Clock) -> None:
        now = self.svm.get_clock()
        now.unix_timestamp, now.slot = clock.now, clock.slot
        self.svm.set_clock(now)

    def put(self, address: bytes, account: Account) -> None:
        key, owner = Pubkey.from_bytes(address), Pubkey.from_bytes(account.owner)
        self.svm.set_account(key, SvmAccount(account.lamports, account.data.encode(), owner))

    def send(self, instructions: Sequence[Instruction], signers: Sequence[Keypair] = ()) -> Sent:
        """Run one transaction; never twice the same, so that the runtime does not answer from memory."""
        self._hashes += 1
        unique = Hash.from_bytes(self._hashes.to_bytes(32, "little"))
        message = MessageV0.try_compile(PAYER.pubkey(), list(instructions), [], unique)
        result = self.svm.send_transaction(VersionedTransaction(message, [PAYER, *signers]))
        if isinstance(result, FailedTransactionMetadata):
            return Sent(_failure(result.err()), (), result.meta().compute_units_consumed(), str(result.err()))
        events = (*_inner(result, message.account_keys, self.program), *_logged(result.logs()))
        return Sent(None, events, result.compute_units_consumed(), "")

    def differences(self, world: World) -> list[str]:
        """Return where the chain holds something else, field by field."""
        found = []
        for address, account in world.accounts.items():
            there = self.svm.get_account(Pubkey.from_bytes(address))
            if there is None:
                if account.lamports:
                    found.append(f"{Pubkey.from_bytes(address)}: not there, expected {account}")
                continue
            if (there.lamports, bytes(there.owner), there.data) != (account.lamports, account.owner, _data(account)):
                found += _explain(address, account, there)
        return found

    def owned(self) -> set[bytes]:
        """Return the addresses of all accounts of the program."""
        return {bytes(address) for address, _ in self.svm.get_program_accounts(self.program)}


def _data(account: Account) -> bytes:
    return account.data.encode()


def _failure(error: Any) -> tuple[int, int | None]:
    index = getattr(error, "index", None)
    code = getattr(getattr(error, "err", None), "code", None)
    return (-1 if index is None else index, code)


def _inner(result: Any, keys: list[Pubkey], program: Pubkey) -> list[Record]:
    found = []
    for instructions in result.inner_instructions():
        for inner in instructions:
            compiled = inner.instruction()
            data = bytes(compiled.data)
            if keys[compiled.program_id_index] == program and data.startswith(EVENT_TAG):
                found.append(_event(data[len(EVENT_TAG) :]))
    return found


def _logged(logs: list[str]) -> list[Record]:
    lines = (line.removeprefix(_DATA) for line in logs if line.startswith(_DATA))
    return [_event(base64.b64decode(line)) for line in lines]


def _event(data: bytes) -> Record:
    kind = _BY_TAG.get(data[:8])
    if kind is None:
        raise LayoutError(f"an event that begins with {data[:8].hex()}")
    return kind.decode(data)


def _explain(address: bytes, account: Account, there: SvmAccount) -> list[str]:
    where = f"{Pubkey.from_bytes(address)} ({type(account.data).__name__})"
    if account == NOTHING:
        return [f"{where}: {len(there.data)} bytes of {there.owner!s} where nothing is expected"]
    found = []
    if there.lamports != account.lamports:
        found.append(f"{where}: {there.lamports} lamports on the chain, {account.lamports} expected")
    if bytes(there.owner) != account.owner:
        found.append(f"{where}: owned by {there.owner!s} on the chain, {account.owner.hex()} expected")
    if there.data == account.data.encode():
        return found
    if not isinstance(account.data, Record):
        return [*found, f"{where}: {bytes(there.data).hex()} on the chain, {account.data} expected"]
    try:
        read = account.data.decode(there.data)
    except LayoutError as error:
        return [*found, f"{where}: {error}"]
    names: tuple[str, ...] = tuple(account.data.__slots__)
    pairs = ((name, getattr(read, name), getattr(account.data, name)) for name in names)
    return found + [f"{where}.{n}: {got} on the chain, {want} expected" for n, got, want in pairs if got != want]

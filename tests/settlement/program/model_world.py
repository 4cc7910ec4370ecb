"""What the program's model works on: accounts as values, and the frame in which one instruction runs.

The model is written from the contract of the settlement (docs/contract.md, the schema's texts), not from the program:
it is a second opinion. Nothing here reads a clock, a socket or chance.

Checks come in stages: the accounts, the terms, consent, state, money. A stage looks at all that it can and refuses with
the *set* of what is wrong in it, because within a stage the order is nobody's promise.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from solders.pubkey import Pubkey

from settlement.program.accounts import Participant
from settlement.program.codec import Record
from settlement.program.failures import Failure
from settlement.values import U64_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYSTEM: Final = bytes(32)
TOKEN: Final = bytes(Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"))
ATA: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
INSTRUCTIONS: Final = bytes(Pubkey.from_string("Sysvar1nstructions1111111111111111111111111"))
ED25519: Final = bytes(Pubkey.from_string("Ed25519SigVerify111111111111111111111111111"))
TOKEN_BYTES: Final = 165
RELEASE_DELAY_S: Final = 691_200
NUMBERS: Final = 256

_TOKEN_ACCOUNT: Final = struct.Struct("<32s32sQI32sBIQQI32s")


class Token(NamedTuple):
    """An account of the classic token program."""

    mint: bytes
    owner: bytes
    amount: int = 0
    frozen: bool = False

    def encode(self) -> bytes:
        state = 2 if self.frozen else 1
        return _TOKEN_ACCOUNT.pack(self.mint, self.owner, self.amount, 0, SYSTEM, state, 0, 0, 0, 0, SYSTEM)


class Mint(NamedTuple):
    """A mint of the classic token program; its supply is not followed."""

    decimals: int
    raw: bytes

    def encode(self) -> bytes:
        return self.raw


class Plain(NamedTuple):
    """Bytes of which the program knows nothing: wallets, sysvars, accounts of others."""

    raw: bytes = b""

    def encode(self) -> bytes:
        return self.raw


class Account(NamedTuple):
    """What stands at an address."""

    owner: bytes
    lamports: int
    data: Record | Token | Mint | Plain


NOTHING: Final = Account(SYSTEM, 0, Plain())


class Clock(NamedTuple):
    """Of the chain."""

    now: int
    slot: int


class Meta(NamedTuple):
    """One account of an instruction as the transaction passes it."""

    address: bytes
    signer: bool = False
    writable: bool = False


class Call(NamedTuple):
    """One instruction as the program gets it."""

    metas: tuple[Meta, ...]
    data: bytes
    before: tuple[bytes, bytes] | None = None
    """Program and data of the instruction right before it in the transaction."""
    depth: int = 1
    """Stack height: 1 unless another program calls."""


@dataclass(frozen=True)
class World:
    """All accounts that matter."""

    program_id: bytes
    accounts: Mapping[bytes, Account]

    def at(self, address: bytes) -> Account:
        return self.accounts.get(address, NOTHING)

    def with_account(self, address: bytes, account: Account) -> World:
        return replace(self, accounts={**self.accounts, address: account})


class Done(NamedTuple):
    """An instruction that went through."""

    world: World
    events: tuple[Record, ...] = ()


class Refused(Exception):  # noqa: N818 - an outcome, like Done
    """An instruction that changes nothing: what may be said of it. None: the refusal of a program that it called."""

    def __init__(self, *failures: Failure | None) -> None:
        super().__init__(", ".join("another program's" if each is None else each.name for each in failures))
        self.failures = frozenset(failures)


@cache
def derive(program_id: bytes, *seeds: bytes) -> tuple[bytes, int]:
    """Return the canonical address and its bump."""
    address, bump = Pubkey.find_program_address(list(seeds), Pubkey.from_bytes(program_id))
    return bytes(address), bump


@cache
def associated(wallet: bytes, mint: bytes) -> bytes:
    """Return the token account that a wallet has for a mint."""
    return derive(bytes(ATA), wallet, TOKEN, mint)[0]


def rent_of(size: int) -> int:
    """Return the lamports that keep an account of so many bytes alive."""
    return (128 + size) * 6_960


R = TypeVar("R", bound=Record)


@dataclass
class Frame:
    """One instruction while it runs. It collects what is wrong, and at the end what has changed."""

    world: World
    clock: Clock
    call: Call
    slots: dict[str, Meta]
    args: dict[str, object]
    problems: list[Failure] = field(default_factory=list)
    late: list[Failure | None] = field(default_factory=list)
    changes: dict[bytes, Account] = field(default_factory=dict)
    events: list[Record] = field(default_factory=list)

    # What came in

    def key(self, slot: str) -> bytes:
        return self.slots[slot].address

    def has(self, slot: str) -> bool:
        """Whether an optional account is there."""
        return self.key(slot) != self.world.program_id

    def number(self, name: str) -> int:
        value = self.args[name]
        assert isinstance(value, int)
        return value

    def hash(self, name: str) -> bytes:
        value = self.args[name]
        assert isinstance(value, bytes)
        return value

    def account(self, address: bytes) -> Account:
        return self.changes.get(address) or self.world.at(address)

    # Checks

    def expect(self, ok: object, *failures: Failure) -> None:
        """Note a problem unless it is so; None means that it cannot be told, because of another problem."""
        if ok is False:
            self.problems.extend(failures)

    def expect_by_then(self, ok: bool, *failures: Failure | None) -> None:
        """Note a problem that must be found before the end, in whatever stage."""
        if not ok:
            self.late.extend(failures)

    def stage(self) -> None:
        """End a stage. Raises Refused with all that is wrong in it."""
        if self.problems:
            raise Refused(*self.problems)

    def refuse_elsewhere(self) -> None:
        """Say that a program which would be called refuses. Raises Refused."""
        raise Refused(None)

    def signed(self, slot: str) -> None:
        self.expect(self.slots[slot].signer, Failure.NOT_SIGNER)

    def read(self, slot: str, kind: type[R]) -> R | None:
        """Return the program's account in a slot, or None with a problem noted."""
        account = self.account(self.key(slot))
        if account.owner != self.world.program_id:
            self.expect(False, Failure.WRONG_OWNER)
            return None
        if not isinstance(account.data, kind):
            self.expect(False, Failure.BAD_ACCOUNT)
            return None
        return account.data

    def distinct(self, slots: Iterable[str]) -> None:
        """Refuse one account in two writable places; the program's own id is one, where an optional one is absent."""
        keys = [self.key(slot) for slot in slots]
        self.expect(len(set(keys)) == len(keys), Failure.DUPLICATE_ACCOUNT)

    # Changes

    def put(self, address: bytes, data: Record | Token | Plain) -> None:
        self.changes[address] = self.account(address)._replace(data=data)

    def pay_lamports(self, source: bytes, target: bytes, lamports: int) -> None:
        payer = self.account(source)
        if payer.lamports < lamports:
            raise Refused(None)
        self.changes[source] = payer._replace(lamports=payer.lamports - lamports)
        receiver = self.account(target)
        self.changes[target] = receiver._replace(lamports=receiver.lamports + lamports)

    def create(self, payer: bytes, address: bytes, owner: bytes, data: Record | Token, size: int) -> None:
        """Make an account whose address is ours; lamports that lay there before count towards its rent."""
        missing = rent_of(size) - self.account(address).lamports
        if missing > 0:
            self.pay_lamports(payer, address, missing)
        self.changes[address] = Account(owner, self.account(address).lamports, data)

    def remove(self, address: bytes, heir: bytes) -> None:
        """Close an account of ours."""
        self.pay_lamports(address, heir, self.account(address).lamports)
        self.changes[address] = NOTHING

    def move_tokens(self, source: bytes, target: bytes, amount: int) -> None:
        """Let the token program move money. Raises Refused when it would not."""
        one, other = self.account(source), self.account(target)
        if not (isinstance(one.data, Token) and isinstance(other.data, Token)):
            raise Refused(None)
        if one.data.frozen or other.data.frozen or one.data.mint != other.data.mint or one.data.amount < amount:
            raise Refused(None)
        self.put(source, one.data._replace(amount=one.data.amount - amount))
        after = self.account(target).data
        assert isinstance(after, Token)
        self.put(target, after._replace(amount=after.amount + amount))

    def count(self, slot: str) -> int:
        """Return the number of a Participant's next money event, and take it."""
        participant = self.account(self.key(slot)).data
        assert isinstance(participant, Participant)
        if participant.sequence == U64_MAX:
            raise Refused(Failure.OVERFLOW)
        self.put(self.key(slot), replace(participant, sequence=participant.sequence + 1))
        return participant.sequence

    def done(self) -> Done:
        return Done(replace(self.world, accounts={**self.world.accounts, **self.changes}), tuple(self.events))

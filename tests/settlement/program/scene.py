"""The people, mints and token accounts of the tests of the program, and the world before its first instruction."""

from __future__ import annotations

import struct
from functools import cache
from typing import Final

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from settlement.program.addresses import Addresses, token_account
from tests.settlement.program.model_operator import LOADER, PROGRAM_DATA
from tests.settlement.program.model_world import (
    INSTRUCTIONS,
    SYSTEM,
    TOKEN,
    Account,
    Clock,
    Mint,
    Plain,
    Token,
    World,
    associated,
)


@cache
def keypair(name: str, number: int = 0) -> Keypair:
    """Return a key of the tests by its name."""
    return Keypair.from_seed(f"{name} {number}".encode().ljust(32, b".")[:32])


def address(name: str, number: int = 0) -> bytes:
    """Return the public key of `keypair`."""
    return bytes(keypair(name, number).pubkey())


@cache
def _found(program_id: Pubkey, seeds: tuple[bytes, ...]) -> Pubkey:
    return Pubkey.find_program_address(seeds, program_id)[0]


class _Remembered(Addresses):
    """Addresses that are worked out once."""

    def _at(self, *seeds: bytes) -> Pubkey:
        return _found(self.program_id, seeds)


PROGRAM: Final = keypair("program").pubkey()
AT: Final = _Remembered(PROGRAM)
GENESIS: Final = bytes(range(100, 132))
PEOPLE: Final = 6
"""Wallets that may become Participants: 0 to 2 buyers, 3 and 4 batteries, 5 both."""
ROLES: Final = (2, 2, 2, 1, 1, 3)
MINTS: Final = 3
"""0 and 1 are of the classic token program, 2 is of another."""
RESOLVERS: Final = 2
OTHER_PROGRAM: Final = address("other program")
TIMEOUT_S: Final = 1_209_600
MIN_BOND: Final = 1_000
BEGIN: Final = Clock(now=1_800_000_000, slot=400_000_000)
LAMPORTS: Final = 10**12
TOKENS: Final = 10**15

_MINT: Final = struct.Struct("<I32sQBBI32s")


@cache
def wallet(person: int) -> Pubkey:
    """Return a person's wallet."""
    return keypair("wallet", person).pubkey()


@cache
def mint(number: int) -> Pubkey:
    """Return a mint."""
    return keypair("mint", number).pubkey()


def mint_account(decimals: int, owner: bytes = TOKEN) -> Account:
    """Return a mint whose authority may freeze."""
    authority = address("mint authority")
    raw = _MINT.pack(1, authority, 10 * TOKENS, decimals, 1, 1, authority)
    return Account(owner, 1_461_600, Mint(decimals, raw) if owner == TOKEN else Plain(raw))


def token(owner: bytes, mint_key: bytes, amount: int = 0, *, frozen: bool = False) -> Account:
    """Return a token account."""
    return Account(TOKEN, 2_039_280, Token(mint_key, owner, amount, frozen))


def _programs(authority: bytes) -> dict[bytes, Account]:
    data = bytes(AT.program_data())
    head = PROGRAM_DATA.pack(3, 0, 1, authority)
    return {data: Account(LOADER, LAMPORTS, Plain(head))}


@cache
def before() -> World:
    """Return the world in which the program is loaded and has never been called."""
    accounts = _programs(address("admin"))
    names = [("wallet", n) for n in range(PEOPLE)] + [("resolver", n) for n in range(RESOLVERS)]
    names += [("admin", 0), ("admin", 1), ("stranger", 0), ("relay", 0), ("treasury", 0)]
    for name, number in names:
        accounts[address(name, number)] = Account(SYSTEM, LAMPORTS, Plain())
    for number, owner in enumerate((TOKEN, TOKEN, OTHER_PROGRAM)):
        accounts[bytes(mint(number))] = mint_account(6 - 4 * (number == 1), owner)
    for number in (0, 1):
        key = bytes(mint(number))
        for person in range(PEOPLE):
            amount = TOKENS if ROLES[person] & 2 else 0
            accounts[associated(address("wallet", person), key)] = token(address("wallet", person), key, amount)
            accounts[address(f"purse{number}", person)] = token(address("wallet", person), key, 1_000)
        for name in ("treasury", "stranger"):
            accounts[associated(address(name), key)] = token(address(name), key)
    accounts[address("mint without use")] = mint_account(0)
    return World(bytes(PROGRAM), accounts)


@cache
def payee(person: int, number: int) -> Pubkey:
    """Return a person's associated token account."""
    return token_account(wallet(person), mint(number))


def is_followed(key: bytes) -> bool:
    """Whether the world says what stands at an address; sysvars and programs are the cluster's."""
    return key not in (INSTRUCTIONS, TOKEN, SYSTEM)

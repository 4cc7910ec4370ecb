"""What token accounts and mints say, read from their bytes: the classic Token program's and Token-2022's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey

if TYPE_CHECKING:
    from solders.account import Account

TOKEN: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022: Final = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
PROGRAMS: Final = (TOKEN, TOKEN_2022)
NAMES: Final = {TOKEN: "spl-token", TOKEN_2022: "spl-token-2022"}
ACCOUNT_BYTES: Final = 165
MINT_BYTES: Final = 82
_KIND_AT: Final = 165
"""Behind this many bytes an extended account says what it is: 1 = mint, 2 = token account."""
_STATES: Final = ("uninitialized", "initialized", "frozen")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAccount:
    """One token account; amounts in base units."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    delegate: Pubkey | None
    delegated: int
    state: str
    native_reserve: int | None
    """For wrapped SOL the lamports that are rent."""
    close_authority: Pubkey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """One mint; the supply in base units."""

    authority: Pubkey | None
    supply: int
    decimals: int
    initialized: bool
    freeze_authority: Pubkey | None


def read_token_account(account: Account | None) -> TokenAccount | None:
    """Return what a token account says, None when this is none or was never initialized."""
    if account is None or account.owner not in PROGRAMS:
        return None
    data = account.data
    if len(data) != ACCOUNT_BYTES and not (len(data) > ACCOUNT_BYTES and data[_KIND_AT] == 2):
        return None
    if not 0 < data[108] < len(_STATES):
        return None
    native = _option(data, 109, 8)
    delegate, closer = _option(data, 72, 32), _option(data, 129, 32)
    return TokenAccount(
        mint=Pubkey.from_bytes(data[:32]),
        owner=Pubkey.from_bytes(data[32:64]),
        amount=int.from_bytes(data[64:72], "little"),
        delegate=None if delegate is None else Pubkey.from_bytes(delegate),
        delegated=int.from_bytes(data[121:129], "little"),
        state=_STATES[data[108]],
        native_reserve=None if native is None else int.from_bytes(native, "little"),
        close_authority=None if closer is None else Pubkey.from_bytes(closer),
    )


def read_mint(account: Account | None) -> Mint | None:
    """Return what a mint says, None when this is none or was never initialized."""
    if account is None or account.owner not in PROGRAMS:
        return None
    data = account.data
    if len(data) != MINT_BYTES and not (len(data) > ACCOUNT_BYTES and data[_KIND_AT] == 1):
        return None
    if data[45] != 1:
        return None
    authority, freezer = _option(data, 0, 32), _option(data, 46, 32)
    return Mint(
        authority=None if authority is None else Pubkey.from_bytes(authority),
        supply=int.from_bytes(data[36:44], "little"),
        decimals=data[44],
        initialized=True,
        freeze_authority=None if freezer is None else Pubkey.from_bytes(freezer),
    )


def _option(data: bytes, at: int, size: int) -> bytes | None:
    """Return an optional value: a u32 that says whether it is there, then the value."""
    return data[at + 4 : at + 4 + size] if int.from_bytes(data[at : at + 4], "little") else None

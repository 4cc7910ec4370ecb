"""Nonce accounts of the System program: what stands in place of a blockhash, and how a block moves it on.

An account has 80 bytes: version u32, state u32 (1 = initialized), authority 32, value 32, lamports per signature u64.
The value that a block gives out is derived from the newest blockhash that its bank knows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from solders.account import Account
from solders.system_program import ID as SYSTEM_PROGRAM

from settlement.ledger.limits import LAMPORTS_PER_SIGNATURE

if TYPE_CHECKING:
    from solders.account import Account as AnyAccount

_BYTES: Final = 80
_HEAD: Final = (1).to_bytes(4, "little") + (1).to_bytes(4, "little")
_VALUE: Final = slice(40, 72)


class Nonce(NamedTuple):
    """What an initialized nonce account says."""

    authority: bytes
    value: bytes


def value_after(blockhash: bytes) -> bytes:
    """Return the 32 bytes that a nonce becomes in a block whose newest known blockhash is this one."""
    return hashlib.sha256(b"DURABLE_NONCE" + blockhash).digest()


def read_nonce(account: AnyAccount | None) -> Nonce | None:
    """Return the nonce in an account, None when it holds none."""
    if account is None or account.owner != SYSTEM_PROGRAM:
        return None
    data = account.data
    if len(data) != _BYTES or data[:8] != _HEAD:
        return None
    return Nonce(authority=data[8:40], value=data[_VALUE])


def with_value(account: AnyAccount, value: bytes) -> AnyAccount:
    """Return a nonce account that was moved on to a value."""
    data = account.data[:40] + value + LAMPORTS_PER_SIGNATURE.to_bytes(8, "little")
    return Account(account.lamports, data, account.owner, account.executable, account.rent_epoch)

"""Brings a party onto the ledger, whatever of it is there already: Participant, signing key, token account."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

from solders.pubkey import Pubkey

from settlement.errors import SettlementError
from settlement.opening import ROLES
from settlement.program.accounts import Config, Escrow, Line, Participant
from settlement.program.codec import Record

if TYPE_CHECKING:
    from etp.auth import Signer
    from settlement.cluster.landing import Lander
    from settlement.opening import Opening
    from settlement.rpc import Account
    from settlement.signing import Party

R = TypeVar("R", bound=Record)

_REGISTRATION_LAMPORTS: Final = 6_000_000
"""Rent of Participant and token account, and fees."""
_LINE_LAMPORTS: Final = 12_000_000
"""Rent of escrow, vault, Line and Unpaid, and fees."""


class OpeningError(SettlementError):
    """What a party wants to begin cannot be: what is in the way, and what to do."""


class Registered(Enum):
    """What had to be done."""

    BEFORE = "was registered before"
    NOW = "is registered now"
    ROTATED = "signs with another key from now on; signatures of the old one count for 8 more days"


async def register(lander: Lander, opening: Opening, identity: Signer, role: Party) -> Registered:
    """Register the lander's wallet, or let it sign with another key. Raises OpeningError, LandingError, RpcError."""
    wallet = lander.payer.public_key
    await require_program(lander, opening)
    found = await read(lander, opening, Participant, opening.at.participant(_key(wallet)))
    if found is None:
        await _require_lamports(lander, _REGISTRATION_LAMPORTS)
        await lander.land([*opening.register(wallet, identity, role), *opening.open_tokens(wallet)])
        return Registered.NOW
    if not found.role & ROLES[role]:
        raise OpeningError(f"{_key(wallet)} is registered, and not as a {role}: give it a wallet of its own")
    if found.signing_key == identity.public_key:
        return Registered.BEFORE
    await lander.land(opening.rotate_key(wallet, identity))
    return Registered.ROTATED


async def require_program(lander: Lander, opening: Opening) -> Config:
    """Return the program's Config. Raises OpeningError when the program is not there, or says another cluster."""
    config = await read(lander, opening, Config, opening.at.config())
    if config is None:
        raise OpeningError(f"there is no program {opening.program_id} on this cluster: see program_id in the file")
    if config.genesis != opening.venue.genesis_hash:
        raise OpeningError(f"program {opening.program_id} was made for another cluster: nothing is signed for it")
    return config


async def open_line(lander: Lander, opening: Opening, battery: bytes) -> bool:
    """Open the escrow where it is missing, then the Line; False when the Line was there. Raises as `register`."""
    buyer = lander.payer.public_key
    await require_program(lander, opening)
    if await read(lander, opening, Line, opening.line(buyer, battery)) is not None:
        return False
    for wallet, who in ((buyer, "this wallet"), (battery, "the battery")):
        if await read(lander, opening, Participant, opening.at.participant(_key(wallet))) is None:
            raise OpeningError(f"{who}, {_key(wallet)}, is not registered: `wattbid register` does that")
    missing = [] if await has_escrow(lander, opening) else opening.open_escrow(buyer)
    await _require_lamports(lander, _LINE_LAMPORTS)
    await lander.land([*missing, *opening.open_line(buyer, battery)])
    return True


async def has_escrow(lander: Lander, opening: Opening) -> bool:
    """Whether the lander's wallet has an escrow in this mint."""
    return await read(lander, opening, Escrow, opening.escrow(lander.payer.public_key)) is not None


async def read(lander: Lander, opening: Opening, kind: type[R], address: Pubkey) -> R | None:
    """Return an account of the program as confirmed, None when it is not there. Raises OpeningError for another's."""
    account = await account_at(lander, address)
    if account is None:
        return None
    if account.owner != opening.venue.program_id:
        raise OpeningError(f"{address} belongs to another program than {opening.program_id}")
    return kind.decode(account.data)


async def account_at(lander: Lander, address: Pubkey) -> Account | None:
    """Return any account as confirmed, None when it is not there."""
    found = await lander.patiently(lambda: lander.client.accounts([bytes(address)], "confirmed"))
    account: Account | None = found.values[0]
    return account


async def _require_lamports(lander: Lander, lamports: int) -> None:
    wallet = _key(lander.payer.public_key)
    account = await account_at(lander, wallet)
    held = 0 if account is None else account.lamports
    if held < lamports:
        need, have = lamports / 1e9, held / 1e9
        raise OpeningError(f"{wallet} holds {have:.4f} SOL, this takes up to {need:.4f}: send it some and try again")


def _key(wallet: bytes) -> Pubkey:
    return Pubkey.from_bytes(wallet)

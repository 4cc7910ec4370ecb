"""Brings a program onto any cluster through the upgradeable loader, and takes the right to change it away.

Every step looks first at what is there, so a deployment that was interrupted is repeated and goes on where it ended:
the buffer's key follows from the payer's, program and code. Needs nothing but an RPC endpoint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey

from settlement.errors import SettlementError
from settlement.keys import SeedKey
from settlement.program import loader
from settlement.program.addresses import Addresses
from settlement.program.codec import LayoutError
from settlement.program.loader import LOADER, ProgramData
from settlement.rpc import Question
from settlement.rpc.answers import ACCOUNT_BYTES_MAX, number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from etp.auth import Signer
    from settlement.cluster.landing import Lander
    from settlement.rpc.answers import Account

_BUFFER_DOMAIN: Final = b"\xffwattbid-buffer\x01"
_BUFFER_TAG: Final = (1).to_bytes(4, "little") + b"\x01"
_WRITE_UNITS: Final = 10_000
_DEPLOY_UNITS: Final = 400_000
_VISIBLE_AFTER: Final = 1
"""Slots after its deployment in which a program can be called."""
_POLL_S: Final = 0.4
CODE_BYTES_MAX: Final = ACCOUNT_BYTES_MAX - loader.PROGRAM_DATA_HEAD_BYTES
"""What is read back of a program must fit into one answer."""


class DeployError(SettlementError):
    """A program that cannot be deployed: what is in the way, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A program as it is on the cluster now."""

    program: Pubkey
    slot: int
    authority: bytes | None
    fresh: bool
    """Whether it was deployed just now."""


async def deploy(
    lander: Lander,
    program: SeedKey,
    code: bytes,
    *,
    sleep: Callable[[float], Awaitable[None]],
    tell: Callable[[str], None] = lambda _text: None,
    remedy: str = "deploy to another address, or upgrade it",
) -> Deployed:
    """Bring `code` to the address of `program`; the lander's payer is its upgrade authority until it is frozen.

    The same code that is there already is left alone. Raises DeployError for other code, with `remedy` as what to do,
    LandingError and RpcError.
    """
    if not 0 < len(code) <= CODE_BYTES_MAX:
        raise DeployError(f"a program of {len(code)} bytes, 1 to {CODE_BYTES_MAX} can be deployed")
    address = Pubkey.from_bytes(program.public_key)
    found = await read_program(lander, address)
    if found is not None:
        if not _is_same(found.code, code):
            raise DeployError(f"{address} is another program already: {remedy}")
        return Deployed(program=address, slot=found.slot, authority=found.authority, fresh=False)
    buffer = buffer_key(lander.payer, program.public_key, code)
    sizes = {size: await rent_of(lander, size) for size in _sizes(code)}
    plan = loader.deployment(
        code,
        payer=Pubkey.from_bytes(lander.payer.public_key),
        authority=Pubkey.from_bytes(lander.payer.public_key),
        program=address,
        buffer=Pubkey.from_bytes(buffer.public_key),
        rent=sizes.__getitem__,
    )
    written = await _buffered(lander, buffer, len(code))
    if written is None:
        tell(f"making a buffer of {len(code)} bytes")
        await lander.land(plan.open, buffer)
        written = bytes(len(code))
    missing = [batch for at, batch in enumerate(plan.writes) if _piece(written, at) != _piece(code, at)]
    tell(f"writing {len(missing)} of {len(plan.writes)} pieces")
    await lander.land_all(missing, units=_WRITE_UNITS)
    tell(f"deploying {address}")
    await lander.land(plan.deploy, program, units=_DEPLOY_UNITS)
    found = await read_program(lander, address)
    if found is None or not _is_same(found.code, code):
        raise DeployError(f"{address} does not hold what was deployed: the endpoint does not tell the truth")
    await _until_visible(lander, found.slot, sleep)
    return Deployed(program=address, slot=found.slot, authority=found.authority, fresh=True)


async def freeze(lander: Lander, program: Pubkey) -> bool:
    """Take the upgrade authority away for ever; False when it was gone. Raises DeployError when it is another's."""
    found = await read_program(lander, program)
    if found is None:
        raise DeployError(f"{program} is no program here: deploy it first")
    if found.authority is None:
        return False
    if found.authority != lander.payer.public_key:
        owner = Pubkey.from_bytes(found.authority)
        raise DeployError(f"{program} belongs to {owner}: only this key can freeze it")
    await lander.land([loader.freeze(program, Pubkey.from_bytes(lander.payer.public_key))])
    found = await read_program(lander, program)
    if found is None or found.authority is not None:
        raise DeployError(f"{program} is not frozen, though the cluster said so: ask another endpoint")
    return True


async def read_program(lander: Lander, program: Pubkey) -> ProgramData | None:
    """Return what the loader keeps of a program, None when there is none. Raises DeployError for any other account."""
    keys = (program, Addresses(program).program_data())
    account, data = await _accounts(lander, *(bytes(key) for key in keys))
    if account is None:
        return None
    if account.owner != bytes(LOADER) or data is None:
        raise DeployError(f"{program} is no program of the upgradeable loader: deploy to another address")
    try:
        return ProgramData.decode(data.data)
    except LayoutError as error:
        raise DeployError(f"{program}: {error}") from error


def buffer_key(payer: Signer, program: bytes, code: bytes) -> SeedKey:
    """Return the key of the buffer for one deployment: the same again after an interruption, and nobody else's."""
    named = _BUFFER_DOMAIN + program + hashlib.sha256(code).digest()
    return SeedKey(hashlib.sha256(payer.sign(named)).digest())


def _sizes(code: bytes) -> tuple[int, ...]:
    return loader.PROGRAM_BYTES, loader.BUFFER_HEAD_BYTES + len(code)


def _piece(code: bytes, at: int) -> bytes:
    return code[at * loader.PIECE_BYTES : (at + 1) * loader.PIECE_BYTES]


def _is_same(found: bytes, code: bytes) -> bool:
    """Whether an account holds this code; room behind it is zero."""
    return found[: len(code)] == code and not any(found[len(code) :])


async def _buffered(lander: Lander, buffer: SeedKey, size: int) -> bytes | None:
    """Return what a buffer holds so far, None when there is none. Raises DeployError for another's."""
    account = await account_of(lander, buffer.public_key)
    if account is None:
        return None
    head = _BUFFER_TAG + lander.payer.public_key
    data = account.data
    if account.owner != bytes(LOADER) or data[: len(head)] != head or len(data) != len(head) + size:
        address = Pubkey.from_bytes(buffer.public_key)
        raise DeployError(f"{address}, which should be the buffer, is something else: deploy to another address")
    return data[len(head) :]


async def _accounts(lander: Lander, *keys: bytes) -> tuple[Account | None, ...]:
    found = await lander.patiently(lambda: lander.client.accounts(keys, "confirmed"))
    accounts: tuple[Account | None, ...] = found.values
    return accounts


async def account_of(lander: Lander, key: bytes) -> Account | None:
    """Return a confirmed account, None when there is none."""
    return (await _accounts(lander, key))[0]


async def rent_of(lander: Lander, size: int) -> int:
    """Return the lamports that an account of so many bytes must hold."""
    asked = Question("getMinimumBalanceForRentExemption", [size], number)
    lamports: int = await lander.patiently(lambda: lander.client.call(asked))
    return lamports


async def _until_visible(lander: Lander, slot: int, sleep: Callable[[float], Awaitable[None]]) -> None:
    asked = Question("getSlot", [{"commitment": "confirmed"}], number)
    while await lander.patiently(lambda: lander.client.call(asked)) <= slot + _VISIBLE_AFTER:
        await sleep(_POLL_S)

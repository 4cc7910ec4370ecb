"""Brings program and Config to a cluster that somebody else runs, paid by a key in a file."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from solders.pubkey import Pubkey

from settlement.base58 import from_base58
from settlement.cluster import setup
from settlement.cluster.deploy import DeployError, account_of, deploy, freeze
from settlement.cluster.landing import Lander
from settlement.cluster.reach import genesis_of
from settlement.cluster.setup import Place
from settlement.errors import KeyFileError, TermsError
from settlement.exchange import TEXT_BYTES_MAX, from_text, to_base58
from settlement.files import read_private
from settlement.keys import SeedKey
from settlement.rpc import HttpTransport, RpcClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from etp.auth import Signer

_DOMAIN: Final = b"\xffwattbid-deploy\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What is to be there in the end."""

    url: str
    payer_file: Path
    program_file: Path | None
    """Key of the program's address; None: one that follows from the payer's."""
    code: bytes
    treasury: str | None
    fee_bps: int
    min_bond: int
    timeout_s: int
    mint: str | None
    makes_mint: bool
    freezes: bool
    price: int


async def roll_out(wanted: Rollout, *, tell: Callable[[str], None]) -> dict[str, Any]:
    """Bring everything that is missing to the cluster; return what a settlement section names, and the admin.

    Raises ValueError for what cannot be meant, else KeyFileError, KeyFormatError, DeployError, LandingError, RpcError.
    """
    if wanted.mint is not None and wanted.makes_mint:
        raise ValueError("--mint and --test-mint: name a mint or have one made")
    payer = read_key(wanted.payer_file)
    program = derived(payer, b"program") if wanted.program_file is None else read_key(wanted.program_file)
    made = derived(payer, b"mint") if wanted.makes_mint else None
    try:
        treasury = payer.public_key if wanted.treasury is None else from_base58(wanted.treasury, field="--treasury")
        mint = None if wanted.mint is None else from_base58(wanted.mint, field="--mint")
    except TermsError as error:
        raise ValueError(str(error)) from error
    transport = HttpTransport()
    try:
        genesis = await genesis_of(wanted.url, transport)
        client = RpcClient([wanted.url], genesis, transport, monotonic_s=time.monotonic, rng=random.SystemRandom())
        lander = Lander(client, payer, sleep=asyncio.sleep, price=wanted.price)
        if await account_of(lander, payer.public_key) is None:
            raise DeployError(f"{to_base58(payer.public_key)} has no SOL on this cluster: send it some first")
        found = await deploy(lander, program, wanted.code, sleep=asyncio.sleep, tell=tell)
        await setup.initialize(
            lander,
            found.program,
            genesis,
            treasury=treasury,
            fee_bps=wanted.fee_bps,
            min_bond=wanted.min_bond,
            timeout_s=wanted.timeout_s,
        )
        if made is not None:
            tell("making a test currency")
            await setup.make_currency(lander, made)
            mint = made.public_key
        if mint is not None:
            await setup.allow(lander, Place(found.program, Pubkey.from_bytes(mint), genesis))
        if wanted.freezes:
            tell("freezing it")
            await freeze(lander, found.program)
    finally:
        await transport.close()
    told = {"program_id": str(found.program), "genesis": to_base58(genesis)}
    if mint is not None:
        told["mint"] = to_base58(mint)
    return {**told, "admin": to_base58(payer.public_key), "frozen": wanted.freezes or found.authority is None}


def read_key(path: Path) -> SeedKey:
    """Return the key in a private file of Solana's JSON or PEM. Raises KeyFileError, KeyFormatError."""
    data = read_private(path, TEXT_BYTES_MAX)
    if data is None:
        raise KeyFileError(
            path, "is not there", "name a key file; `solana-keygen new` or `wattbid keys export` makes one"
        )
    return SeedKey(from_text(data.decode(errors="replace")))


def derived(payer: Signer, purpose: bytes) -> SeedKey:
    """Return a key that only the payer can make, the same each time."""
    return SeedKey(hashlib.sha256(payer.sign(_DOMAIN + purpose)).digest())

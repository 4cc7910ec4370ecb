"""Everything that `wattbid ledger --init` makes: the program, a test currency, the members, their money."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey

from settlement.cluster import setup
from settlement.cluster.deploy import deploy, freeze
from settlement.cluster.landing import Lander
from settlement.cluster.setup import Member, Place
from settlement.errors import KeyFileError
from settlement.files import read_private
from settlement.keyring import KeyRing
from settlement.keys import ROOT_BYTES, SeedKey
from settlement.ledger.limits import LAMPORTS_PER_SOL
from settlement.ledger.transport import NodeTransport
from settlement.rpc import RpcClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from settlement.ledger.node import Node

_URL: Final = "http://in-process"
UNITS_PER_USDC: Final = 10**setup.DECIMALS
_OTHER_CODE: Final = "this directory was made with another version of it, begin a new one with --data"
_OPERATOR_SOL: Final = 1_000
"""What the operator pays deployment and members from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is to be there. Money in lamports and in base units of the test currency."""

    code: bytes
    members: Sequence[Member] = ()
    lamports: int = 0
    """In the wallet of every member."""
    units: int = 0
    """In the token account of every buyer, before Lines are covered."""
    line_units: int = 0
    """On the Line from every buyer to every battery; 0 opens none."""


async def prepare(
    node: Node,
    root: bytes,
    wishes: Wishes,
    *,
    clock_ms: Callable[[], int],
    sleep: Callable[[float], Awaitable[None]],
    tell: Callable[[str], None] = lambda _text: None,
) -> Place:
    """Make what is missing on a node's ledger, and return where trades are settled; `root` is the operator's secret.

    Raises DeployError or LandingError.
    """
    operator, program, mint = (_key(root, purpose) for purpose in (b"operator", b"program", b"mint"))
    genesis = bytes(node.ledger.genesis)
    client = RpcClient(
        [_URL], genesis, NodeTransport({_URL: node}), monotonic_s=lambda: clock_ms() / 1_000, rng=random.SystemRandom()
    )
    lander = Lander(client, operator, sleep=sleep)
    await _airdrop(node, lander, sleep)
    place = Place(Pubkey.from_bytes(program.public_key), Pubkey.from_bytes(mint.public_key), genesis)
    await deploy(lander, program, wishes.code, sleep=sleep, tell=tell, remedy=_OTHER_CODE)
    await setup.initialize(lander, place.program, genesis, treasury=operator.public_key)
    await freeze(lander, place.program)
    await setup.make_currency(lander, mint)
    await setup.allow(lander, place)
    for member in wishes.members:
        tell(f"registering {member.role} {Pubkey.from_bytes(member.wallet.public_key)}")
        units = wishes.units if member.role == "buyer" else 0
        await setup.fund(lander, place, member.wallet.public_key, lamports=wishes.lamports, units=units)
        await setup.register(lander, place, member)
    if wishes.line_units:
        batteries = [member.wallet.public_key for member in wishes.members if member.role == "battery"]
        for buyer in (member.wallet for member in wishes.members if member.role == "buyer"):
            await setup.cover(lander, place, buyer, batteries, units=wishes.line_units)
    return place


async def _airdrop(node: Node, lander: Lander, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Let the faucet bring the operator up to what it needs, and wait until that is confirmed."""
    address = str(Pubkey.from_bytes(lander.payer.public_key))
    wanted = _OPERATOR_SOL * LAMPORTS_PER_SOL

    def lamports() -> int:
        value: int = node.call("getBalance", [address, {"commitment": "confirmed"}])["value"]
        return value

    if lamports() < wanted // 2:
        node.call("requestAirdrop", [address, wanted])
        while lamports() < wanted // 2:
            await sleep(0.4)


def read_member(role: str, root_file: Path) -> Member:
    """Return the member whose keys come from a root file. Raises KeyFileError; nothing is made."""
    root = read_private(root_file, ROOT_BYTES)
    if root is None or len(root) != ROOT_BYTES:
        raise KeyFileError(root_file, "is no root file", "name the root_file of a site or an aggregator")
    ring = KeyRing(root)
    return Member(role, ring.signer("wallet"), ring.signer("identity"))


def _key(root: bytes, purpose: bytes) -> SeedKey:
    return SeedKey(hashlib.sha256(b"wattbid-ledger-" + purpose + root).digest())

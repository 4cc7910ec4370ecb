"""What lies on a world's ledger before anybody trades: the program, a mint, Participants, escrows and Lines."""

from __future__ import annotations

import random
from asyncio import sleep
from typing import TYPE_CHECKING, Final

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from spl.token.instructions import create_idempotent_associated_token_account, initialize_mint2, mint_to
from spl.token.models import InitializeMint2Params, MintToParams

from settlement.cluster.deploy import deploy
from settlement.cluster.landing import Lander
from settlement.cluster.tokens import MINT_BYTES, TOKEN
from settlement.contract import Venue
from settlement.keys import SeedKey
from settlement.ledger.airdrop import airdrop
from settlement.ledger.transport import NodeTransport
from settlement.opening import Opening
from settlement.program import instructions
from settlement.program.addresses import token_account
from settlement.program.elf import program_elf
from settlement.rpc import RpcClient
from simulation.deals import BASE_UNITS_PER_CENT, FEE_BPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solders.instruction import Instruction

    from simulation.chain import Chain

_SOL: Final = 10**9
_USDC: Final = 10**6
_DEPOSIT: Final = 5_000 * _USDC
"""Enough for every Line and every bond of a run."""
LINE_UNITS: Final = 3 * _USDC // 2
"""A few trades: Lines run out, and are topped up."""
_UNTIL_FINAL_S: Final = 60.0
_MIN_BOND: Final = _USDC // 10
_URL: Final = "http://setup.simulated"


def begin(chain: Chain, rng: random.Random, *, timeout_s: int, line_units: int) -> Venue:
    """Put everything there; returns where it is."""
    _fund(chain)
    chain.loop.run_until_complete(sleep(_UNTIL_FINAL_S))
    genesis, program_id = bytes(chain.ledger.genesis), _deploy(chain, rng)
    mint = _make_mint(chain, SeedKey(rng.randbytes(32)))
    venue = Venue(program_id=bytes(program_id), genesis_hash=genesis, mint=bytes(mint))
    opening = Opening(venue)
    chain.submit(list(_begin_market(chain, opening, timeout_s)))
    for person in (*chain.batteries, *chain.buyers):
        chain.submit(opening.register(person.wallet, person.identity, person.role), person.signer)
    for buyer in chain.buyers:
        calls = [*opening.open_escrow(buyer.wallet), *opening.deposit(buyer.wallet, _DEPOSIT)]
        chain.submit(calls, buyer.signer)
        for battery in chain.batteries:
            chain.submit(opening.open_line(buyer.wallet, battery.wallet), buyer.signer)
            chain.submit(opening.allot(buyer.wallet, battery.wallet, line_units), buyer.signer)
    chain.loop.run_until_complete(sleep(_UNTIL_FINAL_S))
    return venue


def _fund(chain: Chain) -> None:
    """Give everybody what fees and rent cost."""
    wallets = [chain.thief.public_key, *(person.wallet for person in (*chain.batteries, *chain.buyers))]
    for wallet, sol in [(chain.operator.public_key, 100), *((wallet, 1) for wallet in wallets)]:
        chain.ledger.advance()
        blockhash = Hash.from_bytes(chain.ledger.blocks.latest_hash(chain.ledger.blocks.height))
        airdrop(chain.ledger, Pubkey.from_bytes(wallet), sol * _SOL, blockhash)


def _deploy(chain: Chain, rng: random.Random) -> Pubkey:
    """Bring the real program there, through the loader."""
    transport = NodeTransport({_URL: chain.node})
    genesis = bytes(chain.ledger.genesis)
    client = RpcClient([_URL], genesis, transport, monotonic_s=chain.loop.time, rng=random.Random(rng.random()))
    lander = Lander(client, chain.operator, sleep=sleep)
    key = SeedKey(rng.randbytes(32))
    deployed = chain.loop.run_until_complete(deploy(lander, key, program_elf(), sleep=sleep))
    return deployed.program


def _make_mint(chain: Chain, key: SeedKey) -> Pubkey:
    """Make a mint of the classic token program with six decimals, and everybody's accounts for it."""
    payer, mint = Pubkey.from_bytes(chain.operator.public_key), Pubkey.from_bytes(key.public_key)
    rent = chain.ledger.rent(MINT_BYTES)
    made = CreateAccountParams(from_pubkey=payer, to_pubkey=mint, lamports=rent, space=MINT_BYTES, owner=TOKEN)
    begun = InitializeMint2Params(decimals=6, program_id=TOKEN, mint=mint, mint_authority=payer)
    chain.submit([create_account(made), initialize_mint2(begun)], key)
    for person in (*chain.batteries, *chain.buyers):
        owner = Pubkey.from_bytes(person.wallet)
        calls = [create_idempotent_associated_token_account(payer, owner, mint)]
        if person.role == "buyer":
            to = token_account(owner, mint)
            minted = MintToParams(program_id=TOKEN, mint=mint, dest=to, mint_authority=payer, amount=_DEPOSIT)
            calls.append(mint_to(minted))
        chain.submit(calls)
    return mint


def _begin_market(chain: Chain, opening: Opening, timeout_s: int) -> Iterator[Instruction]:
    operator, at = Pubkey.from_bytes(chain.operator.public_key), opening.at
    yield instructions.initialize(
        opening.program_id,
        authority=operator,
        config=at.config(),
        program_data=at.program_data(),
        treasury=bytes(operator),
        fee_bps=FEE_BPS,
        min_bond=_MIN_BOND,
        genesis=opening.venue.genesis_hash,
        timeout_s=timeout_s,
    )
    yield instructions.set_mint_rule(
        opening.program_id,
        admin=operator,
        config=at.config(),
        mint_rule=at.mint_rule(opening.mint),
        mint=opening.mint,
        allowed=True,
        base_units_per_cent=BASE_UNITS_PER_CENT,
    )

"""The first chapters of the suite: from an empty cluster to money on a Line."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer
from spl.token.constants import MINT_LEN, TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID
from spl.token.instructions import create_idempotent_associated_token_account, initialize_mint, mint_to
from spl.token.models import InitializeMintParams, MintToParams

from settlement.cluster.deploy import deploy, freeze
from settlement.program import instructions as calls
from settlement.program.accounts import Config, MintRule
from settlement.program.constants import ROLE_BATTERY, ROLE_BUYER
from settlement.program.events import Allotted, Deposited, Withdrawn
from settlement.program.failures import Failure
from settlement.program.loader import ProgramData, upgrade
from tests.acceptance.market import FEE_BPS, MIN_BOND, PER_CENT, address

if TYPE_CHECKING:
    from solders.instruction import Instruction
    from solders.pubkey import Pubkey

    from tests.acceptance.market import Market, Party

SOL: Final = 1_000_000_000
ISSUED: Final = 500_000_000
"""Base units: 500 test dollars."""
DEPOSITED: Final = 100_000_000
WITHDRAWN: Final = 1_500_000
ON_LINE: Final = 50_000_000


async def wallets_get_sol(market: Market) -> None:
    """Everybody who signs gets what his rents and fees cost."""
    shares = {market.operator: 2 * SOL, market.buyer.wallet: SOL // 10, market.battery.wallet: SOL // 20}
    shares |= {market.other.wallet: SOL // 20, market.stranger: SOL // 20, market.resolver: SOL // 100}
    source = address(market.funder)
    paid = [
        transfer(TransferParams(from_pubkey=source, to_pubkey=address(who), lamports=lamports))
        for who, lamports in shares.items()
    ]
    await market.client.do(*paid, signers=[market.funder])


async def the_program_is_deployed(market: Market, code: bytes) -> None:
    """By the loader's own path: what it then holds is the checked-in file, byte for byte; again changes nothing."""
    market.client.program = market.program_id
    deployed = await deploy(market.lander, market.program, code, sleep=asyncio.sleep)
    assert deployed.fresh
    assert deployed.authority == market.operator.public_key
    again = await deploy(market.lander, market.program, code, sleep=asyncio.sleep)
    assert (again.fresh, again.slot) == (False, deployed.slot)
    data = await _program_data(market)
    assert data == ProgramData(deployed.slot, market.operator.public_key, code)
    market.told.append(f"program {market.program_id}, {len(code)} bytes, SHA-256 {sha256(code).hexdigest()}")


async def it_is_initialized_and_frozen(market: Market) -> None:
    """Only the upgrade authority initializes, once; then there is none any more, and no upgrade."""
    operator, stranger = market.operator, market.stranger
    await market.client.refused(Failure.NOT_ADMIN, _initialize(market, address(stranger)), signers=[stranger])
    await market.client.do(_initialize(market, address(operator)), signers=[operator])
    await market.client.refused(Failure.BAD_STATE, _initialize(market, address(operator)), signers=[operator])
    config = await market.client.record(Config, market.at.config())
    assert (config.admin, config.treasury) == (operator.public_key, market.treasury.public_key)
    assert (config.fee_bps, config.min_bond, config.timeout_s) == (FEE_BPS, MIN_BOND, market.timeout_s)
    assert config.genesis == market.client.rpc.genesis_hash
    assert await freeze(market.lander, market.program_id)
    assert (await _program_data(market)).authority is None
    changed = upgrade(market.program_id, address(market.key("buffer")), address(operator), address(operator))
    await market.client.refused("InvalidAccountData", changed, signers=[operator])


async def money_is_issued(market: Market) -> None:
    """A classic mint with six decimals, a rule that takes it and none of Token-2022, a token account for everybody."""
    operator, mint = market.operator, market.mint
    rent = await market.client.rent(MINT_LEN)
    await market.client.do(*_mint(market, "mint", rent, TOKEN_PROGRAM_ID), signers=[operator, market.key("mint")])
    newer = market.key("mint of the newer program")
    await market.client.do(
        *_mint(market, "mint of the newer program", rent, TOKEN_2022_PROGRAM_ID), signers=[operator, newer]
    )
    refused = _mint_rule(market, address(operator), address(newer))
    await market.client.refused(Failure.MINT_NOT_ALLOWED, refused, signers=[operator])
    owners = [market.buyer.address, market.battery.address, market.other.address, address(market.treasury)]
    opened = [create_idempotent_associated_token_account(address(operator), owner, mint) for owner in owners]
    issued = MintToParams(
        program_id=TOKEN_PROGRAM_ID,
        mint=mint,
        dest=market.tokens(market.buyer.address),
        mint_authority=address(operator),
        amount=ISSUED,
    )
    await market.client.do(*opened, mint_to(issued), signers=[operator])
    await market.client.refused(
        Failure.NOT_ADMIN, _mint_rule(market, address(market.stranger), mint), signers=[market.stranger]
    )
    await market.client.do(_mint_rule(market, address(operator), mint), signers=[operator])
    rule = await market.client.record(MintRule, market.at.mint_rule(mint))
    assert (rule.allowed, rule.decimals, rule.mint) == (True, 6, bytes(mint))


async def the_parties_register(market: Market) -> None:
    """Wallet and identity key prove themselves, the key by the precompile; neither alone is enough."""
    proof, registered = market.register(market.battery, ROLE_BATTERY)
    await market.client.refused(Failure.SIGNATURE_MISSING, registered, signers=[market.battery.wallet])
    foreign, _ = market.register(market.other, ROLE_BATTERY)
    await market.client.refused(Failure.DIGEST_MISMATCH, foreign, registered, signers=[market.battery.wallet])
    await market.client.do(proof, registered, signers=[market.battery.wallet])
    await market.client.do(*market.register(market.other, ROLE_BATTERY), signers=[market.other.wallet])
    await market.client.do(*market.register(market.buyer, ROLE_BUYER), signers=[market.buyer.wallet])
    for party, role in ((market.battery, ROLE_BATTERY), (market.buyer, ROLE_BUYER)):
        found = await market.read_participant(party)
        assert (found.wallet, found.signing_key, found.role) == (
            party.wallet.public_key,
            party.identity.public_key,
            role,
        )


async def the_buyer_lays_money_aside(market: Market) -> None:
    """Escrow, deposit, withdrawal, a Line, and money on it; more than there is, is refused."""
    buyer = [market.buyer.wallet]
    opened = calls.open_escrow(
        market.program_id,
        buyer_wallet=market.buyer.address,
        buyer=market.at.participant(market.buyer.address),
        escrow=market.escrow,
        vault=market.at.vault(market.escrow),
        mint=market.mint,
    )
    await market.client.do(opened, signers=buyer)
    came = (await market.client.do(deposit(market, DEPOSITED), signers=buyer)).event(Deposited)
    assert (came.amount, came.available) == (DEPOSITED, DEPOSITED)
    left = (await market.client.do(_withdraw(market, WITHDRAWN), signers=buyer)).event(Withdrawn)
    assert left.buyer_sequence == came.buyer_sequence + 1
    await market.client.refused(Failure.NOT_ENOUGH, _withdraw(market, DEPOSITED), signers=buyer)
    await market.client.do(open_line(market, market.battery), signers=buyer)
    await market.client.refused(Failure.NOT_ENOUGH, allot(market, market.battery, DEPOSITED), signers=buyer)
    laid = (await market.client.do(allot(market, market.battery, ON_LINE), signers=buyer)).event(Allotted)
    assert (laid.amount, laid.on_line) == (ON_LINE, ON_LINE)
    escrow, line = await market.read_escrow(), await market.read_line(market.battery)
    assert (escrow.available, escrow.allotted) == (DEPOSITED - WITHDRAWN - ON_LINE, ON_LINE)
    assert (line.amount, line.payee, line.base_no) == (ON_LINE, bytes(market.tokens(market.battery.address)), 0)
    assert await market.client.tokens(market.at.vault(market.escrow)) == DEPOSITED - WITHDRAWN


def open_line(market: Market, battery: Party) -> Instruction:
    return calls.open_line(
        market.program_id,
        buyer_wallet=market.buyer.address,
        buyer=market.at.participant(market.buyer.address),
        battery=market.at.participant(battery.address),
        escrow=market.escrow,
        line=market.line(battery),
        unpaid=market.unpaid(battery),
    )


def allot(market: Market, battery: Party, amount: int) -> Instruction:
    return calls.allot(
        market.program_id,
        buyer_wallet=market.buyer.address,
        config=market.at.config(),
        mint_rule=market.at.mint_rule(market.mint),
        buyer=market.at.participant(market.buyer.address),
        escrow=market.escrow,
        line=market.line(battery),
        event_authority=market.at.event_authority(),
        amount=amount,
    )


def deposit(market: Market, amount: int) -> Instruction:
    return calls.deposit(
        market.program_id,
        buyer_wallet=market.buyer.address,
        config=market.at.config(),
        mint_rule=market.at.mint_rule(market.mint),
        buyer=market.at.participant(market.buyer.address),
        escrow=market.escrow,
        vault=market.at.vault(market.escrow),
        source=market.tokens(market.buyer.address),
        event_authority=market.at.event_authority(),
        amount=amount,
    )


def _withdraw(market: Market, amount: int) -> Instruction:
    return calls.withdraw(
        market.program_id,
        buyer_wallet=market.buyer.address,
        buyer=market.at.participant(market.buyer.address),
        escrow=market.escrow,
        vault=market.at.vault(market.escrow),
        destination=market.tokens(market.buyer.address),
        event_authority=market.at.event_authority(),
        amount=amount,
    )


def _initialize(market: Market, authority: Pubkey) -> Instruction:
    return calls.initialize(
        market.program_id,
        authority=authority,
        config=market.at.config(),
        program_data=market.at.program_data(),
        treasury=market.treasury.public_key,
        fee_bps=FEE_BPS,
        min_bond=MIN_BOND,
        genesis=market.client.rpc.genesis_hash,
        timeout_s=market.timeout_s,
    )


def _mint(market: Market, name: str, lamports: int, token_program: Pubkey) -> list[Instruction]:
    """Return how the operator makes a mint of one of the two token programs."""
    operator, mint = address(market.operator), address(market.key(name))
    made = CreateAccountParams(
        from_pubkey=operator, to_pubkey=mint, lamports=lamports, space=MINT_LEN, owner=token_program
    )
    begun = InitializeMintParams(
        decimals=6, program_id=token_program, mint=mint, mint_authority=operator, freeze_authority=None
    )
    return [create_account(made), initialize_mint(begun)]


def _mint_rule(market: Market, admin: Pubkey, mint: Pubkey) -> Instruction:
    return calls.set_mint_rule(
        market.program_id,
        admin=admin,
        config=market.at.config(),
        mint_rule=market.at.mint_rule(mint),
        mint=mint,
        allowed=True,
        base_units_per_cent=PER_CENT,
    )


async def _program_data(market: Market) -> ProgramData:
    account = await market.client.account(market.at.program_data())
    assert account is not None
    return ProgramData.decode(account.data)

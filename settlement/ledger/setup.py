"""Makes a deployed program ready: its Config, a test currency, Participants with money, Lines with cover.

Like a deployment every step looks first at what is there and brings it up to what is wanted, never down; so all of it
may be repeated. The lander's payer is the operator: admin of the program and authority of the test mint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from settlement.ledger.deploy import DeployError, account_of, rent_of
from settlement.ledger.minting import make_mint, make_token_account, mint_to
from settlement.ledger.tokens import MINT_BYTES
from settlement.program import instructions
from settlement.program.accounts import Config, Escrow, Line
from settlement.program.addresses import Addresses, token_account
from settlement.program.codec import Record
from settlement.program.constants import ROLE_BATTERY, ROLE_BUYER
from settlement.signing import SignatureKind, signed_bytes
from settlement.statements import Registration
from settlement.transaction import Consent, consent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solders.instruction import Instruction

    from etp.auth import Signer
    from settlement.ledger.landing import Lander

R = TypeVar("R", bound=Record)

FEE_BPS: Final = 50
MIN_BOND: Final = 1_000_000
TIMEOUT_S: Final = 14 * 86_400
BASE_UNITS_PER_CENT: Final = 10_000
DECIMALS: Final = 6
"""Of the test currency, as USDC has them."""
_ROLES: Final = {"battery": ROLE_BATTERY, "buyer": ROLE_BUYER}


@dataclass(frozen=True, slots=True)
class Member:
    """One party: what it is, the wallet that pays or is paid, the key that signs for it."""

    role: str
    """`battery` or `buyer`."""
    wallet: Signer
    identity: Signer


@dataclass(frozen=True, slots=True)
class Place:
    """Where trades are settled: a program and a mint on one cluster."""

    program: Pubkey
    mint: Pubkey
    genesis: bytes

    @property
    def at(self) -> Addresses:
        """The addresses of the program."""
        return Addresses(self.program)


async def initialize(
    lander: Lander,
    program: Pubkey,
    genesis: bytes,
    *,
    treasury: bytes,
    fee_bps: int = FEE_BPS,
    min_bond: int = MIN_BOND,
    timeout_s: int = TIMEOUT_S,
) -> bool:
    """Write the Config; False when it is there. Raises DeployError for one of another cluster or another admin."""
    at = Addresses(program)
    found = await _record(lander, at.config(), Config)
    if found is not None:
        if found.genesis != genesis:
            raise DeployError(f"the Config of {program} is of another cluster: deploy the program anew")
        if found.admin != lander.payer.public_key:
            raise DeployError(f"the Config of {program} obeys {Pubkey.from_bytes(found.admin)}, not this key")
        return False
    written = instructions.initialize(
        program,
        authority=_key(lander.payer),
        config=at.config(),
        program_data=at.program_data(),
        treasury=treasury,
        fee_bps=fee_bps,
        min_bond=min_bond,
        genesis=genesis,
        timeout_s=timeout_s,
    )
    await lander.land([written])
    return True


async def make_currency(lander: Lander, mint: Signer) -> bool:
    """Make a test currency of six decimals; False when it is there."""
    if await account_of(lander, mint.public_key) is not None:
        return False
    operator = _key(lander.payer)
    rent = await rent_of(lander, MINT_BYTES)
    await lander.land(make_mint(operator, _key(mint), operator, DECIMALS, rent), mint)
    return True


async def allow(lander: Lander, place: Place, *, base_units_per_cent: int = BASE_UNITS_PER_CENT) -> bool:
    """Let the program take deposits in the mint; False when it does. The operator's fees get an account."""
    rule = place.at.mint_rule(place.mint)
    if await account_of(lander, bytes(rule)) is not None:
        return False
    operator = _key(lander.payer)
    allowed = instructions.set_mint_rule(
        place.program,
        admin=operator,
        config=place.at.config(),
        mint_rule=rule,
        mint=place.mint,
        allowed=True,
        base_units_per_cent=base_units_per_cent,
    )
    await lander.land([allowed, make_token_account(operator, operator, place.mint)])
    return True


async def fund(lander: Lander, place: Place, wallet: bytes, *, lamports: int, units: int) -> None:
    """Bring a wallet up to so many lamports and its token account, made where it is missing, to so many base units."""
    operator, owner = _key(lander.payer), Pubkey.from_bytes(wallet)
    account = await account_of(lander, wallet)
    short = lamports - (0 if account is None else account.lamports)
    tokens = await account_of(lander, bytes(token_account(owner, place.mint)))
    missing = units - (0 if tokens is None else int.from_bytes(tokens.data[64:72], "little"))
    wanted = []
    if short > 0:
        wanted.append(transfer(TransferParams(from_pubkey=operator, to_pubkey=owner, lamports=short)))
    if tokens is None:
        wanted.append(make_token_account(operator, owner, place.mint))
    if missing > 0:
        wanted.append(mint_to(place.mint, owner, operator, missing))
    if wanted:
        await lander.land(wanted)


async def register(lander: Lander, place: Place, member: Member) -> bool:
    """Make a Participant of a wallet, which pays for its account; False when it is one."""
    participant = place.at.participant(_key(member.wallet))
    if await account_of(lander, bytes(participant)) is not None:
        return False
    statement = Registration(
        program_id=bytes(place.program),
        genesis_hash=place.genesis,
        wallet=member.wallet.public_key,
        key=member.identity.public_key,
    )
    message = signed_bytes(SignatureKind.REGISTRATION, statement.digest)
    proof = consent([Consent(member.identity.public_key, statement.sign(member.identity), message)])
    made = instructions.register(
        place.program,
        wallet=_key(member.wallet),
        config=place.at.config(),
        participant=participant,
        role=_ROLES[member.role],
        signing_key=member.identity.public_key,
    )
    await lander.land([proof, made], member.wallet)
    return True


async def cover(lander: Lander, place: Place, buyer: Signer, batteries: Sequence[bytes], *, units: int) -> None:
    """Bring the Line from a buyer to each battery up to so many base units, out of the buyer's token account."""
    at, wallet = place.at, _key(buyer)
    escrow, participant = at.escrow(wallet, place.mint), at.participant(wallet)
    if await account_of(lander, bytes(escrow)) is None:
        opened = instructions.open_escrow(
            place.program,
            buyer_wallet=wallet,
            buyer=participant,
            escrow=escrow,
            vault=at.vault(escrow),
            mint=place.mint,
        )
        await lander.land([opened], buyer)
    lines = {battery: await _record(lander, at.line(escrow, Pubkey.from_bytes(battery)), Line) for battery in batteries}
    missing = {battery: units - (0 if line is None else line.amount) for battery, line in lines.items()}
    await _deposit(lander, place, buyer, sum(amount for amount in missing.values() if amount > 0))
    for battery, line in lines.items():
        wanted = []
        if line is None:
            wanted.append(_opened(place, wallet, Pubkey.from_bytes(battery)))
        if missing[battery] > 0:
            wanted.append(_allotted(place, wallet, Pubkey.from_bytes(battery), missing[battery]))
        if wanted:
            await lander.land(wanted, buyer)


async def _deposit(lander: Lander, place: Place, buyer: Signer, needed: int) -> None:
    """Bring what is available in a buyer's escrow up to so many base units."""
    at, wallet = place.at, _key(buyer)
    escrow = at.escrow(wallet, place.mint)
    found = await _record(lander, escrow, Escrow)
    short = needed - (0 if found is None else found.available)
    if short <= 0:
        return
    deposited = instructions.deposit(
        place.program,
        buyer_wallet=wallet,
        config=at.config(),
        mint_rule=at.mint_rule(place.mint),
        buyer=at.participant(wallet),
        escrow=escrow,
        vault=at.vault(escrow),
        source=token_account(wallet, place.mint),
        event_authority=at.event_authority(),
        amount=short,
    )
    await lander.land([deposited], buyer)


def _opened(place: Place, buyer: Pubkey, battery: Pubkey) -> Instruction:
    at = place.at
    escrow = at.escrow(buyer, place.mint)
    return instructions.open_line(
        place.program,
        buyer_wallet=buyer,
        buyer=at.participant(buyer),
        battery=at.participant(battery),
        escrow=escrow,
        line=at.line(escrow, battery),
        unpaid=at.unpaid(battery, escrow),
    )


def _allotted(place: Place, buyer: Pubkey, battery: Pubkey, amount: int) -> Instruction:
    at = place.at
    escrow = at.escrow(buyer, place.mint)
    return instructions.allot(
        place.program,
        buyer_wallet=buyer,
        config=at.config(),
        mint_rule=at.mint_rule(place.mint),
        buyer=at.participant(buyer),
        escrow=escrow,
        line=at.line(escrow, battery),
        event_authority=at.event_authority(),
        amount=amount,
    )


async def _record(lander: Lander, key: Pubkey, kind: type[R]) -> R | None:
    account = await account_of(lander, bytes(key))
    return None if account is None else kind.decode(account.data)


def _key(signer: Signer) -> Pubkey:
    return Pubkey.from_bytes(signer.public_key)

"""Makes a deployed program ready: its Config, a test currency, Participants with money, Lines with cover.

Like a deployment every step looks first at what is there and brings it up to what is wanted, never down; so all of it
may be repeated. The lander's payer is the operator: admin of the program and authority of the test mint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from settlement.cluster.deploy import DeployError, account_of, rent_of
from settlement.cluster.minting import make_mint, make_token_account, mint_to
from settlement.cluster.tokens import MINT_BYTES
from settlement.contract import Venue
from settlement.opening import Opening
from settlement.program import instructions
from settlement.program.accounts import Config, Escrow, Line
from settlement.program.addresses import Addresses, token_account
from settlement.program.codec import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auth import Signer
    from settlement.cluster.landing import Lander
    from settlement.signing import Party

R = TypeVar("R", bound=Record)

FEE_BPS: Final = 50
MIN_BOND: Final = 1_000_000
_FOR_BONDS: Final = 20 * MIN_BOND
_TOKEN_AMOUNT: Final = slice(64, 72)
TIMEOUT_S: Final = 14 * 86_400
BASE_UNITS_PER_CENT: Final = 10_000
DECIMALS: Final = 6
"""Of the test currency, as USDC has them."""
_PARTIES: Final[dict[str, Party]] = {"battery": "battery", "buyer": "buyer"}


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

    @property
    def opening(self) -> Opening:
        """The instructions of its parties."""
        return Opening(Venue(program_id=bytes(self.program), genesis_hash=self.genesis, mint=bytes(self.mint)))


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
    wallet = member.wallet.public_key
    if await account_of(lander, bytes(place.at.participant(Pubkey.from_bytes(wallet)))) is not None:
        return False
    await lander.land(place.opening.register(wallet, member.identity, _PARTIES[member.role]), member.wallet)
    return True


async def cover(lander: Lander, place: Place, buyer: Signer, batteries: Sequence[bytes], *, units: int) -> None:
    """Bring the Line from a buyer to each battery up to so many base units, out of the buyer's token account.

    What the account can spare goes into the escrow beside them: a dispute takes its bond from there.
    """
    opening, wallet = place.opening, buyer.public_key
    if await account_of(lander, bytes(opening.escrow(wallet))) is None:
        await lander.land(opening.open_escrow(wallet), buyer)
    lines = {battery: await _record(lander, opening.line(wallet, battery), Line) for battery in batteries}
    missing = {battery: units - (0 if line is None else line.amount) for battery, line in lines.items()}
    escrow = await _record(lander, opening.escrow(wallet), Escrow)
    available = 0 if escrow is None else escrow.available
    short = sum(amount for amount in missing.values() if amount > 0) - available
    if short > 0:
        held = await account_of(lander, bytes(opening.tokens(wallet)))
        spare = 0 if held is None else int.from_bytes(held.data[_TOKEN_AMOUNT], "little") - short
        await lander.land(opening.deposit(wallet, short + max(0, min(spare, _FOR_BONDS))), buyer)
    for battery, line in lines.items():
        opened = opening.open_line(wallet, battery) if line is None else []
        allotted = opening.allot(wallet, battery, missing[battery]) if missing[battery] > 0 else []
        if opened or allotted:
            await lander.land([*opened, *allotted], buyer)


async def _record(lander: Lander, key: Pubkey, kind: type[R]) -> R | None:
    account = await account_of(lander, bytes(key))
    return None if account is None else kind.decode(account.data)


def _key(signer: Signer) -> Pubkey:
    return Pubkey.from_bytes(signer.public_key)

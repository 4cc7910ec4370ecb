"""What the admin, a resolver and whoever brings the fees home ask of a deployed program, and how it stands.

Everything is looked at as confirmed before anything is signed: that the program is there, that its Config is of this
cluster, and that the key at hand may ask for what is wanted.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from solders.pubkey import Pubkey

from settlement.cluster.deploy import account_of, read_program
from settlement.cluster.landing import Lander
from settlement.cluster.listing import records
from settlement.cluster.minting import make_token_account
from settlement.cluster.reach import genesis_of
from settlement.errors import SettlementError
from settlement.exchange import to_base58
from settlement.keys import SeedKey
from settlement.money import amount_of
from settlement.program import instructions
from settlement.program.accounts import Config, Escrow, Line, Trade
from settlement.program.addresses import Addresses, token_account
from settlement.program.codec import Record
from settlement.program.constants import STATE_DISPUTED
from settlement.program.elf import program_elf
from settlement.rpc import HttpTransport, RpcClient
from settlement.values import ZERO

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from solders.instruction import Instruction

    from etp.auth import Signer

R = TypeVar("R", bound=Record)

_NONE: Final = "nobody"


class GoverningError(SettlementError):
    """What is asked cannot be: what is in the way."""


class Swept(NamedTuple):
    """The fees of one escrow on their way home."""

    buyer: str
    mint: str
    units: int
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A dispute as it stands: what may be ruled, Wh."""

    trade_id: bytes
    safe_wh: int
    claimed_wh: int
    buyer_wh: int
    times_out_at_s: int
    """Unix seconds."""
    resolver: str
    price_e4: int
    """c per kWh x 10^4."""
    base_units_per_cent: int

    def as_json(self) -> dict[str, Any]:
        """Return it with what each end would bring the battery, in base units."""
        return {
            **{name: value for name, value in asdict(self).items() if name != "trade_id"},
            "trade_id": self.trade_id.hex(),
            "safe_units": self.units(self.safe_wh),
            "claimed_units": self.units(self.claimed_wh),
        }

    def units(self, energy_wh: int) -> int:
        """Return what the battery gets in all for this energy, base units, bonds left out."""
        return amount_of(self.price_e4, energy_wh, self.base_units_per_cent)


@asynccontextmanager
async def governed(
    url: str, program: bytes, signer: Signer | None = None, *, tell: Callable[[str], None] = lambda _text: None
) -> AsyncIterator[Governed]:
    """Reach a deployed program; without a signer it can only be looked at. Raises GoverningError and RpcError."""
    transport = HttpTransport()
    try:
        genesis = await genesis_of(url, transport)
        client = RpcClient([url], genesis, transport, monotonic_s=time.monotonic, rng=random.SystemRandom())
        nobody = SeedKey(os.urandom(32))
        lander = Lander(client, nobody if signer is None else signer, sleep=asyncio.sleep, tell=tell)
        address = Pubkey.from_bytes(program)
        config = await _read(lander, address, Config, Addresses(address).config())
        if config is None:
            raise GoverningError(f"there is no program {address} with a Config on this cluster")
        if config.genesis != genesis:
            raise GoverningError(f"program {address} was made for another cluster: nothing is signed for it")
        yield Governed(lander, address, config)
    finally:
        await transport.close()


class Governed:
    """One deployed program, reached by one key."""

    def __init__(self, lander: Lander, program: Pubkey, config: Config) -> None:
        self.config = config
        self._lander = lander
        self._program = program
        self._at = Addresses(program)

    async def facts(self) -> dict[str, Any]:
        """Return how the program stands: keys in base58, money in base units, times in seconds."""
        config = self.config
        loaded = await read_program(self._lander, self._program)
        code = b"" if loaded is None else loaded.code
        ours = program_elf()
        fees = [escrow.fees_due for escrow in await self._escrows()]
        return {
            "program_id": str(self._program),
            "genesis": to_base58(config.genesis),
            "admin": to_base58(config.admin),
            "pending_admin": None if config.pending_admin == ZERO else to_base58(config.pending_admin),
            "treasury": to_base58(config.treasury),
            "fee_bps": config.fee_bps,
            "min_bond": config.min_bond,
            "timeout_s": config.timeout_s,
            "paused": config.paused,
            "upgrade_authority": None if loaded is None or loaded.authority is None else to_base58(loaded.authority),
            "sha256": hashlib.sha256(code[: len(ours)]).hexdigest(),
            "is_the_one_that_comes_along": code[: len(ours)] == ours and not any(code[len(ours) :]),
            "fees_due": sum(fees),
        }

    async def pause(self, *, paused: bool) -> str | None:
        """Stop registrations, deposits, allotments and releases, or let them go on; None where that is so already."""
        self._require_admin()
        if self.config.paused == paused:
            return None
        made = instructions.set_pause(self._program, admin=self._key, config=self._at.config(), paused=paused)
        return await self._land(made)

    async def change(self, *, treasury: bytes | None, fee_bps: int | None, min_bond: int | None) -> str | None:
        """Change what later contracts are asked for; what is None stays. None where nothing would change."""
        self._require_admin()
        given: dict[str, Any] = {"treasury": treasury, "fee_bps": fee_bps, "min_bond": min_bond}
        new = replace(self.config, **{name: value for name, value in given.items() if value is not None})
        if new == self.config:
            return None
        made = instructions.set_config(
            self._program,
            admin=self._key,
            config=self._at.config(),
            treasury=new.treasury,
            fee_bps=new.fee_bps,
            min_bond=new.min_bond,
        )
        return await self._land(made)

    async def propose(self, admin: bytes) -> str:
        """Name who may become admin; nobody with 32 zero bytes."""
        self._require_admin()
        made = instructions.propose_admin(self._program, admin=self._key, config=self._at.config(), new_admin=admin)
        return await self._land(made)

    async def accept(self) -> str:
        """Become admin, as the admin has proposed."""
        if self.config.pending_admin != bytes(self._key):
            proposed = _NONE if self.config.pending_admin == ZERO else to_base58(self.config.pending_admin)
            raise GoverningError(f"{self._key} is not proposed as admin: {proposed} is")
        return await self._land(instructions.accept_admin(self._program, new_admin=self._key, config=self._at.config()))

    async def sweep(self) -> AsyncIterator[Swept]:
        """Bring the fees of every escrow to the treasury's token accounts, one after the other; anybody may."""
        for escrow in await self._escrows():
            if not escrow.fees_due:
                continue
            buyer, mint = Pubkey.from_bytes(escrow.buyer_wallet), Pubkey.from_bytes(escrow.mint)
            treasury = Pubkey.from_bytes(self.config.treasury)
            made = instructions.sweep_fees(
                self._program,
                config=self._at.config(),
                buyer=self._at.participant(buyer),
                escrow=self._at.escrow(buyer, mint),
                vault=Pubkey.from_bytes(escrow.vault),
                destination=token_account(treasury, mint),
                event_authority=self._at.event_authority(),
            )
            signature = await self._land(make_token_account(self._key, treasury, mint), made)
            yield Swept(str(buyer), str(mint), escrow.fees_due, signature)

    async def dispute(self, trade_id: bytes) -> Ruling:
        """Return a dispute that is open. Raises GoverningError where there is none."""
        trade = await self._disputed(trade_id)
        return Ruling(
            trade_id=trade_id,
            safe_wh=trade.safe_wh,
            claimed_wh=trade.claimed_wh,
            buyer_wh=trade.buyer_wh,
            times_out_at_s=trade.times_out_at,
            resolver=to_base58(trade.resolver),
            price_e4=trade.price_e4,
            base_units_per_cent=trade.base_units_per_cent,
        )

    async def resolve(self, trade_id: bytes, ruling_wh: int) -> str:
        """Rule on a dispute; the money moves at once. Raises GoverningError."""
        trade = await self._disputed(trade_id)
        if trade.resolver != bytes(self._key):
            raise GoverningError(f"{to_base58(trade.resolver)} rules on this trade, this is the key of {self._key}")
        if not trade.safe_wh <= ruling_wh <= trade.claimed_wh:
            allowed = f"from {trade.safe_wh} (undisputed) to {trade.claimed_wh} (claimed)"
            raise GoverningError(f"{ruling_wh} Wh cannot be ruled: {allowed} Wh can")
        line = await _read(self._lander, self._program, Line, Pubkey.from_bytes(trade.line))
        if line is None:
            raise GoverningError("the trade's Line is not on the ledger")
        battery, buyer = Pubkey.from_bytes(line.battery_wallet), Pubkey.from_bytes(line.buyer_wallet)
        escrow = Pubkey.from_bytes(line.escrow)
        made = instructions.resolve(
            self._program,
            resolver=self._key,
            battery=self._at.participant(battery),
            buyer=self._at.participant(buyer),
            escrow=escrow,
            vault=self._at.vault(escrow),
            line=Pubkey.from_bytes(trade.line),
            trade=self._at.trade(trade_id),
            payee=Pubkey.from_bytes(line.payee),
            unpaid=self._at.unpaid(battery, escrow),
            rent_payer=Pubkey.from_bytes(trade.rent_payer),
            event_authority=self._at.event_authority(),
            ruling_wh=ruling_wh,
        )
        return await self._land(made)

    @property
    def _key(self) -> Pubkey:
        return Pubkey.from_bytes(self._lander.payer.public_key)

    def _require_admin(self) -> None:
        if self.config.admin != bytes(self._key):
            raise GoverningError(f"{to_base58(self.config.admin)} is the admin, this is the key of {self._key}")

    async def _escrows(self) -> list[Escrow]:
        return await records(self._lander, bytes(self._program), Escrow)

    async def _disputed(self, trade_id: bytes) -> Trade:
        trade = await _read(self._lander, self._program, Trade, self._at.trade(trade_id))
        if trade is None or trade.state != STATE_DISPUTED:
            how = "neither claimed nor disputed, or over" if trade is None else "claimed, and nobody disputes it"
            raise GoverningError(f"trade {trade_id.hex()} is {how}")
        return trade

    async def _land(self, *made: Instruction) -> str:
        if await account_of(self._lander, bytes(self._key)) is None:
            raise GoverningError(f"{self._key} has no SOL on this cluster: send it some first")
        return to_base58(await self._lander.land(list(made)))


async def _read(lander: Lander, program: Pubkey, kind: type[R], address: Pubkey) -> R | None:
    account = await account_of(lander, bytes(address))
    if account is None:
        return None
    if account.owner != bytes(program):
        raise GoverningError(f"{address} belongs to another program than {program}")
    return kind.decode(account.data)

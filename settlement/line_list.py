"""All that a buyer has on the ledger: wallet, escrow, and its Lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from solders.pubkey import Pubkey

from settlement.cluster.listing import records
from settlement.exchange import to_base58
from settlement.program.accounts import Escrow, Line
from settlement.registering import account_at, read, require_program

if TYPE_CHECKING:
    from settlement.cluster.landing import Lander
    from settlement.opening import Opening

_TOKEN_AMOUNT: Final = slice(64, 72)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """As confirmed. Money in base units, lines by the battery's wallet in base58."""

    wallet: str
    lamports: int
    tokens: int
    """On the wallet's own token account."""
    escrow: Escrow | None
    lines: tuple[tuple[str, Line], ...]

    def as_json(self) -> dict[str, Any]:
        """Return all of it, keys and hashes in base58 and hex."""
        return {
            "wallet": self.wallet,
            "lamports": self.lamports,
            "tokens": self.tokens,
            "escrow": None if self.escrow is None else _plain(asdict(self.escrow)),
            "lines": [{"battery": battery, **_plain(asdict(line))} for battery, line in self.lines],
        }


async def read_holdings(lander: Lander, opening: Opening) -> Holdings:
    """Return what the lander's wallet has. Raises OpeningError and RpcError."""
    buyer = lander.payer.public_key
    await require_program(lander, opening)
    account = await account_at(lander, Pubkey.from_bytes(buyer))
    tokens = await account_at(lander, opening.tokens(buyer))
    venue = opening.venue
    lines = await records(lander, venue.program_id, Line, buyer_wallet=buyer, mint=venue.mint)
    return Holdings(
        wallet=to_base58(buyer),
        lamports=0 if account is None else account.lamports,
        tokens=0 if tokens is None else int.from_bytes(tokens.data[_TOKEN_AMOUNT], "little"),
        escrow=await read(lander, opening, Escrow, opening.escrow(buyer)),
        lines=tuple(sorted((to_base58(line.battery_wallet), line) for line in lines)),
    )


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: to_base58(value) if isinstance(value, bytes) else value for name, value in fields.items()}

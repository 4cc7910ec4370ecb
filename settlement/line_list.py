"""All that a buyer has on the ledger: wallet, escrow, and its Lines."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from solders.pubkey import Pubkey

from settlement.exchange import to_base58
from settlement.program.accounts import Escrow, Line
from settlement.program.codec import LayoutError
from settlement.program.layout import offsets
from settlement.program.schema import ACCOUNTS
from settlement.registering import account_at, read, require_program
from settlement.rpc import Question

if TYPE_CHECKING:
    from settlement.cluster.landing import Lander
    from settlement.opening import Opening

LINES_MAX: Final = 10_000
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
    return Holdings(
        wallet=to_base58(buyer),
        lamports=0 if account is None else account.lamports,
        tokens=0 if tokens is None else int.from_bytes(tokens.data[_TOKEN_AMOUNT], "little"),
        escrow=await read(lander, opening, Escrow, opening.escrow(buyer)),
        lines=tuple(sorted((to_base58(line.battery_wallet), line) for line in await _lines(lander, opening, buyer))),
    )


async def _lines(lander: Lander, opening: Opening, buyer: bytes) -> list[Line]:
    filters = [
        {"dataSize": Line.SIZE},
        {"memcmp": {"offset": 0, "bytes": to_base58(Line.DISCRIMINATOR)}},
        {"memcmp": {"offset": _AT["buyer_wallet"], "bytes": to_base58(buyer)}},
        {"memcmp": {"offset": _AT["mint"], "bytes": to_base58(opening.venue.mint)}},
    ]
    options = {"commitment": "confirmed", "encoding": "base64", "filters": filters}
    asked = Question("getProgramAccounts", [to_base58(opening.venue.program_id), options], _accounts_in)
    found: list[Line] = await lander.patiently(lambda: lander.client.call(asked))
    return found


def _accounts_in(value: object) -> list[Line]:
    """Read the answer to getProgramAccounts. Raises ValueError."""
    if not isinstance(value, list) or len(value) > LINES_MAX:
        raise ValueError(f"no list of up to {LINES_MAX} accounts")
    try:
        return [Line.decode(base64.b64decode(item["account"]["data"][0], validate=True)) for item in value]
    except (KeyError, IndexError, TypeError, ValueError, LayoutError) as error:
        raise ValueError(f"an account that cannot be read: {error!r}") from error


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: to_base58(value) if isinstance(value, bytes) else value for name, value in fields.items()}


_AT: Final = offsets(next(account.fields for account in ACCOUNTS if account.name == "Line"))

"""Follows the ledger from outside: every transaction of the program, and what lies in wallets, vaults and Lines."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from solders.pubkey import Pubkey

from cli.demo_stage.errors import ChildError
from cli.demo_stage.payments import Balances
from settlement.base58 import from_base58
from settlement.contract import Venue
from settlement.errors import SettlementError
from settlement.exchange import to_base58
from settlement.opening import Opening
from settlement.program.accounts import Escrow, Line
from settlement.program.history import read_transaction
from settlement.rpc import HttpTransport, Question, RpcClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.demo_stage.book import Book
    from settlement.rpc import Account

LOOK_EVERY_S: Final = 0.5
_PAGE: Final = 1_000
_TOKEN_AMOUNT: Final = slice(64, 72)
_COMMITMENT: Final = "confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """The ledger of this demo, as its ready line names it."""

    rpc: str
    genesis: str
    program: str
    mint: str

    @property
    def venue(self) -> Venue:
        """Program, cluster and mint."""
        found = {name: from_base58(getattr(self, name), field=name) for name in ("program", "genesis", "mint")}
        return Venue(program_id=found["program"], genesis_hash=found["genesis"], mint=found["mint"])


class Cashbook:
    """Keeps the book in line with the ledger until cancelled. Wallets are 32 bytes, by site and by buyer."""

    def __init__(self, bank: Bank, book: Book, *, sites: Mapping[str, bytes], buyers: Mapping[str, bytes]) -> None:
        self._book = book
        self._opening = Opening(bank.venue)
        self._program = bank.program
        self._sites = dict(sites)
        self._buyers = dict(buyers)
        self._transport = HttpTransport()
        self._client = RpcClient(
            [bank.rpc],
            bank.venue.genesis_hash,
            self._transport,
            monotonic_s=time.monotonic,
            rng=random.Random(),  # noqa: S311 - jitter of back-offs
        )
        self._latest: str | None = None

    async def follow(self) -> None:
        """Look again and again. Raises ChildError when the ledger does not answer."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take in what has happened since the last look, and what lies where now. Raises ChildError."""
        try:
            for signature in await self._news():
                told = await self._transaction(signature)
                self._book.ledger_event(read_transaction(told, self._opening.program_id))
                self._latest = signature
            self._book.ledger_balances(await self._balances())
        except SettlementError as error:
            raise ChildError("ledger", str(error)) from error

    async def close(self) -> None:
        """Disconnect."""
        await self._transport.close()

    async def _news(self) -> list[str]:
        """Return the signatures that are new, the oldest first."""
        found: list[str] = []
        before: str | None = None
        while True:
            options: dict[str, Any] = {"commitment": _COMMITMENT, "limit": _PAGE}
            options |= {"until": self._latest} if self._latest else {}
            options |= {"before": before} if before else {}
            page = await self._ask("getSignaturesForAddress", self._program, options)
            found += [item["signature"] for item in page]
            if len(page) < _PAGE:
                return found[::-1]
            before = found[-1]

    async def _transaction(self, signature: str) -> dict[str, Any]:
        options = {"commitment": _COMMITMENT, "encoding": "json", "maxSupportedTransactionVersion": 0}
        told: dict[str, Any] = await self._ask("getTransaction", signature, options)
        return told

    async def _ask(self, method: str, *params: Any) -> Any:
        return await self._client.call(Question(method, list(params), lambda value: value))

    async def _balances(self) -> Balances:
        opening = self._opening
        wallets = {**self._sites, **self._buyers}
        pairs = [(buyer, site) for buyer in self._buyers for site in self._sites]
        escrows = {buyer: opening.escrow(wallet) for buyer, wallet in self._buyers.items()}
        asked: dict[tuple[str, object], Pubkey] = {}
        for name, wallet in wallets.items():
            asked["wallet", name] = Pubkey.from_bytes(wallet)
            asked["tokens", name] = opening.tokens(wallet)
        for buyer, site in pairs:
            asked["line", (buyer, site)] = opening.line(self._buyers[buyer], self._sites[site])
        for buyer, escrow in escrows.items():
            asked["escrow", buyer] = escrow
            asked["vault", buyer] = opening.at.vault(escrow)
        answer = await self._client.accounts([bytes(key) for key in asked.values()], _COMMITMENT)
        found = dict(zip(asked, answer.values, strict=True))
        held = {buyer: _escrow(found["escrow", buyer]) for buyer in self._buyers}
        return Balances(
            tokens={name: _tokens(found["tokens", name]) for name in wallets},
            lamports={name: _lamports(found["wallet", name]) for name in wallets},
            lines={pair: _line(found["line", pair]) for pair in pairs},
            vaults={buyer: _tokens(found["vault", buyer]) for buyer in self._buyers},
            owed={buyer: _owed(escrow) for buyer, escrow in held.items()},
            fees=sum(escrow.fees_due for escrow in held.values() if escrow is not None),
        )


def explorer_name(signature: str) -> str:
    """Return a transaction's name short enough for a line of the view."""
    return f"{signature[:8]}.." if signature else "-"


def address(wallet: bytes) -> str:
    """Return a wallet as people paste it."""
    return to_base58(wallet)


def _tokens(account: Account | None) -> int:
    return 0 if account is None else int.from_bytes(account.data[_TOKEN_AMOUNT], "little")


def _lamports(account: Account | None) -> int:
    return 0 if account is None else account.lamports


def _line(account: Account | None) -> int:
    return 0 if account is None else Line.decode(account.data).amount


def _escrow(account: Account | None) -> Escrow | None:
    return None if account is None else Escrow.decode(account.data)


def _owed(escrow: Escrow | None) -> int:
    if escrow is None:
        return 0
    return escrow.available + escrow.allotted + escrow.bonds + escrow.fees_due + escrow.unpaid

"""What the ledger says of every trade, and what lies where: read from its transactions, not from what agents say. Pure.

Money is in base units of the test currency, `units` are the compute units that a transaction used.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from settlement.program import events
from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, HOW_RESOLVED, HOW_TIMED_OUT

if TYPE_CHECKING:
    from settlement.program.history import Happened

PER_CENT: Final = 10_000
"""Base units of a cent: the test currency has six decimals."""
KEPT: Final = 2_000
HOW: Final = {
    HOW_COSIGNED: "co-signed",
    HOW_FINALIZED: "claimed",
    HOW_RESOLVED: "resolved",
    HOW_TIMED_OUT: "timed out",
}


@dataclass(slots=True, kw_only=True)
class Payment:
    """One trade on the ledger. `None` = has not happened (yet)."""

    trade_id: str
    stage: str = "promised"
    """Then settled, or claimed, perhaps disputed, and settled."""
    how: str | None = None
    delivered_wh: int | None = None
    reserved: int | None = None
    payout: int | None = None
    fee: int | None = None
    returned: int | None = None
    unpaid: int | None = None
    units: int = 0
    """Of all its transactions."""
    signatures: list[str] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether it is over on the ledger."""
        return self.stage == "settled"

    def as_json(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Balances:
    """What lies where at one moment."""

    tokens: dict[str, int]
    """By the name of a site or buyer: on its wallet's token account."""
    lamports: dict[str, int]
    lines: dict[tuple[str, str], int]
    """By buyer and site."""
    vaults: dict[str, int]
    """By buyer: what its vault holds."""
    owed: dict[str, int]
    """By buyer: what its escrow says that the vault must hold."""
    fees: int
    """Due to the treasury, in all."""


@dataclass(slots=True)
class Payments:
    """All of it, by trade id in hex; the oldest are forgotten beyond KEPT."""

    known: OrderedDict[str, Payment] = field(default_factory=OrderedDict)
    settled: int = 0
    claimed: int = 0
    disputed: int = 0
    payout: int = 0
    fee: int = 0
    units: int = 0
    """Of all settled trades."""
    last_signature: str = ""
    balances: Balances | None = None
    """As of the last look."""
    first: Balances | None = None
    """As of the first look, before anybody traded."""

    def promised(self, trade_id: str) -> Payment:
        """Return what is known of a trade, noted when it is new."""
        payment = self.known.get(trade_id)
        if payment is None:
            payment = self.known[trade_id] = Payment(trade_id=trade_id)
            if len(self.known) > KEPT:
                self.known.popitem(last=False)
        return payment

    def take(self, happened: Happened) -> list[Payment]:
        """Take in a transaction of the program; return the trades that it moved."""
        moved: list[Payment] = []
        for event in happened.events if happened.error is None else ():
            match event:
                case events.Claimed():
                    moved.append(self._note(event.trade_id, "claimed", happened))
                    moved[-1].reserved = event.reserved
                    self.claimed += 1
                case events.Disputed():
                    moved.append(self._note(event.trade_id, "disputed", happened))
                    self.disputed += 1
                case events.Settled():
                    moved.append(self._note(event.trade_id, "settled", happened))
                    self._settled(event, moved[-1])
        return moved

    def _note(self, trade_id: bytes, stage: str, happened: Happened) -> Payment:
        payment = self.promised(trade_id.hex())
        payment.stage = stage
        payment.units += happened.units
        payment.signatures.append(happened.signature)
        self.last_signature = happened.signature
        return payment

    def _settled(self, event: events.Settled, payment: Payment) -> None:
        payment.how = HOW.get(event.how, str(event.how))
        payment.delivered_wh = event.delivered_wh
        payment.reserved, payment.returned = event.reserved, event.returned
        payment.payout, payment.fee, payment.unpaid = event.payout, event.fee, event.unpaid
        self.settled += 1
        self.payout += event.payout
        self.fee += event.fee
        self.units += payment.units


def money(units: int) -> str:
    """Return base units in words: four digits after the point of a whole unit of the currency."""
    return f"{units / PER_CENT / 100:.4f}"

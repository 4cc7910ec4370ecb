"""What a settler is told, and what it tells: light values, for rooms that must not load what a ledger needs.

Money is in base units of the mint, lamports are lamports, times are seconds of the ledger's clock, wallets 32 bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from settlement.errors import TermsError
from settlement.exchange import to_base58

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from settlement.contract import Contract, Venue
    from settlement.signing import Party

ENDPOINTS_MAX: Final = 8
LOW_LAMPORTS: Final = 10_000_000
"""0.01 SOL: about three claims, whose rent comes back, or a thousand settlements."""
POLL_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlerSettings:
    """How one party settles. Raises TermsError for what cannot be."""

    role: Party
    rpc: tuple[str, ...]
    """Endpoints, the preferred one first."""
    venue: Venue
    outbox: Path
    cosign_wait_s: int = 600
    """How long after the end of a delivery a battery waits for the buyer before it acts alone."""
    tolerance_wh: int = 20
    tolerance_percent: int = 2
    """By how much a claim may exceed what the buyer saw before it is disputed: the larger of the two."""
    poll_s: float = POLL_S
    """Between two looks at the ledger; shorter by itself while a dispute window is."""
    low_lamports: int = LOW_LAMPORTS

    def __post_init__(self) -> None:
        if not 1 <= len(self.rpc) <= ENDPOINTS_MAX or len(set(self.rpc)) != len(self.rpc):
            raise TermsError("rpc", f"1 to {ENDPOINTS_MAX} different endpoints belong here")
        for url in self.rpc:
            check_endpoint(url)
        if self.role not in ("battery", "buyer"):
            raise TermsError("role", f"{self.role!r} is neither battery nor buyer")
        for name in ("cosign_wait_s", "tolerance_wh", "tolerance_percent", "poll_s", "low_lamports"):
            if getattr(self, name) < 0:
                raise TermsError(name, "below zero")


def check_endpoint(url: str) -> None:
    """Raise TermsError unless this is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise TermsError("rpc", "an endpoint is a URL such as https://api.devnet.solana.com")


class Stage(Enum):
    """How far a cheque is on its way to money."""

    WAITING = "waiting"
    """For its end, a receipt, a co-signature, or a time."""
    SETTLING = "settling"
    CLAIMING = "claiming"
    CLAIMED = "claimed"
    """On the ledger; the buyer may dispute it until its window ends."""
    DISPUTED = "disputed"
    SETTLED = "settled"
    """Paid, for good."""
    EXPIRED = "expired"
    """No claim is possible any more; a co-signature would still settle it."""
    LOST = "lost"
    """Its number was spent without paying it, or its Line is gone."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more is due."""
        return self in (Stage.SETTLED, Stage.EXPIRED, Stage.LOST)

    @property
    def is_given_up(self) -> bool:
        """Whether it ended without being paid."""
        return self in (Stage.EXPIRED, Stage.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """One cheque as its settler sees it."""

    trade_id: bytes
    role: Party
    contract: Contract
    stage: Stage
    delivered_wh: int | None = None
    """Paid for, once settled; before, what the final receipt says."""
    payout: int | None = None
    fee: int | None = None
    returned: int | None = None
    """Known once settled, as the ledger itself reports them; with the fee they make up the reserve."""
    unpaid: int = 0
    """Of the payout, what the battery's token account could not take and waits to be collected."""
    how: str | None = None
    """co-signed, finalized, resolved or timed out."""
    signature: str | None = None
    """Of the transaction that ended it, else of the last that was sent for it; base58."""
    problem: str | None = None
    due_at_s: int | None = None
    """When the settler acts next; None: when something happens."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more is due."""
        return self.stage.is_done


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """One endpoint, without what may be secret in its URL."""

    url: str
    is_ready: bool
    """Whether it may be asked now."""
    failures: int
    """In a row."""
    latency_ms: int
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlerSnapshot:
    """A settler at one moment."""

    state: str
    """starting, connected, offline, wrong cluster or halted."""
    problem: str | None
    endpoints: tuple[EndpointView, ...]
    wallet: str
    """Base58."""
    lamports: int | None
    tokens: int | None
    """In the wallet's own account for the mint; None: not read yet, or there is none."""
    low_sol: bool | None
    can_pay_claim: bool | None
    slot: int
    chain_now_s: int | None
    read_age_s: float | None
    """Seconds since the finalized state was read."""
    open_trades: int
    in_flight: int
    """Transactions that were sent and are not final."""
    stages: Mapping[str, int] = field(default_factory=dict)
    """Trades by stage, since the outbox was begun."""
    uncashed: int = 0
    """Reserves of the open cheques together."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "stages": dict(self.stages)}


class EventKind(Enum):
    """What happened."""

    CHEQUE_REFUSED = "cheque_refused"
    TRADE_MOVED = "trade_moved"
    CLAIM_UNJUDGED = "claim_unjudged"
    """The battery claims, the window ends soon, and nobody has said what the buyer saw."""
    TRANSACTION_SENT = "transaction_sent"
    TRANSACTION_FAILED = "transaction_failed"
    ENDPOINT_FAILED = "endpoint_failed"
    ENDPOINT_RECOVERED = "endpoint_recovered"
    CONNECTED = "connected"
    OFFLINE = "offline"
    WRONG_CLUSTER = "wrong_cluster"
    LOW_SOL = "low_sol"
    CANNOT_PAY_CLAIM = "cannot_pay_claim"
    CAN_PAY_CLAIM = "can_pay_claim"
    LINE_CHANGED = "line_changed"
    OUTBOX_FAILED = "outbox_failed"
    OUTBOX_RECOVERED = "outbox_recovered"


@dataclass(frozen=True, slots=True)
class SettlerEvent:
    """Something for the log: a kind and fields that JSON can hold."""

    kind: EventKind
    fields: Mapping[str, Any] = field(default_factory=dict)


def wallet_text(wallet: bytes) -> str:
    """Return a wallet as people see it."""
    return to_base58(wallet)

"""What the demo remembers of its market: sites, lots, trades, and what buyers said; values without behaviour of trade.

Times named `_at_ms` are on this machine's monotonic clock, which all its processes share. Prices in 1/10 000 c/kWh.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Final

LADDER_STEPS: Final = 200
"""Bids of one lot that are kept for the view."""


@dataclass(slots=True, kw_only=True)
class Lot:
    """One lot: what was offered, who bid, how it ended (`closed` = "" while it is open)."""

    battery: str
    lot_id: int
    energy_wh: int
    power_w: int
    reserve_e4: int
    bids: int = 0
    sold_wh: int = 0
    closed: str = ""
    beat_e4: int | None = None
    bidders: set[str] = field(default_factory=set)
    ladder: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=LADDER_STEPS))
    """Bidder and price of the latest bids, in the order they arrived."""
    first_acceptable_e4: int | None = None
    winner: str = ""
    price_e4: int | None = None


@dataclass(slots=True, kw_only=True)
class Trade:
    """One trade, from the Bid to the last Wh. `None` = has not happened (yet)."""

    battery: str
    aggregator: str
    peer: str
    bid_id: int
    lot_id: int
    price_e4: int
    reserve_e4: int
    first_acceptable_e4: int
    bidders: int
    energy_wh: int
    power_w: int
    asked_at_ms: int
    awarded_at_ms: int
    confirmed_at_ms: int
    on_disk_at_ms: int
    first_setpoint_at_ms: int | None = None
    ended_at_ms: int | None = None
    end_code: int | None = None
    end_reason: str = ""
    delivered_wh: int | None = None
    derived: bool | None = None
    metered_wh: float | None = None
    buyer_wh: int | None = None
    trade_id: str = ""
    """Its name on the ledger, in hex."""

    def as_json(self) -> dict[str, Any]:
        """Return the trade as the report has it."""
        row = asdict(self)
        if self.metered_wh is not None:
            row["metered_wh"] = round(self.metered_wh, 3)
        return row


@dataclass(slots=True, kw_only=True)
class Site:
    """One site as it is now: what its agent shows, and the truth of its battery."""

    name: str
    capacity_wh: int
    power_w: int
    floor_permille: int
    endpoint: str = ""
    snapshot: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    soc_least_permille: float = 1_000.0
    lots: int = 0
    accepts: set[tuple[str, int]] = field(default_factory=set)
    alarms: list[str] = field(default_factory=list)
    events_lost: int = 0


@dataclass(slots=True, kw_only=True)
class Buyer:
    """One aggregator: what it did, as it says itself."""

    name: str
    strategy: str
    bids: int = 0
    refused: int = 0
    won: int = 0
    bought_wh: int = 0
    spent: int = 0
    """price_e4 x Wh of its trades."""
    unanswered: int = 0

"""The auction rules as one pure state machine: `(state, event, now) -> (state, effects)` (ETP section 6).

Lives here: what a bid is worth, who is refused at once and with which price to beat, who wins and when, and everything
about lots, shields and frozen terms that follows from the bids alone. Never here: a clock, a socket, randomness, a
journal, reputation, or energy accounting; the desk hands in `now_ms` and performs the effects. Any room may import it,
by these names only; it imports `etp.errors`, `etp.messages` and `etp.units`.

Rules: standing_bid (default), sealed_first, sealed_second, ascending_clock, first_acceptable.
"""

from etp.auction.machine import Auction, refuse_all, step
from etp.auction.rule import Rule
from etp.auction.types import (
    NEVER_MS,
    AuctionError,
    Award,
    Bid,
    Bids,
    BookChanged,
    Confirmed,
    Effect,
    Effects,
    Event,
    Lot,
    LotClosed,
    Open,
    PeerGone,
    Refuse,
    Retune,
    Returned,
    Shield,
    Shrink,
    Terms,
    Tick,
    Unconfirmed,
    Voided,
    Withdraw,
)
from etp.auction.views import (
    RULES,
    LotStats,
    Standing,
    least_energy,
    new_auction,
    next_deadline,
    open_energy,
    open_power,
    own_price,
    quote,
    standing,
    stats,
)
from etp.auction.worth import best_subset

__all__ = [
    "NEVER_MS",
    "RULES",
    "Auction",
    "AuctionError",
    "Award",
    "Bid",
    "Bids",
    "BookChanged",
    "Confirmed",
    "Effect",
    "Effects",
    "Event",
    "Lot",
    "LotClosed",
    "LotStats",
    "Open",
    "PeerGone",
    "Refuse",
    "Retune",
    "Returned",
    "Rule",
    "Shield",
    "Shrink",
    "Standing",
    "Terms",
    "Tick",
    "Unconfirmed",
    "Voided",
    "Withdraw",
    "best_subset",
    "least_energy",
    "new_auction",
    "next_deadline",
    "open_energy",
    "open_power",
    "own_price",
    "quote",
    "refuse_all",
    "standing",
    "stats",
    "step",
]

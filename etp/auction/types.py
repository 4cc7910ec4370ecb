"""What goes into the auction and what comes out: terms, lots, bids, events and effects (ETP section 6).

Everything here is immutable. Prices are `price_e4` (1/10 000 c/kWh, whole ticks of 100), quantities `energy_wh` (whole
steps of 100), powers positive magnitudes in W, times monotonic milliseconds. What is made for each frame or lot is a
named tuple, which costs a fifth; the rest are frozen dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from etp.errors import EtpError
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4

NEVER_MS: Final = 1 << 62


class AuctionError(EtpError):
    """An event or value that no correct desk can hand in: an impossible term, a second open lot, an unknown award."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the owner asks: frozen from a lot's first admissible bid until the lot is empty.

    `keep_e4` None means the reserve. `doubling` is the number of whole-lot improvements after which the increment
    doubles (0 = never). `min_power_w` is the smallest power that the device can deliver. Raises AuctionError.
    """

    reserve_e4: int
    keep_e4: int | None = None
    increment_e4: int = 1_000
    doubling: int = 32
    standing_ms: int = 400
    price_cap_e4: int = 20_300_000
    max_standing: int = 64
    shield_ms: int = 2_000
    min_power_w: int = 0

    def __post_init__(self) -> None:
        """Refuse terms under which the rules of section 6 have no meaning."""
        keep_e4 = self.reserve_e4 if self.keep_e4 is None else self.keep_e4
        _require("reserve_e4", self.reserve_e4, self.reserve_e4 >= 0 and self.reserve_e4 % PRICE_TICK_E4 == 0)
        _require(
            "keep_e4", keep_e4, 0 <= keep_e4 <= max(self.reserve_e4, PRICE_TICK_E4) and keep_e4 % PRICE_TICK_E4 == 0
        )
        _require("increment_e4", self.increment_e4, self.increment_e4 > 0 and self.increment_e4 % PRICE_TICK_E4 == 0)
        _require("doubling", self.doubling, self.doubling >= 0)
        _require("standing_ms", self.standing_ms, self.standing_ms > 0)
        _require("price_cap_e4", self.price_cap_e4, self.price_cap_e4 >= self.reserve_e4)
        _require("max_standing", self.max_standing, self.max_standing > 0)
        _require("shield_ms", self.shield_ms, self.shield_ms >= 0)
        _require("min_power_w", self.min_power_w, self.min_power_w >= 0)

    @property
    def base_e4(self) -> int:
        """The price at which a bid is worth nothing: keep less one tick."""
        return (self.reserve_e4 if self.keep_e4 is None else self.keep_e4) - PRICE_TICK_E4


class Shield(NamedTuple):
    """A price below which bids get code 4 while `now < until_ms`, left behind by a winner who did not confirm."""

    price_e4: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A quantity and a power to sell together; `energy_wh` is rounded down to 0.1 kWh. Raises AuctionError."""

    lot_id: int
    energy_wh: int
    power_w: int
    seed: bytes
    terms: Terms
    shield: Shield | None = None

    def __post_init__(self) -> None:
        """Refuse a lot that nobody could buy."""
        _require("energy_wh", self.energy_wh, self.energy_wh >= ENERGY_STEP_WH)
        _require("power_w", self.power_w, self.power_w >= (self.terms.min_power_w or 1))


class Bid(NamedTuple):
    """One bid; `covered` is the desk's word that the buyer's collateral carries it."""

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    covered: bool = True


@dataclass(frozen=True, slots=True)
class Open:
    """Put a lot up for sale; an error while another is open."""

    lot: Lot


class Bids(NamedTuple):
    """All bids that carry the same `now`."""

    bids: tuple[Bid, ...]


@dataclass(frozen=True, slots=True)
class PeerGone:
    """A peer's connection closed: its standing bid leaves and counts as unconfirmed."""

    peer: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The Confirm of an award is on disk."""

    peer: str
    bid_id: int


@dataclass(frozen=True, slots=True)
class Voided:
    """An award will not become a trade; with `blame` because its buyer did not confirm (raises the shield)."""

    peer: str
    bid_id: int
    blame: bool


@dataclass(frozen=True, slots=True)
class Shrink:
    """At most this much of the lot is still to be had (awards not counted); the lot never grows."""

    energy_wh: int
    power_w: int


@dataclass(frozen=True, slots=True)
class Retune:
    """New terms: taken over at once without a lot or with an empty one, else as soon as the lot is empty."""

    terms: Terms


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Close the lot; standing bids are refused with `code`."""

    code: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event: TypeAlias = Open | Bids | PeerGone | Confirmed | Voided | Shrink | Retune | Withdraw | Tick


class Refuse(NamedTuple):
    """Answer a bid with BidReject: reason code and price to beat; `least_wh` > 0 names the smallest quantity sold."""

    peer: str
    bid_id: int
    code: int
    beat_e4: int
    least_wh: int = 0


class Award(NamedTuple):
    """Answer a bid with BidAccept, once its record is on disk."""

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    power_w: int
    lot_id: int
    distinct_bidders: int
    first_acceptable_e4: int
    reserve_e4: int
    increment_e4: int


@dataclass(frozen=True, slots=True)
class BookChanged:
    """The price to beat may have moved: push quotes."""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A standing bid left with its peer's connection: it counts against the peer like an unconfirmed award."""

    peer: str
    bid_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A voided award's lot is closed: its quantity and power belong to the next lot (which has the shield already)."""

    lot_id: int
    energy_wh: int
    power_w: int
    shield: Shield | None


class LotClosed(NamedTuple):
    """The lot is over: `sold`, `cleared` (a collecting rule), `too_small` (nobody can buy the rest) or `withdrawn`."""

    lot_id: int
    reason: str
    sold_wh: int
    unsold_wh: int
    entered: int
    distinct_bidders: int
    first_acceptable_e4: int | None
    increment_e4: int
    improvements: int = 0


Effect: TypeAlias = Refuse | Award | BookChanged | Unconfirmed | Returned | LotClosed
Effects: TypeAlias = tuple[Effect, ...]


def _require(name: str, value: int, holds: bool) -> None:
    if not holds:
        raise AuctionError(f"{name} = {value} is outside what an auction allows")

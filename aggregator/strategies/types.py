"""What a strategy sees, remembers and answers; the one interface all of them have.

A strategy is a frozen value with its parameters. What it learns is a `Mind`, handed in and handed back, so that the
caller may keep one for each battery, copy it, or replay it. Chance is a `Draws`: a number in [0, 1) for a purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from etp.units import PRICE_TICK_E4

Draws = Callable[[str], float]
"""A uniform draw in [0, 1) for a named purpose; the caller decides which stream it comes from."""


class LotView(NamedTuple):
    """One lot as its buyer sees it, prices in 1/10 000 c/kWh."""

    beat_e4: int
    """The price to beat, quoted for `want_wh`."""
    floor_e4: int
    """The price to beat with nobody else in the lot, as far as this buyer has seen: the reserve."""
    want_wh: int
    """What the buyer would bid for."""
    value_e4: int
    """What a kWh is worth to this buyer now, after pacing and the battery's reputation; never paid more."""
    common_e4: int
    """The part of the value that every buyer shares; never shaded."""
    own_e4: int = 0
    """The buyer's own standing price in this lot, 0 = none."""
    lost_e4: int = 0
    """The highest own price outbid in this lot, 0 = none."""
    bidders: int = 2
    """Estimated number of buyers in the market, this one included."""
    better_later_permille: int = 0
    """The share of the forecast's horizon in which a kWh is worth more than now."""
    sealed: bool = False
    """Whether the rule takes one limit price and answers at its clearing, rather than showing a price to beat."""
    improve: bool = False
    """Whether to bid although an own bid stands."""

    @property
    def contested(self) -> bool:
        """Whether somebody else has been seen in this lot."""
        return self.lost_e4 > 0 or self.beat_e4 > self.floor_e4

    @property
    def unrivalled(self) -> bool:
        """Whether the price to beat is shown and nobody else has been seen: no higher price buys anything."""
        return not (self.sealed or self.contested)


class Why(Enum):
    """Why a strategy bids, or does not."""

    BID = "bid"
    OWN_BID_STANDS = "own bid stands"
    ABOVE_LIMIT = "price to beat above limit"
    NOTHING_WANTED = "nothing wanted"
    WAITING = "waiting for a better time"


class Decision(NamedTuple):
    """A price to bid now, or None and why; `limit_e4` is what the strategy would at most have paid."""

    price_e4: int | None
    why: Why
    limit_e4: int = 0


class Outcome(NamedTuple):
    """How one bid ended: won at `paid_e4`, or outbid."""

    won: bool
    price_e4: int
    """The price that was bid."""
    beat_e4: int
    """The price to beat when it was bid."""
    value_e4: int
    paid_e4: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """What a buyer learned; each adaptive strategy uses the fields with its name and leaves the others alone."""

    zip_margin: float | None = None
    """ZIP: the share of the value kept as profit, in [0, 1); None = the strategy's own start."""
    zip_push: float = 0.0
    """ZIP: the running change of the shout price (momentum), in 1/10 000 c/kWh."""
    win_bias: float | None = None
    """Win rate: log odds of winning at the price to beat; None = the strategy's own start."""
    win_slope: float | None = None
    """Win rate: log odds gained per c/kWh above the price to beat."""


NEW_MIND = Mind()


class Strategy(Protocol):
    """How a buyer turns a lot into a bid. Pure: the same arguments give the same answer."""

    @property
    def name(self) -> str:
        """The name that a configuration file uses."""
        ...

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:
        """Return what to do about a lot now, and what was learned from looking at it."""
        ...

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:
        """Return what was learned from a bid that was won or outbid."""
        ...


def floor_tick(price_e4: float) -> int:
    """Return the highest whole tick not above a price; negative prices give 0, which is below every reserve."""
    return max(0, int(price_e4 // PRICE_TICK_E4)) * PRICE_TICK_E4


def held_back(view: LotView) -> Decision | None:
    """Return why no strategy may bid here, or None: an own bid stands, or there is nothing to buy."""
    if view.own_e4 > 0 and not view.improve:
        return Decision(None, Why.OWN_BID_STANDS)
    if view.want_wh <= 0:
        return Decision(None, Why.NOTHING_WANTED)
    return None


def at_most(view: LotView, limit_e4: float, price_e4: float | None = None) -> Decision:
    """Return a bid at `price_e4` (default: the price to beat), never below the price to beat nor above the limit.

    The limit is cut to the buyer's value. Under a sealed rule the limit itself is bid.
    """
    limit = floor_tick(min(limit_e4, view.value_e4))
    if limit < view.beat_e4 or limit <= 0:
        return Decision(None, Why.ABOVE_LIMIT, limit)
    if view.sealed and price_e4 is None:
        return Decision(limit, Why.BID, limit)
    wanted = view.beat_e4 if price_e4 is None else floor_tick(price_e4)
    return Decision(min(limit, max(view.beat_e4, wanted)), Why.BID, limit)

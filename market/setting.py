"""What a study asks and what it is told: settings, buyers, outcomes.

Prices are `price_e4` (1/10 000 c/kWh) on the grid of 100, quantities `wh` on the grid of 100 Wh, money is
`price_e4 * wh`, times are ms after the lot opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auction import RULES, AuctionError, Terms
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4
from market.errors import StudyError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

LOT_MAX_WH: Final = 1_000_000
PRICE_MAX_E4: Final = 10**12
BUYERS_MAX: Final = 64
"""As many bids as stand in a lot."""
WAY_MAX_MS: Final = 60_000


@dataclass(frozen=True)
class Setting:
    """The auction under study. Raises StudyError naming the key.

    `keep_e4` None = the reserve; one tick (100) makes the value of a set of bids the plain sum of price x quantity.
    `drop` is the probability that a message is never heard, `loss` that a transmission stalls its link (`links.py`).
    """

    rule: str
    lot_wh: int
    reserve_e4: int
    keep_e4: int | None = None
    increment_e4: int = 1_000
    doubling: int = 32
    standing_ms: int = 400
    price_cap_e4: int = 20_300_000
    drop: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no auction could be held under."""
        if not isinstance(self.rule, str) or self.rule not in RULES:
            raise StudyError("rule", f"{shown(self.rule)} is not one of {', '.join(RULES)}")
        whole("lot_wh", self.lot_wh, least=ENERGY_STEP_WH, most=LOT_MAX_WH, step=ENERGY_STEP_WH)
        whole("price_cap_e4", self.price_cap_e4, least=0, most=PRICE_MAX_E4, step=PRICE_TICK_E4)
        whole("reserve_e4", self.reserve_e4, least=0, most=self.price_cap_e4, step=PRICE_TICK_E4)
        if self.keep_e4 is not None:
            highest_e4 = max(self.reserve_e4, PRICE_TICK_E4)
            whole("keep_e4", self.keep_e4, least=0, most=highest_e4, step=PRICE_TICK_E4)
        whole("increment_e4", self.increment_e4, least=PRICE_TICK_E4, most=PRICE_MAX_E4, step=PRICE_TICK_E4)
        whole("doubling", self.doubling, least=0, most=1_000_000)
        whole("standing_ms", self.standing_ms, least=1, most=3_600_000)
        share("drop", self.drop)
        share("loss", self.loss)
        if self.loss > 0.5:
            raise StudyError("loss", "must be at most 0.5: a link that stalls more often is not a link")

    @cached_property
    def terms(self) -> Terms:
        """The same as the engine takes it. Raises StudyError."""
        try:
            return Terms(
                reserve_e4=self.reserve_e4,
                keep_e4=self.keep_e4,
                increment_e4=self.increment_e4,
                doubling=self.doubling,
                standing_ms=self.standing_ms,
                price_cap_e4=self.price_cap_e4,
            )
        except AuctionError as error:
            raise StudyError("setting", str(error)) from error


@dataclass(frozen=True)
class Buyer:
    """One buyer; `value_e4` is floored to the grid, `budget` is money (price_e4 x wh), ways are one-way latencies.

    Raises StudyError naming the key; the strategy's name is checked where it is first needed.
    """

    value_e4: int
    need_wh: int
    budget: int | None = None
    strategy: str = "truthful"
    up_ms: float = 0
    down_ms: float = 0

    def __post_init__(self) -> None:
        """Refuse a buyer that cannot be, and floor the value to the grid."""
        whole("value_e4", self.value_e4, least=-PRICE_MAX_E4, most=PRICE_MAX_E4)
        whole("need_wh", self.need_wh, least=0, most=10**12, step=ENERGY_STEP_WH)
        if self.budget is not None:
            whole("budget", self.budget, least=0, most=10**24)
        if not isinstance(self.strategy, str):
            raise StudyError("strategy", "must be a name")
        way("up_ms", self.up_ms)
        way("down_ms", self.down_ms)
        object.__setattr__(self, "value_e4", on_grid(self.value_e4))


class Sold(NamedTuple):
    """One award: the buyer's index, quantity, price, and when the battery accepted."""

    buyer: int
    wh: int
    price_e4: int
    at_ms: int


class Outcome(NamedTuple):
    """How one lot went."""

    awards: tuple[Sold, ...]
    revenue: int
    """Sum of price_e4 x wh."""
    bids: int
    """Bids that reached the battery."""
    improvements: int
    """Entries that displaced or raised a bid."""
    distinct_bidders: int
    first_acceptable_e4: int | None
    increment_end_e4: int
    ended_ms: int
    """When the lot closed, or when nobody had anything more to say."""


NAMES: Final = tuple(str(index) for index in range(BUYERS_MAX))
"""The peers of an auction, by the buyers' indices."""


def on_grid(price_e4: float) -> int:
    """Return the highest whole tick not above a price; negative prices stay negative."""
    return int(price_e4 // PRICE_TICK_E4) * PRICE_TICK_E4


def affordable_e4(money: int | None, wh: int) -> int:
    """Return the highest price at which money pays for a quantity: any for None, none for no money."""
    if money is None:
        return PRICE_MAX_E4
    return on_grid(money // wh) if money > 0 and wh > 0 else -PRICE_TICK_E4


def whole(key: str, value: object, *, least: int, most: int, step: int = 1) -> int:
    """Return a whole number within its range and on its grid. Raises StudyError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise StudyError(key, f"must be a whole number, not {shown(value)}")
    if not least <= value <= most:
        raise StudyError(key, f"{shown(value)} is outside {least} to {most}")
    if value % step:
        raise StudyError(key, f"{value} is off the grid: must be a multiple of {step}")
    return value


def share(key: str, value: object) -> None:
    """Refuse what is not a probability. Raises StudyError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise StudyError(key, f"{shown(value)} is outside 0 to 1")


def way(key: str, value: object) -> None:
    """Refuse what is not a latency. Raises StudyError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= WAY_MAX_MS:
        raise StudyError(key, f"{shown(value)} is outside 0 to {WAY_MAX_MS} ms")


def buyers_fit(buyers: Sequence[Buyer]) -> None:
    """Refuse a market without buyers, or with more than can stand in a lot. Raises StudyError."""
    if not 1 <= len(buyers) <= BUYERS_MAX:
        raise StudyError("buyers", f"{len(buyers)} buyers; 1 to {BUYERS_MAX} can be studied")

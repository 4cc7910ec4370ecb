"""The buyer behind all sessions of one process: one need, one budget, one strategy, many batteries.

A session asks `wanted_wh` and `decide`, claims need and money with `reserve`, and reports how the bid went. Everything
is synchronous and nothing reads a clock of its own, so two sessions can never promise the same energy twice.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from aggregator.market_view import MarketView
from aggregator.purse import MONEY_PER_CENT
from aggregator.strategies.types import NEW_MIND, Decision, LotView, Mind, Outcome, Why
from etp.messages import ReasonCode
from etp.units import ENERGY_STEP_WH, floor_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.purse import Claim, Purse
    from aggregator.quotes import QuoteBook
    from aggregator.reputation import Reputation
    from aggregator.strategies.types import Draws, Strategy
    from aggregator.value import ValueModel

MINDS_MAX: Final = 1_024
"""Batteries whose market is remembered; the longest unused is forgotten."""
_BPS: Final = 10_000
_NOTHING: Final = Decision(None, Why.NOTHING_WANTED)


class Ids:
    """Message ids of this process: below 2^63, rising, and above those of any earlier process with this clock."""

    __slots__ = ("_last",)

    def __init__(self, wall_ms: int, above: int = 0) -> None:
        """Start at a time of day, and `above` what is on disk, should the clock have been set back."""
        self._last = max(above, (wall_ms << 20) & ((1 << 62) - 1))

    def next(self) -> int:
        """Return an id that was not used before."""
        self._last += 1
        return self._last


class Known(NamedTuple):
    """What is remembered of one battery."""

    mind: Mind
    view: MarketView


class Price(NamedTuple):
    """A decision, with what the energy was worth when it was made."""

    decision: Decision
    value_e4: int


class Buyer:
    """One buyer. `draws` is its chance, `wall_ms` the time that forecasts are made for."""

    def __init__(
        self,
        *,
        strategy: Strategy,
        value: ValueModel,
        purse: Purse,
        reputation: Reputation,
        draws: Draws,
        wall_ms: Callable[[], int],
        max_bid_wh: int | None = None,
        min_bid_wh: int = ENERGY_STEP_WH,
        sealed: bool = False,
        fee_bps: int = 0,
    ) -> None:
        """`fee_bps` comes on top of every price paid, in 1/10 000, and so off what a kWh is worth."""
        self.strategy = strategy
        self.purse = purse
        self.reputation = reputation
        self.market = MarketView()
        self._value = value
        self._draws = draws
        self._wall_ms = wall_ms
        self._max_bid_wh = max_bid_wh
        self._min_bid_wh = max(ENERGY_STEP_WH, min_bid_wh)
        self._sealed = sealed
        self._with_fee = _BPS + fee_bps
        self._known: OrderedDict[str, Known] = OrderedDict()

    def value_e4(self, battery: str, now_ms: int) -> int:
        """Return what a promised kWh of a battery is worth now: forecast, pace of spending and reputation."""
        return self._worth(battery, now_ms)[0]

    @property
    def least_wh(self) -> int:
        """The smallest quantity worth a bid."""
        return self._min_bid_wh

    def wanted_wh(self, battery: str, lot_wh: int, now_ms: int) -> int:
        """Return how much of a lot to bid for: what need, budget and the largest bid leave, 0 = nothing."""
        self.purse.renew(now_ms)
        value_e4 = self.value_e4(battery, now_ms)
        wanted = min(lot_wh, self.purse.open_wh(value_e4, battery))
        if self._max_bid_wh is not None:
            wanted = min(wanted, self._max_bid_wh)
        wanted = floor_step(wanted)
        return wanted if value_e4 > 0 and wanted >= self._min_bid_wh else 0

    def decide(self, battery: str, book: QuoteBook, want_wh: int, now_ms: int) -> Price:
        """Return what to bid for `want_wh` of the lot in a quote book, and what it is worth."""
        offer = book.offer
        value_e4, common_e4 = self._worth(battery, now_ms)
        if offer is None:
            return Price(_NOTHING, value_e4)
        known = self._of(battery)
        view = LotView(
            beat_e4=offer.beat_e4,
            floor_e4=book.floor_e4,
            want_wh=want_wh,
            value_e4=value_e4,
            common_e4=common_e4,
            own_e4=offer.own_e4,
            lost_e4=book.lost_e4,
            bidders=self.market.bidders(),
            better_later_permille=self._value.forecast.better_later_permille(self._wall_ms()),
            sealed=self._sealed,
        )
        decision, mind = self.strategy.decide(view, known.mind, now_ms, self._draws)
        if mind is not known.mind:
            self._known[battery] = known._replace(mind=mind)
        return Price(decision, value_e4)

    def saw(self, battery: str, beat_e4: int) -> None:
        """Note a price to beat."""
        wall_ms = self._wall_ms()
        self.view(battery).saw(beat_e4, wall_ms)
        self.market.saw(beat_e4, wall_ms)

    def reserve(self, battery: str, bid_id: int, price_e4: int, energy_wh: int) -> bool:
        """Claim need and money for a bid about to be sent; False = it must not be sent."""
        if not self.purse.reserve(bid_id, price_e4, energy_wh, battery):
            return False
        self.view(battery).bid()
        self.market.bid()
        return True

    def allows(self, bid_id: int) -> bool:
        """Whether an accepted bid may be confirmed: another one to the same battery may have been accepted before."""
        return self.purse.allows(bid_id)

    def outbid(self, battery: str, bid_id: int, outcome: Outcome) -> None:
        """Free the claim of a bid that was outbid, and learn from it."""
        self.purse.release(bid_id)
        self.view(battery).lost_bid()
        self.market.lost_bid()
        self._learn(battery, outcome)

    def won(self, battery: str, bid_id: int, outcome: Outcome) -> None:
        """Turn the claim of an accepted bid into a commitment at the price agreed, and learn from it."""
        self.purse.agree(bid_id, outcome.paid_e4)
        self.view(battery).won(outcome.paid_e4)
        self.market.won(outcome.paid_e4)
        self._learn(battery, outcome)

    def lost_lot(self, battery: str) -> None:
        """Note a lot that we bid in and that others bought."""
        self.view(battery).lost_lot()
        self.market.lost_lot()

    def release(self, bid_id: int) -> None:
        """Free the claim of a bid that came to nothing for another reason."""
        self.purse.release(bid_id)

    def ended(self, battery: str, bid_id: int, *, agreed_wh: int, delivered_wh: int, code: int, counts: bool) -> Claim:
        """Book the end of a trade; `counts` is whether it says something about what the battery delivers."""
        if counts:
            self.reputation.ended(battery, agreed_wh=agreed_wh, delivered_wh=delivered_wh, code=code)
        return self.purse.close(bid_id, delivered_wh)

    def broke(self, battery: str, agreed_wh: int) -> None:
        """Note an award whose contract was not what was bid: it delivers nothing."""
        self.reputation.ended(battery, agreed_wh=agreed_wh, delivered_wh=0, code=ReasonCode.MALFORMED)

    def view(self, battery: str) -> MarketView:
        """Return the market as seen through one battery."""
        return self._of(battery).view

    def summary(self) -> dict[str, object]:
        """Return need, budget and market for a status file."""
        purse, market = self.purse, self.market
        return {
            "strategy": self.strategy.name,
            "need_wh": purse.need_wh,
            "bought_wh": purse.bought_wh,
            "committed_wh": purse.committed_wh,
            "budget_c": None if purse.budget is None else purse.budget / MONEY_PER_CENT,
            "spent_c": purse.spent / MONEY_PER_CENT,
            "committed_c": purse.committed / MONEY_PER_CENT,
            "bids": market.bids,
            "outbid": market.outbid,
            "lots": market.lots,
            "wins": market.wins,
            "win_permille": market.win_permille,
            "mean_beat_e4": market.mean_beat_e4,
            "mean_paid_e4": market.mean_paid_e4,
            "volatility_e4": market.volatility_e4,
            "best_hour": market.best_hour,
            "bidders": market.bidders(),
        }

    def _worth(self, battery: str, now_ms: int) -> tuple[int, int]:
        """Return value and common part, both scaled by pace and reputation; 0 without a price."""
        worth = self._value.worth(self._wall_ms())
        if worth is None:
            return 0, 0
        scale = self.purse.pace_permille(now_ms) * self.reputation.permille(battery) * _BPS
        whole = 1_000_000 * self._with_fee
        return worth.total_e4 * scale // whole, worth.common_e4 * scale // whole

    def _learn(self, battery: str, outcome: Outcome) -> None:
        known = self._of(battery)
        self._known[battery] = known._replace(mind=self.strategy.learn(known.mind, outcome, self._draws))

    def _of(self, battery: str) -> Known:
        known = self._known.get(battery)
        if known is None:
            known = self._known[battery] = Known(NEW_MIND, MarketView())
            if len(self._known) > MINDS_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(battery)
        return known

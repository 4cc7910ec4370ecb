"""How the buyers of a study bid: every strategy of the aggregator by its name, and those that theory speaks of.

truthful, random, zip, ...   the aggregator's own (`aggregator.strategies`)
equilibrium                  the aggregator's under an open book; under a sealed rule or the clock what theory says
                             of that rule: b(v) of the declared distribution for the first price, else the value;
                             alone, at most the reserve
reserve                      never more than the reserve
fraction:0.8                 at most that share of the value
naive                        at most v (n-1)/n, the uniform first-price bid whatever the distribution, or the reserve
                             where that is more
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import StrategyError
from aggregator.strategies import (
    NAMES,
    Decision,
    Distribution,
    Draws,
    LotView,
    Mind,
    Outcome,
    Strategy,
    Why,
    declared,
    make_strategy,
    shaded,
)
from aggregator.strategies.types import held_back
from market.errors import StudyError, shown
from market.setting import Setting, on_grid, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Limit = Callable[[int], int | None]

SEALED: Final = frozenset({"sealed_first", "sealed_second", "ascending_clock"})
"""The rules that take limits and clear once."""
REMEMBERED_MAX: Final = 65_536
"""Equilibrium bids that are remembered: some MiB, whatever the number of lots and the range of their values."""
_PAYS_ANOTHERS_PRICE: Final = frozenset({"sealed_second", "ascending_clock"})
"""Where the own limit does not set the price, and the value is therefore the limit."""
_FRACTION: Final = "fraction:"
_HAIR_E4: Final = 1e-6
"""What a computed price may lie below a tick and still be meant to be on it."""
_OWN: Final = ("equilibrium", "reserve", "naive")


@dataclass(frozen=True, slots=True)
class UpTo:
    """Pays the price to beat up to a limit that depends on the value alone; under a sealed rule it bids the limit."""

    name: str
    limit: Limit

    def decide(self, view: LotView, mind: Mind, now_ms: int, draws: Draws) -> tuple[Decision, Mind]:  # noqa: ARG002
        """Return what to do about a lot now; the mind comes back as it was."""
        limit_e4 = self.limit(view.value_e4)
        held = held_back(view)
        if held is not None:
            return held, mind
        if limit_e4 is None or limit_e4 < view.beat_e4:
            return Decision(None, Why.ABOVE_LIMIT, limit_e4 or 0), mind
        return Decision(limit_e4 if view.sealed else view.beat_e4, Why.BID, limit_e4), mind

    def learn(self, mind: Mind, outcome: Outcome, draws: Draws) -> Mind:  # noqa: ARG002
        """Return the mind as it was."""
        return mind


def strategy_of(name: str, setting: Setting, n: int, values: Mapping[str, Any] | None) -> Strategy:
    """Return the strategy of one of `n` buyers. Raises StudyError for an unknown name or a distribution it lacks."""
    limit = limit_of(name, setting, n, values)
    if limit is not None:
        return UpTo(name, limit)
    if name not in NAMES:
        allowed = ", ".join(dict.fromkeys([*NAMES, *_OWN, f"{_FRACTION}0.8"]))
        raise StudyError("strategy", f"{shown(name)} is not one of {allowed}")
    if name == "equilibrium":
        return make_strategy(name, {"bidders": n}, private=_declared_fields(values))
    return make_strategy(name)


def limit_of(name: str, setting: Setting, n: int, values: Mapping[str, Any] | None) -> Limit | None:
    """Return the price at which a buyer of a value stops (None = it does not bid); None when that is not all of it.

    Raises StudyError for a share that is none, or when the first-price equilibrium lacks a distribution.
    """
    reserve_e4 = setting.reserve_e4
    pays_own_price = setting.rule not in _PAYS_ANOTHERS_PRICE
    if name == "reserve" or (name == "equilibrium" and n == 1 and pays_own_price):
        return lambda value_e4: reserve_e4 if value_e4 >= reserve_e4 else None
    if name == "naive":
        return lambda value_e4: _between(reserve_e4, max(reserve_e4, on_grid(value_e4 * (n - 1) / n)), value_e4)
    if name.startswith(_FRACTION):
        part = _part_of(name)
        return lambda value_e4: _between(reserve_e4, on_grid(value_e4 * part + _HAIR_E4), value_e4)
    if name == "truthful" or (name == "equilibrium" and not pays_own_price):
        return lambda value_e4: _between(reserve_e4, value_e4, value_e4)
    if name == "equilibrium" and setting.rule == "sealed_first":
        return _remembered(distribution_of(values), n, reserve_e4)
    return None


def distribution_of(values: Mapping[str, Any] | None) -> Distribution:
    """Return the distribution of private values that a request declares. Raises StudyError naming the key."""
    try:
        return declared(_declared_fields(values))
    except StrategyError as error:
        raise StudyError(f"values.{error.key}", error.reason) from error


def equilibrium_bid(value_e4: int, n: int, reserve_e4: int, values: Mapping[str, Any]) -> int | None:
    """Return the first-price equilibrium bid of a value among `n` buyers, floored to the grid; None = no bid.

    b(v) = v - (integral from r to v of F(x)^(n-1) dx) / F(v)^(n-1) (Krishna, Auction Theory, section 2.3). Raises
    StudyError.
    """
    whole("n", n, least=1, most=1_000)
    whole("value_e4", value_e4, least=-(10**12), most=10**12)
    whole("reserve_e4", reserve_e4, least=0, most=10**12, step=100)
    return _remembered(distribution_of(values), n, reserve_e4)(on_grid(value_e4))


def _remembered(distribution: Distribution, n: int, reserve_e4: int) -> Limit:
    """Return the equilibrium bid as a function of the value that remembers the values it has met last."""

    @lru_cache(maxsize=REMEMBERED_MAX)
    def limit(value_e4: int) -> int | None:
        bid = shaded(value_e4, n, reserve_e4, distribution)
        return None if bid is None else on_grid(bid + _HAIR_E4)

    return limit


def _between(reserve_e4: int, price_e4: int, value_e4: int) -> int | None:
    return price_e4 if reserve_e4 <= price_e4 <= value_e4 else None


def _part_of(name: str) -> float:
    text = name.removeprefix(_FRACTION)
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 < part <= 1:
        raise StudyError("strategy", f"{shown(name)}: the share must be a number above 0 and at most 1")
    return part


def _declared_fields(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the fields of a distribution; rows of values count as observations of one."""
    if values is None:
        raise StudyError("values", "equilibrium shading needs the distribution of values")
    rows = values.get("rows")
    if values.get("kind") == "table" and isinstance(rows, list | tuple) and set(values) == {"kind", "rows"}:
        flat = [value for row in rows for value in (row if isinstance(row, list | tuple) else [row])]
        return {"kind": "table", "values_e4": flat}
    return values

"""The strategies by name, and the parameters each takes: one table for configuration files, studies and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aggregator.errors import StrategyError
from aggregator.strategies.distributions import Normal, declared
from aggregator.strategies.fixed import Aggressive, Conservative, Random, Truthful
from aggregator.strategies.shading import Equilibrium
from aggregator.strategies.timing import Timing
from aggregator.strategies.win_rate import WinRate
from aggregator.strategies.zip import Zip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aggregator.strategies.types import Strategy


class Parameter(NamedTuple):
    """One parameter: its range, whether it is a whole number, its default, and what it means."""

    low: float
    high: float
    default: float
    text: str
    whole: bool = False
    field: str = ""
    scale: int = 1
    """What the strategy's own field is in: the parameter times this."""


_E4: Final = 10_000
_PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    "random": {},
    "conservative": {
        "room_c": Parameter(0, 1_000, 0.5, "most it pays above the reserve, c/kWh", field="room_e4", scale=_E4),
    },
    "aggressive": {
        "edge_c": Parameter(0, 1_000, 0.1, "profit it keeps when it jumps, c/kWh", field="edge_e4", scale=_E4),
    },
    "truthful": {},
    "equilibrium": {
        "bidders": Parameter(0, 1_000, 0, "buyers in the market with itself; 0 = estimated", whole=True),
    },
    "zip": {
        "margin": Parameter(0, 0.99, 0.2, "share of the value it wants to keep at first"),
        "rate": Parameter(0.01, 1, 0.3, "Widrow-Hoff step"),
        "momentum": Parameter(0, 0.99, 0.1, "share of the last change that is kept"),
        "nudge": Parameter(0, 0.5, 0.05, "overshoot of a target, relative and in c/kWh"),
    },
    "win_rate": {
        "bias": Parameter(-6, 6, 0, "log odds of winning at the price to beat, at first"),
        "slope": Parameter(0.05, 20, 1, "log odds gained per c/kWh above it, at first"),
        "rate": Parameter(0.001, 1, 0.2, "gradient step"),
    },
    "timing": {
        "patience_permille": Parameter(0, 1_000, 250, "share of the horizon that may be better than now", whole=True),
    },
}
_MAKERS: Final[Mapping[str, Callable[..., Strategy]]] = {
    "random": Random,
    "conservative": Conservative,
    "aggressive": Aggressive,
    "truthful": Truthful,
    "equilibrium": Equilibrium,
    "zip": Zip,
    "win_rate": WinRate,
    "timing": Timing,
}
NAMES: Final = tuple(_MAKERS)


def parameters_of(name: str) -> Mapping[str, Parameter]:
    """Return the parameters of a strategy. Raises StrategyError for an unknown name."""
    if name not in _PARAMETERS:
        raise StrategyError("name", f"{name!r} is not one of {', '.join(NAMES)}")
    return _PARAMETERS[name]


def make_strategy(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    spread_e4: int = 0,
    private: Mapping[str, Any] | None = None,
) -> Strategy:
    """Return the named strategy.

    `private` declares the distribution of private values that equilibrium shading believes in; without it, it is
    normal around 0 with `spread_e4`. Raises StrategyError naming the key: unknown strategy, unknown parameter, or a
    value that is no number or outside its range.
    """
    known = parameters_of(name)
    fields: dict[str, Any] = {}
    for key, value in (parameters or {}).items():
        if key not in known:
            raise StrategyError(key, f"unknown; {name} takes {', '.join(known) or 'no parameters'}")
        fields[known[key].field or key] = _checked(key, value, known[key])
    if name == "equilibrium":
        fields["bidders"] = fields.get("bidders") or None
        fields["private"] = Normal(0.0, float(spread_e4)) if private is None else declared(private)
    elif private is not None:
        raise StrategyError("private", f"{name} takes no distribution; equilibrium does")
    return _MAKERS[name](**fields)


def _checked(key: str, value: Any, rule: Parameter) -> float:
    """Return a parameter in the strategy's own unit. Raises StrategyError."""
    kind = int if rule.whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not rule.low <= value <= rule.high:
        what = "a whole number" if rule.whole else "a number"
        raise StrategyError(key, f"must be {what} from {rule.low:g} to {rule.high:g}")
    return round(value * rule.scale) if rule.scale != 1 else value

"""Does any departure from honest bidding pay under the standing bid: each one on the same lots, beside honesty.

The deviator is buyer 0; what it gains is its profit (value less price, per kWh offered) less what it earns honestly on
the same draws. Everybody else bids up to the own value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aggregator.strategies import NEW_MIND, Strategy
from market.adversaries import Conduct, DeviantBook, Jump
from market.setting import Buyer, Setting
from market.standing_bid import LATENCIES_MS, NEED_WH, RESERVE_E4, Mean, market, mean_of
from market.strategies import strategy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from market.setting import Outcome

MARKETS: Final = (2, 5)
_SPREAD_C: Final = 3
_JUMP_ALL_E4: Final = 10**9
_FAR_ABOVE_E4: Final = 100_000
_LAST_MS: Final = 10
"""How long before the end of a rival's standing time a late bid is to be read."""


class Scheme(NamedTuple):
    """Who plays, how, and which of them the deviator is (its names, 0 the first)."""

    buyers: list[Buyer]
    strategies: dict[int, Strategy]
    conducts: dict[int, Conduct]
    own: frozenset[int] = frozenset({0})


class DeviationCell(NamedTuple):
    """One deviation in a market of n honest values."""

    name: str
    n: int


class Deviation(NamedTuple):
    """What it came to, in price_e4 per kWh offered."""

    cell: DeviationCell
    honest_e4: float
    """The deviator's profit when it is honest."""
    gain_e4: Mean
    owner_e4: Mean
    """What the owner gets more (or less) than from honest buyers."""


def deviation_cells() -> list[DeviationCell]:
    """Return every cell."""
    return [DeviationCell(name, n) for name in SCHEMES for n in MARKETS]


def play_deviation(cell: DeviationCell, *, lots: int, seed: int) -> Deviation:
    """Return what a deviation comes to."""
    setting = Setting("standing_bid", NEED_WH, RESERVE_E4)
    honest: list[float] = []
    gain: list[float] = []
    owner: list[float] = []
    for lot in range(lots):
        buyers = market(seed, lot, cell.n, _SPREAD_C, LATENCIES_MS[0])
        straight = _play(setting, Scheme(list(buyers), {}, {}), seed=seed, lot=lot)
        scheme = SCHEMES[cell.name](setting, list(buyers))
        crooked = _play(setting, scheme, seed=seed, lot=lot)
        honest.append(_profit(straight, buyers[0].value_e4, frozenset({0})))
        gain.append(_profit(crooked, buyers[0].value_e4, scheme.own) - honest[-1])
        owner.append((crooked.revenue - straight.revenue) / NEED_WH)
    return Deviation(cell, mean_of(honest).mean, mean_of(gain), mean_of(owner))


def _play(setting: Setting, scheme: Scheme, *, seed: int, lot: int) -> Outcome:
    count = len(scheme.buyers)
    truthful = strategy_of("truthful", setting, count, None)
    strategies = [scheme.strategies.get(index, truthful) for index in range(count)]
    book = DeviantBook(
        setting, scheme.buyers, strategies, [NEW_MIND] * count, conducts=scheme.conducts, seed=seed, lot=lot
    )
    return book.play()


def _profit(outcome: Outcome, value_e4: int, own: frozenset[int]) -> float:
    """Return value less price of what the deviator's names bought, up to its need, per kWh offered."""
    mine = [award for award in outcome.awards if award.buyer in own]
    bought_wh = sum(award.wh for award in mine)
    paid = sum(award.price_e4 * award.wh for award in mine)
    return (value_e4 * min(bought_wh, NEED_WH) - paid) / NEED_WH


def _late(setting: Setting, buyers: list[Buyer]) -> Scheme:
    way_ms = buyers[0].up_ms + buyers[0].down_ms
    patience_ms = max(1.0, setting.standing_ms - way_ms - _LAST_MS)
    return Scheme(buyers, {}, {0: Conduct(patience_ms=patience_ms)})


def _with(strategy: Callable[[Setting, int], Strategy]) -> Callable[[Setting, list[Buyer]], Scheme]:
    return lambda setting, buyers: Scheme(buyers, {0: strategy(setting, len(buyers))}, {})


def _shading(name: str) -> Callable[[Setting, list[Buyer]], Scheme]:
    return _with(lambda setting, n: strategy_of(name, setting, n, None))


def _pump(pump_e4: int) -> Callable[[Setting, list[Buyer]], Scheme]:
    return lambda _setting, buyers: Scheme(buyers, {}, {0: Conduct(pump_e4=pump_e4)})


def _also(buyers: list[Buyer], need_wh: int, value_e4: int | None = None) -> Buyer:
    """Return a further name of the deviator, at its place."""
    first = buyers[0]
    value_e4 = first.value_e4 if value_e4 is None else value_e4
    return Buyer(value_e4, need_wh, up_ms=first.up_ms, down_ms=first.down_ms)


def _small_pump(_setting: Setting, buyers: list[Buyer]) -> Scheme:
    last = len(buyers)
    return Scheme([*buyers, _also(buyers, 100)], {}, {last: Conduct(pump_e4=_FAR_ABOVE_E4)}, frozenset({0, last}))


def _decoy(_setting: Setting, buyers: list[Buyer]) -> Scheme:
    """A second name outbids everybody and does not confirm, so that the first may buy what comes back."""
    last = len(buyers)
    decoy = _also(buyers, NEED_WH, max(buyer.value_e4 for buyer in buyers) + _FAR_ABOVE_E4)
    return Scheme([*buyers, decoy], {}, {last: Conduct(confirms=False)})


def _sybils(names: int) -> Callable[[Setting, list[Buyer]], Scheme]:
    def scheme(_setting: Setting, buyers: list[Buyer]) -> Scheme:
        own = frozenset({0, *range(len(buyers), len(buyers) + names - 1)})
        return Scheme([*buyers, *[_also(buyers, NEED_WH)] * (names - 1)], {}, {}, own)

    return scheme


def _split(parts: int) -> Callable[[Setting, list[Buyer]], Scheme]:
    def scheme(_setting: Setting, buyers: list[Buyer]) -> Scheme:
        part = _also(buyers, NEED_WH // parts)
        own = frozenset({0, *range(len(buyers), len(buyers) + parts - 1)})
        return Scheme([part, *buyers[1:], *[part] * (parts - 1)], {}, {}, own)

    return scheme


SCHEMES: Final[dict[str, Callable[[Setting, list[Buyer]], Scheme]]] = {
    "bids at the last moment": _late,
    "shades: stops at 95 % of its value": _shading("fraction:0.95"),
    "shades: stops at 90 % of its value": _shading("fraction:0.9"),
    "jumps 1 c above the price to beat": _with(lambda _setting, _n: Jump(10_000)),
    "jumps to its value at once": _with(lambda _setting, _n: Jump(_JUMP_ALL_E4)),
    "pumps the increment with the whole lot, 3.2 c": _pump(32_000),
    "pumps the increment with the whole lot, 10 c": _pump(_FAR_ABOVE_E4),
    "pumps the increment with a second name and 0.1 kWh": _small_pump,
    "a second name outbids all and does not confirm": _decoy,
    "three names, each for the whole lot": _sybils(3),
    "splits its need between two names": _split(2),
    "splits its need between five names": _split(5),
}

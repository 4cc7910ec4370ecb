"""The production auction as a mechanism: values in, outcome out (ETP section 6).

`play` sends one lot through the engine of `etp.auction` with the strategies of the aggregator, in virtual time;
`sample` draws many; `winners` is the engine's winner determination alone. Nothing here has a clock or chance of its
own: the same arguments give the same outcome in every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aggregator.strategies import NEW_MIND, Mind
from etp.auction import best_subset
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4
from market.errors import StudyError
from market.open_book import OpenBook
from market.sealed import play_sealed
from market.setting import LOT_MAX_WH, PRICE_MAX_E4, Buyer, Outcome, Setting, Sold, buyers_fit, whole
from market.strategies import SEALED, equilibrium_bid, strategy_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aggregator.strategies import Strategy

__all__ = ["Buyer", "Outcome", "Setting", "Sold", "equilibrium_bid", "play", "play_lot", "winners"]

BIDS_MAX: Final = 10_000
WEIGHED_MAX: Final = 5_000_000
"""Bids times steps of the lot: what the winner determination keeps in memory."""


def play(setting: Setting, buyers: Sequence[Buyer], *, seed: int, values: Mapping[str, Any] | None = None) -> Outcome:
    """Return how one lot goes. `values` declares the distribution that equilibrium shading believes in.

    Raises StudyError naming the key: no or too many buyers, an unknown strategy, a missing distribution.
    """
    buyers_fit(buyers)
    known: dict[str, Strategy] = {}
    for index, buyer in enumerate(buyers):
        if buyer.strategy not in known:
            try:
                known[buyer.strategy] = strategy_of(buyer.strategy, setting, len(buyers), values)
            except StudyError as error:
                raise (error.within(f"buyers[{index}]") if error.key == "strategy" else error) from error
    strategies = [known[buyer.strategy] for buyer in buyers]
    return play_lot(setting, buyers, strategies, [NEW_MIND] * len(buyers), seed=seed, lot=0)[0]


def play_lot(
    setting: Setting,
    buyers: Sequence[Buyer],
    strategies: Sequence[Strategy],
    minds: Sequence[Mind],
    *,
    seed: int,
    lot: int,
) -> tuple[Outcome, list[Mind]]:
    """Return how the `lot`-th lot of a seed goes, and what the buyers have learned from it."""
    if setting.rule in SEALED:
        return play_sealed(setting, buyers, strategies, minds, seed=seed, lot=lot)
    book = OpenBook(setting, buyers, strategies, minds, seed=seed, lot=lot)
    return book.play(), book.minds


def winners(
    bids: Sequence[tuple[int, int]], *, lot_wh: int, reserve_e4: int, keep_e4: int | None = None
) -> tuple[tuple[int, ...], int]:
    """Return the best set of bids (price_e4, wh) by their indices, and its value: sum of wh x (price - keep + tick).

    Bids below the reserve or above the lot take no part; of equally good sets the one with the older bids wins.
    Raises StudyError.
    """
    whole("lot_wh", lot_wh, least=ENERGY_STEP_WH, most=LOT_MAX_WH, step=ENERGY_STEP_WH)
    whole("reserve_e4", reserve_e4, least=0, most=PRICE_MAX_E4, step=PRICE_TICK_E4)
    keep_e4 = reserve_e4 if keep_e4 is None else keep_e4
    whole("keep_e4", keep_e4, least=0, most=max(reserve_e4, PRICE_TICK_E4), step=PRICE_TICK_E4)
    if len(bids) > BIDS_MAX:
        raise StudyError("bids", f"{len(bids)} bids; at most {BIDS_MAX} can be weighed")
    if len(bids) * (lot_wh // ENERGY_STEP_WH) > WEIGHED_MAX:
        raise StudyError("bids", f"{len(bids)} bids for {lot_wh} Wh; bids x 0.1 kWh may be at most {WEIGHED_MAX}")
    items: list[tuple[int, int]] = []
    places: list[int] = []
    for index, (price_e4, wh) in enumerate(bids):
        whole(f"bids[{index}].price_e4", price_e4, least=0, most=PRICE_MAX_E4, step=PRICE_TICK_E4)
        whole(f"bids[{index}].wh", wh, least=0, most=10**12, step=ENERGY_STEP_WH)
        if price_e4 >= reserve_e4 and 0 < wh <= lot_wh:
            items.append((wh * (price_e4 - keep_e4 + PRICE_TICK_E4), wh // ENERGY_STEP_WH))
            places.append(index)
    chosen = best_subset(items, lot_wh // ENERGY_STEP_WH)
    return tuple(places[index] for index in chosen), sum(items[index][0] for index in chosen)

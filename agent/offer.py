"""What a battery may offer at this moment, from its state and its promises: pure, values in, a value out.

The first reason that applies decides the code of an empty offer: stopped (12), fault (11) or stale (3), then no energy
or power free (14) (ETP section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import energy
from agent.guardrails import sale_obstacle
from etp.messages import ReasonCode

if TYPE_CHECKING:
    from agent.guardrails import Guardrails, Obstacle
    from drivers.device import BatteryInfo, BatteryState


@dataclass(frozen=True, slots=True, kw_only=True)
class SellingLimits:
    """What the site allows one battery to sell; None = the device decides.

    `efficiency_permille` is AC energy out per DC energy drawn.
    """

    floor_permille: int
    share_permille: int
    lot_wh: int | None = None
    max_power_w: int | None = None
    min_power_w: int | None = None
    capacity_wh: int | None = None
    efficiency_permille: int = energy.DISCHARGE_EFFICIENCY_PERMILLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What is promised already: open awards and confirmed trades, undelivered Wh and granted W (magnitude)."""

    energy_wh: int = 0
    power_w: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What may be sold now. With a code other than 0 no lot opens; with 11, 3 or 12 an open one is withdrawn."""

    code: int
    reason: str = ""
    usable_wh: int = 0
    sellable_wh: int = 0
    lot_wh: int = 0
    free_power_w: int = 0
    min_power_w: int = 0
    short_wh: int = 0
    """By how much the promises exceed what is usable."""
    failing: str = ""
    """What makes the battery faulty or lost, whatever else forbids selling: its buyers must be told."""


def offer_of(
    state: BatteryState,
    info: BatteryInfo | None,
    *,
    limits: SellingLimits,
    rules: Guardrails,
    promises: Promises,
    stopped: str,
    trouble: Obstacle | None,
    smallest_need_wh: int | None,
    now_ms: int,
    unseen_wh: int = 0,
) -> Offer:
    """Return what may be offered; an absent value that selling needs makes the battery stale, never a guess.

    `stopped` says why the owner (or a failed part of the gateway) stopped selling, "" when nobody did; `trouble` is
    what deliveries hold against this battery. `unseen_wh` is what may have left since the state of charge last moved
    (`Delivery.unseen_wh`): it is not sold, but awards are kept as long as the state of charge itself covers them.
    """
    state = state.fresh(now_ms, rules.state_age_max_ms)
    shown_wh, usable_full_wh = usable(state, info, limits)
    usable_wh = max(0, shown_wh - unseen_wh)
    short_wh = max(0, promises.energy_wh - shown_wh)
    obstacle = sale_obstacle(state, rules, now_ms) or trouble
    is_failing = obstacle is not None and obstacle.code in {ReasonCode.FAULT, ReasonCode.OFFLINE}
    failing = obstacle.reason if obstacle is not None and is_failing else ""
    if stopped:
        return Offer(code=ReasonCode.WITHDRAWN, reason=stopped, usable_wh=usable_wh, short_wh=short_wh, failing=failing)
    if obstacle is not None:
        return Offer(
            code=obstacle.code, reason=obstacle.reason, usable_wh=usable_wh, short_wh=short_wh, failing=failing
        )
    if info is None or state.max_discharge_w is None:
        return Offer(code=ReasonCode.OFFLINE, reason="the battery has not told its ratings")
    max_power_w = info.rated_power_w if limits.max_power_w is None else limits.max_power_w
    free_power_w = max(0, min(state.max_discharge_w.value, info.rated_power_w, max_power_w) - promises.power_w)
    least_w = max(info.rated_power_w // 100 if limits.min_power_w is None else limits.min_power_w, info.min_power_w, 1)
    sellable_wh = 0
    if not short_wh:
        sellable_wh = energy.sellable_wh(usable_wh, usable_full_wh, promises.energy_wh, limits.share_permille)
    lot_limit_wh = energy.default_lot_wh(info.rated_power_w) if limits.lot_wh is None else limits.lot_wh
    lot_wh = energy.lot_wh(sellable_wh, lot_limit_wh, smallest_need_wh)
    sells = lot_wh > 0 and free_power_w >= least_w
    return Offer(
        code=ReasonCode.NONE if sells else ReasonCode.NO_LOT,
        reason="" if sells else _why_not(lot_wh, promises),
        usable_wh=usable_wh,
        sellable_wh=sellable_wh,
        lot_wh=lot_wh if sells else 0,
        free_power_w=free_power_w,
        min_power_w=least_w,
        short_wh=short_wh,
    )


def usable(state: BatteryState, info: BatteryInfo | None, limits: SellingLimits) -> tuple[int, int]:
    """Return the energy above the floor in Wh, now and at full charge; zeros when it is not known."""
    if info is None or state.soc_permille is None:
        return 0, 0
    device_floor = state.device_floor_permille
    floor = energy.floor_of(limits.floor_permille, (device_floor.value if device_floor else None,))
    capacity_wh = info.capacity_wh if limits.capacity_wh is None else limits.capacity_wh
    return (
        energy.usable_wh(state.soc_permille.value, floor, capacity_wh, limits.efficiency_permille),
        energy.usable_wh(1_000, floor, capacity_wh, limits.efficiency_permille),
    )


def _why_not(lot_wh: int, promises: Promises) -> str:
    if lot_wh > 0:
        return "no power is free"
    return "what is left is promised" if promises.energy_wh else "no energy above the floor and the owner's share"

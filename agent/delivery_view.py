"""What a battery's state means for its deliveries: pure, nothing remembered here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent import energy
from agent.delivery_plan import Measured
from agent.metering import MJ_PER_WH

if TYPE_CHECKING:
    from agent.delivery_plan import Run
    from agent.delivery_ports import DeliveryRules
    from agent.gauge import Gauge
    from agent.metering import Meter
    from drivers.device import BatteryInfo, BatteryState

REACTION_MS: Final = 750
"""From the decision to stop until no power flows: one write and the ramp."""


def cap_w(state: BatteryState, info: BatteryInfo, rules: DeliveryRules) -> int:
    """Return the most a battery may discharge now (magnitude): its own limit, its rating, the site's."""
    allowed_w = state.max_discharge_w.value if state.max_discharge_w else 0
    site_w = info.rated_power_w if rules.max_power_w is None else rules.max_power_w
    return max(0, min(allowed_w, info.rated_power_w, site_w))


def unseen_wh(gauge: Gauge, info: BatteryInfo | None, rules: DeliveryRules) -> int:
    """Return the energy to take off what the state of charge says is usable: it may lag behind (`agent.gauge`)."""
    if info is None:
        return 0
    return gauge.unseen_wh(info, capacity_wh=_capacity_wh(info, rules), efficiency_permille=rules.efficiency_permille)


def is_at_floor(
    state: BatteryState,
    info: BatteryInfo,
    rules: DeliveryRules,
    *,
    unseen_wh: int,
    flow_w: int,
    now_ms: int,
    tick_ms: int,
) -> bool:
    """Whether a discharge must end now so that the charge does not fall below the floor.

    The charge known lags by up to `unseen_wh` and is as old as its reading; what has left since, and what will leave
    until the next look and the battery's reaction to it, is taken off at the present flow. Without a state of charge
    the answer is no: that is an obstacle of its own.
    """
    soc = state.soc_permille
    if soc is None:
        return False
    device_floor = state.device_floor_permille
    floor = energy.floor_of(rules.floor_permille, (device_floor.value if device_floor else None,))
    left_wh = energy.usable_wh(soc.value, floor, _capacity_wh(info, rules), rules.efficiency_permille) - unseen_wh
    gone_mj = flow_w * rules.time_lapse * (max(0, now_ms - soc.at_ms) + tick_ms + REACTION_MS)
    return left_wh * MJ_PER_WH <= gone_mj


def _capacity_wh(info: BatteryInfo, rules: DeliveryRules) -> int:
    return info.capacity_wh if rules.capacity_wh is None else rules.capacity_wh


def baseline_of(state: BatteryState, info: BatteryInfo) -> int:
    """Return the discharge that runs without us (magnitude); below 1 % of rated it is a battery at rest, 0."""
    power = state.power_w
    discharge_w = max(0, -power.value) if power else 0
    return discharge_w if discharge_w > max(info.min_power_w, info.rated_power_w // 100) else 0


def measured(run: Run, meter: Meter | None, *, counter_step_wh: int, flow_w: int, now_ms: int) -> Measured:
    """Return what is known of a run's energy.

    A run may fall short by the counter's step, but by no more than 1 % of the trade. A run that was reopened closes on
    what is metered, not on an estimate.
    """
    agreed_wh = run.trade.energy_wh
    tolerance_wh = min(max(1, counter_step_wh), max(1, agreed_wh // 100))
    if meter is None or run.started_at_ms is None:
        reached = run.before_wh >= agreed_wh
        return Measured(min(run.before_wh, agreed_wh), now_ms if reached else None, tolerance_wh)
    delivered_wh = meter.delivered_wh(run.trade.key)
    if delivered_wh >= agreed_wh:
        return Measured(delivered_wh, now_ms, tolerance_wh)
    if run.reopened or run.closing is not None:
        return Measured(delivered_wh, None, tolerance_wh)
    return Measured(delivered_wh, meter.reached_at_ms(run.trade.key, flow_w=flow_w), tolerance_wh)

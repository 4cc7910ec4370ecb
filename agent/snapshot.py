"""One look at a seller, as the control protocol shows it: nothing is computed that the seller does not already know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etp import auction

if TYPE_CHECKING:
    from agent.control_protocol import BatterySnapshot, DeliverySnapshot, LotSnapshot
    from agent.seller import Seller
    from agent.trades import ActiveDelivery
    from drivers.device import Value


def battery_snapshot(seller: Seller, endpoint: str) -> BatterySnapshot:
    """Return what is known of one battery now."""
    state = seller.state()
    return {
        "name": seller.name,
        "endpoint": endpoint,
        "connected": state.connected,
        "stopped": seller.offer.reason if seller.offer.code else "",
        "fault": state.fault,
        "soc_permille": _number(state.soc_permille),
        "power_w": _number(state.power_w),
        "voltage_mv": _number(state.voltage_mv),
        "temp_max_dc": _number(state.temp_max_dc),
        "usable_wh": seller.offer.usable_wh,
        "sellable_wh": seller.offer.sellable_wh,
        "committed_wh": seller.promises().energy_wh,
        "reserve_e4": seller.terms().reserve_e4,
        "price": None if seller.appraiser is None else seller.appraiser.snapshot(),
        "peers": len(seller.desk.buyers),
        "lot": _lot(seller),
        "deliveries": [_delivery(active) for active in seller.delivery.active],
        "settlement": None if seller.settling is None else seller.settling.snapshot(),
    }


def _lot(seller: Seller) -> LotSnapshot | None:
    now_ms = seller.now_ms()
    state = seller.desk.lots.state
    stats = auction.stats(state)
    if stats is None:
        return None
    return {
        "lot_id": stats.lot_id,
        "energy_wh": stats.open_wh,
        "power_w": auction.open_power(state),
        "reserve_e4": stats.terms.reserve_e4,
        "price_to_beat_e4": seller.desk.lots.quote("", 0, now_ms),
        "standing": [
            {
                "peer": standing.peer,
                "bid_id": standing.bid_id,
                "price_e4": standing.price_e4,
                "energy_wh": standing.energy_wh,
                "stands_ms": now_ms - standing.entered_ms,
            }
            for standing in auction.standing(state)
        ],
    }


def _delivery(active: ActiveDelivery) -> DeliverySnapshot:
    trade = active.trade
    return {
        "peer": trade.peer,
        "bid_id": trade.bid_id,
        "price_e4": trade.price_e4,
        "energy_wh": trade.energy_wh,
        "delivered_wh": active.delivered_wh,
        "power_w": trade.power_w,
    }


def _number(value: Value | None) -> int | None:
    return None if value is None else value.value

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.records import Deal
from agent.trades import Trade

DEAL = Deal(
    peer="conn:1",
    bid_id=7,
    price_e4=200_000,
    energy_wh=1_000,
    power_w=4_000,
    lot_id=3,
    buyer="10.0.0.1",
    signer="ab",
    reserve_e4=150_000,
    first_acceptable_e4=160_000,
    distinct_bidders=3,
    increment_e4=1_000,
    asked_at_ms=10,
    awarded_at_ms=420,
)


def test_a_trade_carries_everything_its_deal_said() -> None:
    trade = Trade.of_deal(
        DEAL, battery="b1", award_seq=5, confirmed_wall_ms=9, window_ms=1_185_000, confirmed_at_ms=500
    )
    assert trade.key == DEAL.key
    shared = set(Deal.__slots__) & set(Trade.__slots__)
    assert {name: getattr(trade, name) for name in shared} == {name: getattr(DEAL, name) for name in shared}
    papers = {"contract", "battery_key", "battery_signature", "buyer_signature"}  # of which a trade has the name alone
    assert shared >= set(Deal.__slots__) - {"window_s"} - papers


@pytest.mark.parametrize("field", ["energy_wh", "power_w", "window_ms"])
def test_a_trade_of_nothing_is_refused(field: str) -> None:
    trade = Trade.of_deal(DEAL, battery="b1", award_seq=5, confirmed_wall_ms=9, window_ms=1_000)
    nothing: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match=field):
        replace(trade, **nothing)

"""What buyers are told they got, against what left the battery for them; account by account.

An account of a battery is open as long as any of its trades is, crashes included; it begins with the last reading
before the first of them, because no meter can begin later. When it is closed, what was left over is forgotten: energy
that one trade was not billed for cannot pay for what another was billed too much. Where a process died meanwhile the
house's own use counts too: it may have begun while nobody metered, and the counter tells only the sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulation.invariants import Breach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.books_types import Books
    from agent.records import TradeKey
    from simulation.battery import Device


class _Account:
    """One battery's trades that have not ended, and what flowed and was billed since the first of them."""

    def __init__(self) -> None:
        self.open_wh: dict[TradeKey, int] = {}
        """Trade -> what it had got before this account was opened."""
        self.from_wh = 0.0
        self.counter_from_wh = 0.0
        self.billed_wh = 0
        self.was_interrupted = False
        """A process died while it was open: what the house began to take meanwhile nobody could tell from the trade."""


class Billing:
    """The accounts of some batteries."""

    def __init__(self, devices: Mapping[str, Device], now_ms: Callable[[], int]) -> None:
        self._devices = devices
        self._now_ms = now_ms
        self._accounts = {name: _Account() for name in devices}

    def booted(self, battery: str, books: Books, ends: Mapping[TradeKey, dict[str, Any]]) -> None:
        """A process starts on these books: what they owe will be delivered, what has ended (`ends`) is billed."""
        for key in [key for key in self._accounts[battery].open_wh if key not in books.trades]:
            self._end(battery, key, ends[key])
        for key, trade in books.trades.items():
            self._accounts[battery].was_interrupted = bool(self._accounts[battery].open_wh)
            self._begin(battery, key, trade.delivered_wh)

    def heard(self, event: str, fields: dict[str, Any]) -> None:
        """Take an event of the gateway. Raises Breach when more was billed than flowed."""
        match event:
            case "trade_confirmed":
                self._begin(fields["battery"], (fields["peer"], fields["bid_id"]), 0)
            case "delivery_ended":
                self._end(fields["battery"], (fields["peer"], fields["bid_id"]), fields)

    def _begin(self, battery: str, key: TradeKey, had_wh: int) -> None:
        account = self._accounts[battery]
        if not account.open_wh:
            device = self._devices[battery]
            account.from_wh = device.sold_at_reading_wh
            account.counter_from_wh = device.model.counters.ac_discharged_wh
            account.billed_wh = 0
            account.was_interrupted = False
        account.open_wh.setdefault(key, had_wh)

    def _end(self, battery: str, key: TradeKey, fields: dict[str, Any]) -> None:
        account = self._accounts[battery]
        billed_wh = fields["delivered_wh"]
        account.billed_wh += billed_wh - account.open_wh.pop(key, 0)
        device = self._devices[battery]
        device.advance(self._now_ms())
        flowed_wh = device.sold_wh - account.from_wh
        if account.was_interrupted:
            flowed_wh = max(flowed_wh, device.model.counters.ac_discharged_wh - account.counter_from_wh)
        if account.billed_wh > flowed_wh + device.counter_step_wh + 1:
            what = f"{battery}: {account.billed_wh} Wh billed, {flowed_wh:.1f} Wh flowed for buyers"
            raise Breach("payouts equal receipts", what)

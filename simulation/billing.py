"""What buyers are told they got, against what left the battery for them; account by account.

An account of a battery is open as long as any of its trades is, crashes included; it begins with the last reading
before the first of them, because no meter can begin later. When it is closed, what was left over is forgotten: energy
that one trade was not billed for cannot pay for what another was billed too much.

Where a process died meanwhile, the next one has two readings of the counter: the one on record with the trade, and its
own first. What left in between nobody metered. Of what the counter moved there the house's own use may be billed, but
only what it had not already drawn before the take-over (that is on record too), and no more than makes up what the
open trades' power can have given until the revert timer let the battery go. Where nobody has commanded the battery
since the reading on record, nothing is allowed for: the buyers got nothing, and everybody could know.

So the bound on a bill is: what left for buyers, the above for every gap, one step of the counter and 1 Wh. What a
battery begins to draw by itself counts as left for buyers until it can be known (`Device`).

Nothing may be given away either. An account in which nothing went wrong, and from which the agent took nothing off for
the house (what the battery gave before the take-over, which may have ended since), has billed what left for its buyers
but for a step of the counter, 1 Wh a trade, and what each trade's power gives between its end and the battery's rest. A
trade that is told to be complete got what was agreed but for a step of the counter, of at most 1 % of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from etp.messages import ReasonCode
from simulation.battery import DEAD_MAN_MS
from simulation.invariants import Breach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.books_types import Books
    from agent.records import TradeKey
    from simulation.battery import Device, Reading

SERVED_MS: Final = 5_000 + DEAD_MAN_MS + 1_000
"""How long buyers can have been served since the counter on record: until the next one was due, then the revert timer
and the ramp."""
MS_PER_H: Final = 3_600_000
_REST_MS: Final = 2_500
"""From a trade's end, or from the reading that shows it, until its power is gone: a poll, a write, the ramp."""
_AFTERMATH_MS: Final = 20_000
"""So long after a fault a battery is read and known as before."""


class _Gap(NamedTuple):
    """What the books left open when a process began: the reading on record, and what could be known since."""

    since: Reading
    power_w: int
    baseline_w: int


class _Account:
    """One battery's trades that have not ended, and what flowed and was billed since the first of them."""

    def __init__(self) -> None:
        self.open_wh: dict[TradeKey, int] = {}
        """Trade -> what it had got before this account was opened."""
        self.from_wh = 0.0
        self.billed_wh = 0
        self.unsaved_wh: dict[TradeKey, int] = {}
        """What was billed by a process whose disk had failed; the next one bills it anew."""
        self.unmetered_wh = 0.0
        """What its house drew in gaps and nobody could tell from the trades."""
        self.gap: _Gap | None = None
        """The gap before this process; None once its first reading has closed it."""
        self.is_clean = False
        """Nothing has gone wrong while it was open."""
        self.given_away_wh = 0.0
        """What may have left the battery for its buyers and be billed to nobody."""


class Billing:
    """The accounts of some batteries."""

    def __init__(self, devices: Mapping[str, Device], now_ms: Callable[[], int]) -> None:
        self.unmetered_wh = dict.fromkeys(devices, 0.0)
        """What each battery's house drew in all gaps and nobody could tell from trades."""
        self._devices = devices
        self._now_ms = now_ms
        self._accounts = {name: _Account() for name in devices}
        self._clean_from_ms = 0
        self.settled = 0
        """How many accounts were closed in which nothing had gone wrong."""

    def disturb(self, lasts_ms: int) -> None:
        """Something goes wrong that may keep meters from seeing what flows."""
        self._clean_from_ms = max(self._clean_from_ms, self._now_ms() + lasts_ms + _AFTERMATH_MS)
        for account in self._accounts.values():
            account.is_clean = False

    def taken_off(self, battery: str, baseline_w: int) -> None:
        """Note what the agent takes off a battery's open trades for the house, estimated before its take-over."""
        if baseline_w:
            self._accounts[battery].is_clean = False

    def booted(self, battery: str, books: Books, ends: Mapping[TradeKey, dict[str, Any]], *, now_wall_ms: int) -> None:
        """A process starts on these books: what they owe will be delivered, what has ended (`ends`) is billed.

        Raises Breach when what has ended was billed too much.
        """
        account = self._accounts[battery]
        account.unsaved_wh.clear()
        self._close_gap(battery)
        for key in [key for key in account.open_wh if key not in books.trades]:
            self._end(battery, key, ends[key])
        for key, trade in books.trades.items():
            self._begin(battery, key, trade.delivered_wh)
        account.is_clean = False
        account.gap = self._gap(battery, books, now_wall_ms)
        self._devices[battery].met = None

    def heard(self, event: str, fields: dict[str, Any]) -> None:
        """Take an event of the gateway. Raises Breach when more or less was billed than flowed."""
        match event:
            case "trade_confirmed":
                battery = fields["battery"]
                account, device = self._accounts[battery], self._devices[battery]
                self._begin(battery, (fields["peer"], fields["bid_id"]), 0)
                lapse = device.model.config.time_lapse
                account.given_away_wh += fields["power_w"] * _REST_MS * lapse / MS_PER_H + device.counter_step_wh + 1
            case "delivery_ended":
                self._end(fields["battery"], (fields["peer"], fields["bid_id"]), fields)
                self._check_complete(fields)
                self._settle(fields["battery"])

    def heard_unsaved(self, fields: dict[str, Any]) -> None:
        """Take an end that its buyer is told of although the disk has failed. Raises Breach as `heard` does."""
        account, key = self._accounts[fields["battery"]], (fields["peer"], fields["bid_id"])
        account.is_clean = False
        account.unsaved_wh[key] = fields["delivered_wh"] - account.open_wh.get(key, 0)
        self._check(fields["battery"])

    def _begin(self, battery: str, key: TradeKey, had_wh: int) -> None:
        account = self._accounts[battery]
        if not account.open_wh:
            account.from_wh = self._devices[battery].readings[-1].sold_wh
            account.billed_wh = 0
            account.unsaved_wh.clear()
            account.unmetered_wh = 0.0
            account.gap = None
            account.given_away_wh = self._ebbing_wh(battery)
            account.is_clean = self._now_ms() >= self._clean_from_ms
        account.open_wh.setdefault(key, had_wh)

    def _ebbing_wh(self, battery: str) -> float:
        """Return what earlier trades still draw: since the last reading, and until their power is gone."""
        device = self._devices[battery]
        device.advance(self._now_ms())
        config, power_w = device.model.config, max(0.0, -device.model.power_w)
        ramp_s = power_w / (config.ramp_w_per_s or config.rated_power_w)
        return device.sold_wh - device.readings[-1].sold_wh + power_w * ramp_s / 2 * config.time_lapse / 3_600

    def _end(self, battery: str, key: TradeKey, fields: dict[str, Any]) -> None:
        account = self._accounts[battery]
        account.billed_wh += fields["delivered_wh"] - account.open_wh.pop(key, 0)
        self._check(battery)

    def _check(self, battery: str) -> None:
        account, device = self._accounts[battery], self._devices[battery]
        self._close_gap(battery)
        device.advance(self._now_ms())
        billed_wh = account.billed_wh + sum(account.unsaved_wh.values())
        flowed_wh = device.sold_wh - account.from_wh
        if billed_wh > flowed_wh + account.unmetered_wh + device.counter_step_wh + 1:
            what = f"{billed_wh} Wh billed, {flowed_wh:.1f} Wh flowed for buyers, {account.unmetered_wh:.1f} unmetered"
            raise Breach("payouts equal receipts", f"{battery}: {what}")

    def _check_complete(self, fields: dict[str, Any]) -> None:
        battery, agreed_wh, got_wh = fields["battery"], fields["energy_wh"], fields["delivered_wh"]
        tolerance_wh = min(max(1, self._devices[battery].counter_step_wh), max(1, agreed_wh // 100))
        if fields["end_code"] == ReasonCode.NONE and not fields["reason"] and got_wh + tolerance_wh < agreed_wh:
            what = f"{battery}: bid {fields['bid_id']} ended well with {got_wh} of {agreed_wh} Wh"
            raise Breach("a trade that ends complete got its energy", what)

    def _settle(self, battery: str) -> None:
        """Judge a clean account when the last of its trades has ended."""
        account = self._accounts[battery]
        if account.open_wh or not account.is_clean:
            return
        self.settled += 1
        flowed_wh = self._devices[battery].sold_wh - account.from_wh
        if account.billed_wh < flowed_wh - account.given_away_wh:
            what = f"{account.billed_wh} Wh billed, {flowed_wh:.1f} Wh flowed for buyers"
            raise Breach("what flowed is billed", f"{battery}: {what}, {account.given_away_wh:.1f} may go unbilled")

    def _gap(self, battery: str, books: Books, now_wall_ms: int) -> _Gap | None:
        """Return the gap that a process begins with, None when nobody has been served since any counter on record."""
        device, off_ms = self._devices[battery], now_wall_ms - self._now_ms()
        served: list[tuple[Reading, int]] = []
        for trade in books.trades.values():
            if trade.counter_wall_ms is None:
                continue
            read_by_ms = trade.counter_wall_ms - off_ms
            since = next((each for each in reversed(device.readings) if each.at_ms <= read_by_ms), device.readings[0])
            if device.held or device.let_go_at_ms > since.at_ms:
                served.append((since, trade.deal.power_w))
        if not served:
            return None
        return _Gap(
            since=min(since for since, _ in served),
            power_w=sum(power_w for _, power_w in served),
            baseline_w=int(books.take_over.body["baseline_w"]) if books.take_over else 0,
        )

    def _close_gap(self, battery: str) -> None:
        """Allow for a gap once a process has read the battery after it."""
        account, device = self._accounts[battery], self._devices[battery]
        gap, met = account.gap, device.met
        if gap is None or met is None:
            return
        account.gap = None
        lapse = device.model.config.time_lapse
        known_wh = gap.baseline_w * (met.at_ms - gap.since.at_ms) * lapse / MS_PER_H
        given_wh = gap.power_w * SERVED_MS * lapse / MS_PER_H
        sold_wh = met.sold_wh - gap.since.sold_wh
        unmetered_wh = max(0.0, min(met.own_wh - gap.since.own_wh - known_wh, given_wh - sold_wh))
        account.unmetered_wh += unmetered_wh
        self.unmetered_wh[battery] += unmetered_wh

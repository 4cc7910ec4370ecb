"""One world from one seed: gateways, buyers, bad links and disks; trades until the hours are over, then goes quiet.

`run(options)` returns a `Summary` with the trace's hash; it raises `Failure` with seed, virtual time and the last
events when an invariant does not hold, when production code raises where nothing should, or when too little happened
for the rest to mean anything (`enough`).
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agent.journal_errors import JournalClosed
from simulation import invariants
from simulation.bank import Bank, Totals
from simulation.battery import Device
from simulation.billing import Billing
from simulation.enough import ASKED, check_enough
from simulation.faults import Fault, FaultRates, schedule
from simulation.invariants import Breach, DeviceWatch
from simulation.ledger import Ledger
from simulation.loop import VirtualLoop
from simulation.machines import BuyerHost, GatewayHost
from simulation.network import LinkWeather, Network
from simulation.operator import Operator
from simulation.promises import PromiseWatch
from simulation.scene import (
    BATTERIES_MAX,
    BUYERS_MAX,
    TIME_LAPSE,
    battery_names,
    buyer_toml,
    buyers_of,
    draw_gauge,
    draw_market,
    draw_model,
    site_toml,
)
from simulation.trace import Trace
from simulation.wire import accepts_in, check_accept_on_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulation.enough import Least
    from simulation.network import End
    from simulation.scene import BuyerPart, Market

_HOUR_S: Final = 3_600.0
_QUIET_S: Final = 600.0
_IDLE_POLL_S: Final = 2.0
_BAD_WEATHER: Final = LinkWeather(delay_ms=(20, 400), stall_chance=0.05, reset_chance=0.002)
_GOOD_WEATHER: Final = LinkWeather()
_STALLED: Final = LinkWeather(stall_chance=1.0)
_HARMLESS_TO_METERS: Final = frozenset({"gauge", "weather", "reset", "buyer_crash"})
_MISREAD_PERMILLE: Final = 24
"""Half of it is the most that a gauge without its count shows above the floor, and below it."""


class Failure(Exception):  # noqa: N818 - it is what a run ends with
    """A run that ended badly: what, when, and the last events; the seed replays it."""

    def __init__(self, seed: int, now_s: float, cause: BaseException, tail: list[str]) -> None:
        super().__init__(f"seed {seed} after {now_s:.3f} s: {type(cause).__name__}: {cause}")
        self.seed = seed
        self.tail = tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A run: its seed and length, where its files go, how often what goes wrong, and its market (None = drawn).

    `least` is what it must show from one hour on.
    """

    seed: int
    hours: float
    directory: Path
    rates: FaultRates = field(default_factory=FaultRates)
    market: Market | None = None
    least: Least = ASKED
    settled: bool = False
    """Everybody signs, and trades are paid on a ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did."""

    seed: int
    hours: float
    digest: str
    awards: int
    trades: int
    deliveries: int
    faults: int
    crashes: int
    crashes_at_accept: int
    stops: int
    resets: int
    delivered_wh: int
    settled: int
    """How many accounts of buyers were closed in which nothing had gone wrong: their bills are judged both ways."""
    steps: int
    paid_trades: int
    """Trades that were paid on a ledger; what follows is of those, money in base units."""
    claimed: int
    disputed: int
    paid_units: int
    fee_units: int


class World:
    """The world; `run` is its life."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.loop = VirtualLoop()
        self.trace = Trace(str(options.directory))
        self._rng = random.Random(options.seed)
        self.network = Network(self.loop, random.Random(self._rng.random()), _GOOD_WEATHER)
        self.loop.network = self.network
        self.network.overhear = self._overhear
        self.loop.set_exception_handler(self._unhandled)
        self.devices: dict[str, Device] = {}
        self.counts: dict[str, int] = dict.fromkeys(("faults", "crashes_at_accept"), 0)
        self._ledger = Ledger()
        self._at_accept: deque[Callable[[], None]] = deque()
        """What waits for the next Accept, because it is about what happens right after one."""
        self._watches: list[tuple[str, DeviceWatch, PromiseWatch]] = []
        self._sold_wh: dict[str, float] = {}
        self._cause: BaseException | None = None
        self._crash_at_accept_by_s = 4 * _HOUR_S
        drawn = draw_market(self._rng)
        self._market = options.market or drawn
        self.bank = self._open_bank() if options.settled else None
        self.loop.after_step = self._check_step
        self.gateway = self._make_gateway()
        self._billing = Billing(self.devices, self._now_ms)
        self.operator = Operator(self.gateway, self._ledger, self._billing, loop=self.loop, fail=self._fail)
        self.buyers = [self._make_buyer(part) for part in buyers_of(random.Random(self._rng.random()), self._market)]

    def run(self) -> Summary:
        """Live. Raises Failure."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._live())
            self._raise_cause()
            self._check_enough()
        except Exception as error:
            cause = self._cause or error
            raise Failure(self.options.seed, self.loop.time(), cause, self.trace.tail(30)) from error
        finally:
            asyncio.set_event_loop(None)
            self._bury()
            if self.bank is not None:
                self.bank.close()
            self.loop.close()
        return self._summary()

    async def _live(self) -> None:
        self.operator.boot()
        for buyer in self.buyers:
            buyer.boot()
        if self.bank is not None:
            self.loop.create_task(self.bank.live(self.options.hours)).add_done_callback(self._bank_lived)
        rng = random.Random(self._rng.random())
        for fault in schedule(rng, self.options.rates, self.options.hours):
            await self._sleep_until(fault.at_ms / 1_000)
            self._begin(fault)
        await self._sleep_until(self.options.hours * _HOUR_S)
        await self._go_quiet()

    async def _go_quiet(self) -> None:
        """Let every buyer go and every trade end, restart once more, and look at what the journal says."""
        for buyer in self.buyers:
            buyer.crash()
        if self.bank is not None:
            self.bank.calm()
        await asyncio.sleep(_QUIET_S)
        self.operator.crash()
        self.operator.boot()
        await asyncio.sleep(_QUIET_S)
        if self.bank is not None:
            await self.bank.settle_all()
            self.bank.check_over(self.gateway.records())
        records = self.gateway.records()
        invariants.check_lots(records, self._ledger.lots)
        invariants.check_survival(records, self._ledger.confirmed)
        flowed = {
            name: device.sold_wh - self._sold_wh[name] + self._billing.unmetered_wh[name]
            for name, device in self.devices.items()
        }
        invariants.check_end(records, flowed, self._ledger.told)

    def _begin(self, fault: Fault) -> None:
        self.counts["faults"] += 1
        self._tell("world", "fault", {"kind": fault.kind, "lasts_ms": fault.lasts_ms})
        if fault.kind not in _HARMLESS_TO_METERS:
            self._billing.disturb(fault.lasts_ms)
        device = list(self.devices.values())[int(fault.victim * len(self.devices))]
        buyer = self.buyers[int(fault.victim * len(self.buyers))]
        match fault.kind:
            case "silent":
                self._for_a_while(fault, lambda on: self._silence(device, on=on))
            case "deaf" | "hot":
                self._for_a_while(fault, lambda on: setattr(device.troubles, fault.kind, on))
            case "fault":
                self._for_a_while(fault, lambda on: setattr(device.troubles, "fault", "contactor" if on else ""))
            case "house":
                takes_w = int(300 + 1_200 * fault.victim)
                self._for_a_while(fault, lambda on: device.live(-takes_w if on else device.sun_w, self._now_ms()))
            case "gauge":
                self._at_accept.append(partial(self._for_a_while, fault, partial(self._misread, fault)))
            case "weather":
                self._for_a_while(fault, self._turn_weather)
            case "reset":
                ends = self.network.open_ends()
                if ends:
                    ends[int(fault.victim * len(ends))].abort()
            case "buyer_crash":
                buyer.crash()
                self.loop.call_later(fault.lasts_ms / 1_000, self._boot_buyer, buyer)
            case "owner_stop":
                self._for_a_while(fault, lambda on: self.operator.owner(device.name, stop=on))
            case _:
                self._begin_at_gateway(fault)

    def _begin_at_gateway(self, fault: Fault) -> None:
        disk, operator, lasts_s = self.gateway.disk, self.operator, fault.lasts_ms / 1_000
        match fault.kind:
            case "disk_stall":
                self._for_a_while(fault, lambda on: setattr(disk, "stall_ms", 700.0 if on else 0.0))
            case "disk_full":
                disk.full = True
                self.loop.call_later(lasts_s, self._make_room)
            case "commit_then_error":
                self._at_accept.append(partial(self._fail_commits, lasts_s, crashes=fault.victim < 0.5))
            case "gateway_crash":
                operator.crash()
                self.loop.call_later(lasts_s, operator.boot)
            case "graceful_stop":
                begins_s = 10 ** (-3 + 4 * fault.victim)  # 1 ms .. 10 s after an Accept
                boots = partial(self.loop.call_outside, lasts_s, operator.boot)
                self._at_accept.append(partial(self.loop.call_outside, begins_s, operator.stop, boots))
            case unknown:
                raise ValueError(f"unknown kind of fault: {unknown}")

    def _misread(self, fault: Fault, begins: bool) -> None:
        """Let the gauges show the floor to whoever delivers, or else stall every link and let them show little more.

        Where the links stall, what was sold is not confirmed before the gauges have been read.
        """
        stalls = fault.victim >= 0.5
        above_permille = int(_MISREAD_PERMILLE * (fault.victim - 0.5))
        for site in self.gateway.site.batteries:
            self.devices[site.name].troubles.gauge_permille = site.floor_permille + above_permille if begins else None
        if begins and stalls:
            self.network.weather = _STALLED
            self.loop.call_outside(_IDLE_POLL_S, self._turn_weather, False)

    def _silence(self, device: Device, *, on: bool) -> None:
        device.troubles.silent = on
        device.silent_at_ms = self._now_ms()

    def _make_room(self) -> None:
        """The operator frees the disk and restarts the agent, which has stopped selling."""
        self.gateway.disk.full = False
        self.operator.stop(partial(self.loop.call_outside, 1.0, self.operator.boot))

    def _fail_commits(self, lasts_s: float, *, crashes: bool) -> None:
        """What is written is kept and reported as lost; then somebody restarts the agent."""
        disk = self.gateway.disk
        disk.fails_after_commit = True

        def restart() -> None:
            disk.fails_after_commit = False
            boot = partial(self.loop.call_outside, 1.0, self.operator.boot)
            if crashes:
                self.operator.crash()
                boot()
            else:
                self.operator.stop(boot)

        self.loop.call_outside(lasts_s, restart)

    def _for_a_while(self, fault: Fault, switch: Callable[[bool], None]) -> None:
        switch(True)
        self.loop.call_outside(fault.lasts_ms / 1_000, switch, False)

    def _turn_weather(self, bad: bool) -> None:
        self.network.weather = _BAD_WEATHER if bad else _GOOD_WEATHER

    def _boot_buyer(self, buyer: BuyerHost) -> None:
        if buyer.process is None:
            buyer.boot()

    def _tell(self, who: str, name: str, fields: dict[str, Any]) -> None:
        """Take an event into the trace, and check what must hold at it."""
        self.trace.add(self._now_ms(), who, name, fields)
        if who != self.gateway.name or self._cause is not None:
            return
        try:
            self._check_event(name, fields)
        except Breach as breach:
            self._fail(breach)

    def _check_event(self, name: str, fields: dict[str, Any]) -> None:
        gateway = self.gateway.gateway
        if gateway is None:
            return
        failed = gateway.journal.failed
        if name == "delivery_ended" and failed is not None and not isinstance(failed, JournalClosed):
            self._billing.heard_unsaved(fields)
            return  # the buyer is told although the disk may not have it: the next start goes by the disk
        self._ledger.heard(name, fields)
        if name == "delivery_ended":
            self._billing.taken_off(fields["battery"], gateway.fronts[fields["battery"]].delivery.baseline_w)
        self._billing.heard(name, fields)
        if name == "bid_accepted":
            device = self.devices[fields["battery"]]
            owed_wh = self._ledger.owed_wh(device.name)
            now_ms = self._now_ms()
            invariants.check_accept(gateway.fronts[device.name], device, fields, owed_wh=owed_wh, now_ms=now_ms)
            if self._draws_crash_at_accept():
                self.counts["crashes_at_accept"] += 1
                self.loop.call_outside(0.0, self.operator.crash)
                self.loop.call_outside(self._rng.uniform(0.1, 20.0), self.operator.boot)
            while self._at_accept:
                self._at_accept.popleft()()

    def _overhear(self, end: End, data: bytes) -> None:
        """Check what the gateway gives to its links."""
        if end.process is not self.gateway.process or end.process is None or self._cause is not None:
            return
        try:
            for accept in accepts_in(data):
                battery = next(site.name for site in self.gateway.site.batteries if site.port == end.port)
                check_accept_on_disk(self.gateway.site.storage.journal, battery, accept)
        except Breach as breach:
            self._fail(breach)

    def _draws_crash_at_accept(self) -> bool:
        """Draw whether the power goes now; never let more than 4 h pass without it."""
        now_s = self.loop.time()
        if self._rng.random() >= self.options.rates.crash_at_accept and now_s < self._crash_at_accept_by_s:
            return False
        self._crash_at_accept_by_s = now_s + 4 * _HOUR_S
        return True

    def _check_step(self) -> None:
        if self._cause is not None:
            raise self._cause
        self.gateway.check()
        for buyer in self.buyers:
            buyer.check()
        now_ms = int(self.loop.time() * 1_000)
        gateway = self.gateway.gateway
        fronts = {} if gateway is None else gateway.fronts
        for name, watch, promises in self._watches:
            front = fronts.get(name)
            watch.check(front, now_ms)
            if front is not None:
                promises.check(front)

    def _raise_cause(self) -> None:
        if self._cause is not None:
            raise self._cause

    def _check_enough(self) -> None:
        summary = self._summary()
        check_enough(
            self.options.least,
            hours=summary.hours,
            awards=summary.awards,
            faults=summary.faults,
            crashes_at_accept=summary.crashes_at_accept,
        )

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody took is a failure of the run."""
        error = context.get("exception")
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._cause = self._cause or error

    def _now_ms(self) -> int:
        return int(self.loop.time() * 1_000)

    async def _sleep_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.loop.time()))

    def _open_bank(self) -> Bank:
        """Open everybody's account, and let everybody sign."""
        self._market = self._market._replace(signed=True)
        return Bank(
            self.loop,
            random.Random(self.options.seed),
            batteries=[f"battery-{number}" for number in range(1, BATTERIES_MAX + 1)],
            buyers=[f"buyer-{number}" for number in range(1, BUYERS_MAX + 1)],
            tell=self._tell,
            fail=self._fail,
        )

    def _bank_lived(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _make_gateway(self) -> GatewayHost:
        rng = random.Random(self._rng.random())
        names = battery_names(rng)
        for name in names:
            model = draw_model(rng, self._market)
            step_permille, bias_permille = draw_gauge(rng)
            self.devices[name] = Device(
                name,
                model,
                counter_step_wh=rng.choice((1, 10)),
                soc_step_permille=step_permille,
                soc_bias_permille=bias_permille,
            )
            self._sold_wh[name] = self.devices[name].sold_wh
        host = GatewayHost(
            "gateway",
            site_toml(rng, names, self._market, "" if self.bank is None else self.bank.site_toml()),
            directory=self.options.directory,
            devices=self.devices,
            loop=self.loop,
            network=self.network,
            rng=rng,
            tell=self._tell,
            idle_poll_s=_IDLE_POLL_S,
            bank=self.bank,
        )
        for site in host.site.batteries:
            device = self.devices[site.name]
            self._watches.append(
                (site.name, DeviceWatch(device, site.floor_permille), PromiseWatch(device, self._ledger))
            )
        return host

    def _make_buyer(self, part: BuyerPart) -> BuyerHost:
        cosigns = part.seed % 4 > 0
        more = "" if self.bank is None else self.bank.buyer_toml(part.name, time_lapse=TIME_LAPSE, cosigns=cosigns)
        return BuyerHost(
            part.name,
            buyer_toml(part, len(self.devices), self._market) + more,
            directory=self.options.directory,
            loop=self.loop,
            network=self.network,
            rng=random.Random(part.seed),
            tell=self._tell,
            forgets_time=part.forgets_time and self.bank is None,
            bank=self.bank,
        )

    def _bury(self) -> None:
        hosts: list[GatewayHost | BuyerHost] = [self.gateway, *self.buyers]
        for host in hosts:
            host.crash()
            host.bury()

    def _summary(self) -> Summary:
        counts = self.trace.counts
        return Summary(
            seed=self.options.seed,
            hours=self.options.hours,
            digest=self.trace.digest,
            awards=counts["bid_accepted"],
            trades=counts["trade_confirmed"],
            deliveries=counts["delivery_ended"],
            faults=self.counts["faults"],
            crashes=self.operator.crashes,
            crashes_at_accept=self.counts["crashes_at_accept"],
            stops=self.operator.stops,
            resets=self.network.resets,
            delivered_wh=int(sum(device.sold_wh - self._sold_wh[name] for name, device in self.devices.items())),
            settled=self._billing.settled,
            steps=self.loop.steps,
            **(Totals() if self.bank is None else self.bank.totals())._asdict(),
        )


def run(options: Options) -> Summary:
    """Run one world. Raises Failure."""
    return World(options).run()

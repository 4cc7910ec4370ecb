"""One world from one seed: gateways, buyers, bad links and disks; trades until the hours are over, then goes quiet.

`run(options)` returns a `Summary` with the trace's hash; it raises `Failure` with seed, virtual time and the last
events when an invariant does not hold or production code raises where nothing should.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drivers.sim.physics import BatteryConfig, BatteryModel
from simulation import invariants
from simulation.battery import Device
from simulation.faults import Fault, FaultRates, schedule
from simulation.invariants import Breach, DeviceWatch
from simulation.ledger import Ledger
from simulation.loop import VirtualLoop
from simulation.machines import BuyerHost, GatewayHost
from simulation.network import LinkWeather, Network
from simulation.scene import DEVICES, battery_names, buyer_toml, buyers_of, draw_market, site_toml
from simulation.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulation.scene import BuyerPart

_HOUR_S: Final = 3_600.0
_QUIET_S: Final = 600.0
_BAD_WEATHER: Final = LinkWeather(delay_ms=(20, 400), stall_chance=0.05, reset_chance=0.002)
_GOOD_WEATHER: Final = LinkWeather()


class Failure(Exception):  # noqa: N818 - it is what a run ends with
    """A run that ended badly: what, when, and the last events; the seed replays it."""

    def __init__(self, seed: int, now_s: float, cause: BaseException, tail: list[str]) -> None:
        super().__init__(f"seed {seed} after {now_s:.3f} s: {type(cause).__name__}: {cause}")
        self.seed = seed
        self.tail = tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A run: its seed and length, where its files go, and how often what goes wrong."""

    seed: int
    hours: float
    directory: Path
    rates: FaultRates = field(default_factory=FaultRates)


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
    resets: int
    delivered_wh: int
    steps: int


class World:
    """The world; `run` is its life."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.loop = VirtualLoop()
        self.trace = Trace()
        self._rng = random.Random(options.seed)
        self.network = Network(self.loop, random.Random(self._rng.random()), _GOOD_WEATHER)
        self.loop.network = self.network
        self.loop.after_step = self._check_step
        self.loop.set_exception_handler(self._unhandled)
        self.devices: dict[str, Device] = {}
        self.counts: dict[str, int] = dict.fromkeys(("faults", "crashes", "crashes_at_accept"), 0)
        self._ledger = Ledger()
        self._watches: list[tuple[str, DeviceWatch]] = []
        self._counters_wh: dict[str, int] = {}
        self._cause: BaseException | None = None
        self._crash_at_accept_by_s = 4 * _HOUR_S
        self._market = draw_market(self._rng)
        self.gateway = self._make_gateway()
        self.buyers = [self._make_buyer(part) for part in buyers_of(random.Random(self._rng.random()), self._market)]

    def run(self) -> Summary:
        """Live. Raises Failure."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._live())
            self._raise_cause()
        except Exception as error:
            cause = self._cause or error
            raise Failure(self.options.seed, self.loop.time(), cause, self.trace.tail(30)) from error
        finally:
            asyncio.set_event_loop(None)
            self._bury()
            self.loop.close()
        return self._summary()

    async def _live(self) -> None:
        self.gateway.boot()
        for buyer in self.buyers:
            buyer.boot()
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
        await asyncio.sleep(_QUIET_S)
        self._crash_gateway()
        self._boot_gateway()
        await asyncio.sleep(_QUIET_S)
        records = self.gateway.records()
        invariants.check_lots(records)
        invariants.check_survival(records, self._ledger.confirmed)
        moved = {name: d.discharged_wh - self._counters_wh[name] for name, d in self.devices.items()}
        invariants.check_end(records, moved)

    def _begin(self, fault: Fault) -> None:
        self.counts["faults"] += 1
        self._tell("world", "fault", {"kind": fault.kind, "lasts_ms": fault.lasts_ms})
        device = list(self.devices.values())[int(fault.victim * len(self.devices))]
        buyer = self.buyers[int(fault.victim * len(self.buyers))]
        match fault.kind:
            case "silent" | "deaf" | "hot":
                self._for_a_while(fault, lambda on: setattr(device.troubles, fault.kind, on))
            case "fault":
                self._for_a_while(fault, lambda on: setattr(device.troubles, "fault", "contactor" if on else ""))
            case "disk_stall":
                self._for_a_while(fault, lambda on: setattr(self.gateway.disk, "stall_ms", 700.0 if on else 0.0))
            case "weather":
                self._for_a_while(fault, self._turn_weather)
            case "reset":
                ends = self.network.open_ends()
                if ends:
                    ends[int(fault.victim * len(ends))].abort()
            case "gateway_crash":
                self._crash_gateway()
                self.loop.call_later(fault.lasts_ms / 1_000, self._boot_gateway)
            case "buyer_crash":
                buyer.crash()
                self.loop.call_later(fault.lasts_ms / 1_000, self._boot_buyer, buyer)
            case "owner_stop":
                self._for_a_while(fault, lambda on: self._owner(device.name, stop=on))

    def _for_a_while(self, fault: Fault, switch: Callable[[bool], None]) -> None:
        switch(True)
        self.loop.call_later(fault.lasts_ms / 1_000, switch, False)

    def _turn_weather(self, bad: bool) -> None:
        self.network.weather = _BAD_WEATHER if bad else _GOOD_WEATHER

    def _owner(self, battery: str, *, stop: bool) -> None:
        gateway = self.gateway.gateway
        if gateway is None or battery not in gateway.fronts:
            return
        owner = gateway.owner_desk()
        if stop:
            owner.stop_selling(battery, "the owner wants it")
        else:
            owner.resume(battery)

    def _crash_gateway(self) -> None:
        if self.gateway.process is not None:
            self.counts["crashes"] += 1
            self.gateway.crash()
            self._ledger.crashed()

    def _boot_gateway(self) -> None:
        if self.gateway.process is None:
            self.gateway.boot()
            gateway = self.gateway.gateway
            if gateway is not None:
                self.loop.call_later(0.5, self._after_boot)

    def _after_boot(self) -> None:
        gateway = self.gateway.gateway
        if gateway is not None and gateway.is_open:
            invariants.check_survival(self.gateway.records(), self._ledger.confirmed)
            for name in self.devices:
                self._owner(name, stop=False)

    def _boot_buyer(self, buyer: BuyerHost) -> None:
        if buyer.process is None:
            buyer.boot()

    def _tell(self, who: str, name: str, fields: dict[str, Any]) -> None:
        """Take an event into the trace, and check what must hold at it."""
        self.trace.add(int(self.loop.time() * 1_000), who, name, fields)
        if who != self.gateway.name or self._cause is not None:
            return
        try:
            self._check_event(name, fields)
        except Breach as breach:
            self._cause = breach

    def _check_event(self, name: str, fields: dict[str, Any]) -> None:
        gateway = self.gateway.gateway
        if gateway is None:
            return
        self._ledger.heard(name, fields)
        if name == "bid_accepted":
            device = self.devices[fields["battery"]]
            owed_wh = self._ledger.owed_wh(device.name)
            now_ms = int(self.loop.time() * 1_000)
            invariants.check_accept(gateway.fronts[device.name], device, fields, owed_wh=owed_wh, now_ms=now_ms)
            if self._draws_crash_at_accept():
                self.counts["crashes_at_accept"] += 1
                self.loop.call_outside(0.0, self._crash_gateway)
                self.loop.call_outside(self._rng.uniform(0.1, 20.0), self._boot_gateway)

    def _draws_crash_at_accept(self) -> bool:
        """Draw whether the power goes now; never let more than 4 h pass without it."""
        now_s = self.loop.time()
        if self._rng.random() >= self.options.rates.crash_at_accept and now_s < self._crash_at_accept_by_s:
            return False
        self._crash_at_accept_by_s = now_s + 4 * _HOUR_S
        return True

    def _check_step(self) -> None:
        self._raise_cause()
        self.gateway.check()
        now_ms = int(self.loop.time() * 1_000)
        gateway = self.gateway.gateway
        for name, watch in self._watches:
            watch.check(None if gateway is None else gateway.fronts.get(name), now_ms)

    def _raise_cause(self) -> None:
        if self._cause is not None:
            raise self._cause

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody took is a failure of the run."""
        error = context.get("exception")
        if error is not None and self._cause is None:
            self._cause = error

    async def _sleep_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.loop.time()))

    def _make_gateway(self) -> GatewayHost:
        rng = random.Random(self._rng.random())
        names = battery_names(rng)
        for name in names:
            model = BatteryModel(BatteryConfig(soc_permille=rng.randint(250, 1_000), **DEVICES))
            self.devices[name] = Device(name, model, counter_step_wh=rng.choice((1, 10)))
            self._counters_wh[name] = self.devices[name].discharged_wh
        host = GatewayHost(
            "gateway",
            site_toml(rng, names, self._market),
            directory=self.options.directory,
            devices=self.devices,
            loop=self.loop,
            network=self.network,
            rng=rng,
            tell=self._tell,
        )
        for site in host.site.batteries:
            self._watches.append((site.name, DeviceWatch(self.devices[site.name], site.floor_permille)))
        return host

    def _make_buyer(self, part: BuyerPart) -> BuyerHost:
        return BuyerHost(
            part.name,
            buyer_toml(part, len(self.devices), self._market),
            directory=self.options.directory,
            loop=self.loop,
            network=self.network,
            rng=random.Random(part.seed),
            tell=self._tell,
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
            crashes=self.counts["crashes"],
            crashes_at_accept=self.counts["crashes_at_accept"],
            resets=self.network.resets,
            delivered_wh=sum(d.discharged_wh - self._counters_wh[n] for n, d in self.devices.items()),
            steps=self.loop.steps,
        )


def run(options: Options) -> Summary:
    """Run one world. Raises Failure."""
    return World(options).run()

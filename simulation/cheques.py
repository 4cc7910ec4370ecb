"""A world of cheques: settlers of batteries and buyers, some of them dishonest, and one ledger, from one seed.

The trades themselves are drawn, so that days of settling pass in seconds; who pays whom is production code: the real
settlers over a bad network to the real program. `run(options)` returns a `Tally` with the trace's hash; it raises
`Failure` with seed, virtual time and the last events when an invariant does not hold.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from settlement.cover import Promise, Wanted, free_number, shortfall
from settlement.progress import plausible_wh
from simulation.chain import Chain, wall_s
from simulation.cheque_faults import ChequeFaults, schedule
from simulation.cheque_watch import ChequeWatch
from simulation.deals import Deal, Terms, draw_deal, draw_people, seen_by
from simulation.invariants import Breach
from simulation.loop import VirtualLoop
from simulation.payments import HOW, RULES, Payments, check_over
from simulation.resolver import Resolver
from simulation.rpc_nodes import Nodes
from simulation.settlers import SettlerHost
from simulation.thief import Thief
from simulation.trace import Trace
from simulation.world import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from settlement.program.events import Disputed
    from simulation.deals import Person
    from simulation.faults import Fault
    from simulation.rpc_nodes import Node

URLS: Final = ("http://one.simulated:8899", "http://two.simulated:8899")
POLL_S: Final = 120.0
_HOUR_S: Final = 3_600.0
WINDOW_S: Final = 6 * 3_600
"""Longer than any outage: an honest buyer always comes back in time to dispute."""
_VALID_FOR_S: Final = 86_400
"""As short as a contract can be valid."""
TIMEOUT_S: Final = 2 * 3_600
_QUIET_S: Final = 5 * 3_600
"""Beyond a window and a resolver's time: until a claim begins, and the last of those who might act does."""
_LOOK_S: Final = 600.0
_INTERIMS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChequeOptions:
    """A run: seed, hours of trade, where its files go, what goes wrong, and how often somebody buys.

    `people` (batteries, buyers) come in place of drawn ones, and only `trades_max` trades are made. `crash_at` names a
    party and the number of one of its steps: there it loses power.
    """

    seed: int
    hours: float
    directory: Path
    faults: ChequeFaults = field(default_factory=ChequeFaults)
    trades_per_h: float = 6.0
    poll_s: float = POLL_S
    people: tuple[list[Person], list[Person]] | None = None
    trades_max: int = 1_000_000
    window_s: int = WINDOW_S
    """In which a claim may be disputed."""
    timeout_s: int = TIMEOUT_S
    """That whoever rules on disputes has."""
    crash_at: tuple[str, int] | None = None
    unrecorded: float = 0.0
    """The chance that a battery has no record of a delivery's end: nobody can be paid for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a run did. Money in base units."""

    seed: int
    hours: float
    """Virtual, the quiet end included."""
    digest: str
    trades: int
    uncovered: int
    """Trades that a battery did not enter because the Line did not cover them."""
    settled: int
    cosigned: int
    finalized: int
    resolved: int
    timed_out: int
    claimed: int
    disputed: int
    attested: int
    """How often a co-signed interim receipt put energy beyond dispute."""
    voided: int
    """Numbers of trades that nobody could be paid for."""
    paid: int
    fees: int
    faults: int
    crashes: int
    thefts: int
    """How often somebody tried to be paid for nothing."""
    signed: int
    requests: int
    steps: int


class ChequeWorld:
    """The world; `run` is its life."""

    def __init__(self, options: ChequeOptions) -> None:
        self.options = options
        self.loop = VirtualLoop()
        self.trace = Trace(str(options.directory))
        self.deals: dict[bytes, Deal] = {}
        self.payments = Payments(self.deals)
        self.faults = self.uncovered = 0
        self._rng = random.Random(options.seed)
        self._cause: BaseException | None = None
        self._watch = ChequeWatch(self.fail)
        self._moods: dict[str, Fault] = {}
        self._trading: set[asyncio.Task[None]] = set()
        self.loop.set_exception_handler(self._unhandled)
        batteries, buyers = options.people or draw_people(self._rng)
        self.chain = Chain(self.loop, self._draw_rng(), batteries, buyers, timeout_s=options.timeout_s)
        self.terms = Terms(self.chain.venue, self.chain.resolver.public_key, options.window_s, _VALID_FOR_S)
        self.nodes = Nodes(self.loop, self._draw_rng(), self.chain, URLS)
        self.batteries = [self._host(person, buyers) for person in batteries]
        self.buyers = [self._host(person, batteries) for person in buyers]
        self.loop.after_step = self._check_step
        self.resolver = Resolver(self.chain, self.payments, self.deals, self._draw_rng())
        self.thief = Thief(self.chain, self.deals, self.chain.thief, self._draw_rng())
        self._watch.begin(
            chain=self.chain,
            payments=self.payments,
            on_dispute=self._disputed,
            on_landed=self.thief.saw,
            nodes=self.nodes,
            hosts=self.hosts,
            tell=self._tell,
        )

    @property
    def hosts(self) -> list[SettlerHost]:
        """Every party's machine."""
        return [*self.batteries, *self.buyers]

    def run(self) -> Tally:
        """Live. Raises Failure."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._live())
            self._raise_cause()
        except Exception as error:
            raise Failure(self.options.seed, self.loop.time(), self._cause or error, self.trace.tail(30)) from error
        finally:
            asyncio.set_event_loop(None)
            for host in self.hosts:
                host.crash()
                host.bury()
            self.chain.close()
            self.loop.close()
        return self._tally()

    def fail(self, error: BaseException) -> None:
        """Take what ends the run."""
        self._cause = self._cause or error

    async def _live(self) -> None:
        for host in self.hosts:
            host.boot()
        self.loop.call_outside(_HOUR_S, self.thief.begin)
        self._start(self._trade_on())
        for fault in schedule(self._draw_rng(), self.options.faults, self.options.hours):
            await asyncio.sleep(max(0.0, fault.at_ms / 1_000 - self.loop.time()))
            self._begin(fault)
        await asyncio.sleep(max(0.0, self.options.hours * _HOUR_S - self.loop.time()))
        await asyncio.gather(*self._trading)
        await self._go_quiet()

    async def _go_quiet(self) -> None:
        """Let everything work and all that is open have its time, then look at what everybody has."""
        for host in self.hosts:
            host.boot()
        quiet_s = self.options.window_s + self.options.timeout_s + _QUIET_S
        for _ in range(int(quiet_s / _LOOK_S)):
            if self._is_over():
                break
            await asyncio.sleep(_LOOK_S)
        check_over(self.deals.values(), self.payments)
        self._watch.check_end(self.deals)

    def _is_over(self) -> bool:
        """Whether nothing is open, on the ledger or, by its own account, at any settler that can still start."""
        ended = [deal for deal in self.deals.values() if deal.ended]
        owed = [deal for deal in ended if deal.final_wh and deal.trade_id not in self.payments.settled]
        here = [host for host in self.hosts if not host.is_gone]
        return not owed and not self.chain.open_trades() and all(host.has_caught_up() for host in here)

    async def _trade_on(self) -> None:
        """Let buyers find batteries until the hours are over."""
        rng, number = self._draw_rng(), 0
        while True:
            await asyncio.sleep(rng.expovariate(self.options.trades_per_h) * _HOUR_S)
            if self.loop.time() >= self.options.hours * _HOUR_S or len(self.deals) >= self.options.trades_max:
                return
            number += 1
            here = [host for host in self.buyers if not host.is_gone]
            if not here:
                continue
            battery, buyer = rng.choice(self.batteries), rng.choice(here)
            deal = self._agree(random.Random(rng.random()), battery, buyer, number)
            if deal is not None:
                self._start(self._deliver(deal, battery, buyer, random.Random(rng.random())))

    def _agree(self, rng: random.Random, battery: SettlerHost, buyer: SettlerHost, number: int) -> Deal | None:
        """Return a trade if the battery may enter it by what it knows of the Line."""
        if battery.settler is None or buyer.settler is None:
            return None
        line = battery.settler.line(buyer.person.wallet)
        if line is None:
            return None
        mine = [deal for deal in self.deals.values() if deal.battery is battery.person and deal.buyer is buyer.person]
        promises = [Promise(deal.contract.contract_no, deal.contract.reserve) for deal in mine]
        contract_no = free_number(line, promises)
        if contract_no is None:
            raise Breach("a Line goes on to take numbers", f"{battery.name} has none left from {line.base_no} on")
        deal = draw_deal(
            rng,
            self.terms,
            battery.person,
            buyer.person,
            now_s=wall_s(self.loop),
            generation=line.generation,
            contract_no=contract_no,
            message_id=number,
        )
        wanted = Wanted(
            buyer_key=buyer.person.identity.public_key,
            battery_key=battery.person.identity.public_key,
            generation=line.generation,
            units=deal.contract.reserve,
            valid_until_s=deal.contract.valid_until_s,
        )
        if shortfall(line, promises, wanted):
            self.uncovered += 1
            self.chain.top_up(battery.person, buyer.person)
            return None
        return deal

    async def _deliver(self, deal: Deal, battery: SettlerHost, buyer: SettlerHost, rng: random.Random) -> None:
        """Let energy flow, and let each side learn what its journal would hold of it."""
        self.deals[deal.trade_id] = deal
        self._tell("world", "agreed", {"trade": deal.trade_id.hex(), "true_wh": deal.true_wh, "says": deal.final_wh})
        battery.learn(deal.cheque("battery"))
        buyer.learn(deal.cheque("buyer"))
        if buyer.person.conduct == "vanishes" and rng.random() < 0.08:
            buyer.vanish()
        for part in range(1, _INTERIMS + 1):
            await asyncio.sleep(deal.lasts_s / (_INTERIMS + 1))
            flowed_wh = min(deal.true_wh, deal.final_wh) * part // (_INTERIMS + 1)
            if buyer.settler is not None and rng.random() < 0.7:
                deal.attest(flowed_wh, at_s=wall_s(self.loop))
                battery.learn(deal.cheque("battery"))
        await asyncio.sleep(deal.lasts_s / (_INTERIMS + 1))
        if self.options.unrecorded and rng.random() < self.options.unrecorded:
            self._tell("world", "unrecorded", {"trade": deal.trade_id.hex()})
            return
        deal.ended = True
        battery.learn(deal.cheque("battery"))
        await self._exchange(deal, battery, buyer, rng)

    async def _exchange(self, deal: Deal, battery: SettlerHost, buyer: SettlerHost, rng: random.Random) -> None:
        """Bring the final receipt to the buyer, sooner or later, and his signature back, if he gives it."""
        await asyncio.sleep(rng.uniform(0.01, 1.0) if rng.random() < 0.8 else rng.uniform(1.0, 3_600.0))
        if buyer.is_gone:
            return
        deal.seen_wh = seen_by(rng, buyer.person, deal)
        is_plausible = deal.final_wh <= plausible_wh(deal.seen_wh, RULES)
        deal.cosigned = is_plausible and buyer.person.conduct in ("honest", "vanishes")
        buyer.learn(deal.cheque("buyer", cosigned=deal.cosigned), deal.seen_wh)
        if deal.cosigned and rng.random() < 0.8:
            await asyncio.sleep(rng.uniform(0.01, 1.0) if rng.random() < 0.8 else rng.uniform(1.0, 7_200.0))
            battery.learn(deal.cheque("battery", cosigned=True))

    def _disputed(self, dispute: Disputed) -> None:
        """Somebody has disputed a claim; a liar may be gone before it is over."""
        self.resolver.heard(dispute)
        buyer = self.deals[dispute.trade_id].buyer
        if buyer.conduct == "lies" and self._rng.random() < 0.1:
            host = next(host for host in self.buyers if host.person is buyer)
            self.loop.call_outside(self._rng.uniform(0.0, _HOUR_S), host.vanish)

    def _begin(self, fault: Fault) -> None:
        self.faults += 1
        self._tell("world", "fault", {"kind": fault.kind, "lasts_ms": fault.lasts_ms})
        host = self.hosts[int(fault.victim * len(self.hosts))]
        node = list(self.nodes.of.values())[int(fault.victim * 1_000) % len(self.nodes.of)]
        match fault.kind:
            case "cut" | "offline":
                self._for_a_while(fault, lambda on: setattr(host, "is_cut", on))
            case "crash":
                self._crash(host, fault.lasts_ms / 1_000)
            case "disk_stall":
                self._for_a_while(fault, lambda on: setattr(host.disk, "stall_ms", 700.0 if on else 0.0))
            case "disk_full":
                self._for_a_while(fault, lambda on: setattr(host.disk, "full", on))
            case _:
                self.nodes.turn(node, fault.kind)
                self._moods[node.url] = fault
                self.loop.call_outside(fault.lasts_ms / 1_000, self._calm, node, fault)

    def _calm(self, node: Node, fault: Fault) -> None:
        """A mood is over, unless another came meanwhile."""
        if self._moods.get(node.url) is fault:
            self.nodes.turn(node, "")

    def _for_a_while(self, fault: Fault, switch: Callable[[bool], None]) -> None:
        switch(True)
        self.loop.call_outside(fault.lasts_ms / 1_000, switch, False)

    def _crash(self, host: SettlerHost, for_s: float) -> None:
        host.crash()
        self.loop.call_outside(for_s, host.boot)

    def _at_step(self, host: SettlerHost, step: str) -> None:
        """Let the power go at a step now and then; what runs now is finished, nothing after it happens."""
        is_named = self.options.crash_at == (host.name, host.steps)
        if is_named or self._rng.random() < self.options.faults.crash_at_step:
            self._tell("world", "crash_at_step", {"host": host.name, "step": step})
            self.loop.call_outside(0.0, self._crash, host, self._rng.uniform(0.1, self._rng.choice((5.0, 120.0))))

    def _start(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        self._trading.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._trading.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    def _check_step(self) -> None:
        self._raise_cause()
        for host in self.hosts:
            host.check()

    def _raise_cause(self) -> None:
        if self._cause is not None:
            raise self._cause

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:
            self.fail(error)

    def _tell(self, who: str, name: str, fields: dict[str, Any]) -> None:
        self.trace.add(int(self.loop.time() * 1_000), who, name, fields)

    def _draw_rng(self) -> random.Random:
        return random.Random(self._rng.random())

    def _host(self, person: Person, others: list[Person]) -> SettlerHost:
        host = SettlerHost(
            person,
            self.chain.venue,
            directory=self.options.directory,
            loop=self.loop,
            nodes=self.nodes,
            rng=self._draw_rng(),
            tell=self._tell,
            watcher=self._watch,
            poll_s=self.options.poll_s,
            watched=tuple(other.wallet for other in others),
        )
        host.on_step = self._at_step
        return host

    def _tally(self) -> Tally:
        payments, ends = self.payments, self.payments.settled.values()
        by = {name: payments.by(how) for how, name in HOW.items()}
        return Tally(
            seed=self.options.seed,
            hours=round(self.loop.time() / _HOUR_S, 2),
            digest=self.trace.digest,
            trades=len(self.deals),
            uncovered=self.uncovered,
            settled=len(ends),
            cosigned=by["co-signed"],
            finalized=by["finalized"],
            resolved=by["resolved"],
            timed_out=by["timed out"],
            claimed=len(payments.claimed),
            disputed=len(payments.disputed),
            attested=payments.attested,
            voided=payments.voided,
            paid=sum(event.payout for event in ends),
            fees=sum(event.fee for event in ends),
            faults=self.faults,
            crashes=sum(host.crashes for host in self.hosts),
            thefts=self.thief.tried,
            signed=self._watch.signed,
            requests=self.nodes.requests,
            steps=self.loop.steps,
        )


def run(options: ChequeOptions) -> Tally:
    """Run one world. Raises Failure."""
    return ChequeWorld(options).run()

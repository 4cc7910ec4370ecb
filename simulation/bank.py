"""The money of a world of trade: one ledger, and settlers of the gateway's batteries and of the buyers, all watched.

Nothing is drawn here but the nodes' moods: what is owed follows from the cheques that the production code hands to its
settlers, and what is paid is held against them and, at the end, against the gateway's journal.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agent.records import Deal as Sale
from agent.records import Kind
from settlement.exchange import to_base58
from settlement.progress import Rules
from settlement.settler import Settler
from simulation.chain import Chain
from simulation.cheque_faults import ChequeFaults, schedule
from simulation.cheque_watch import ChequeWatch
from simulation.deals import BASE_UNITS_PER_CENT, FEE_BPS, Deal, Person
from simulation.disk import Disk, VirtualExecutor
from simulation.invariants import Breach
from simulation.payments import Payments, check_over
from simulation.rpc_nodes import MOODS, Nodes, Wire, is_send, transaction_in
from simulation.settlers import Seat, WatchedSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.records import Record
    from etp.auth import Signer
    from settlement.cheque import Cheque
    from settlement.settler_types import SettlerEvent, SettlerSettings
    from simulation.faults import Fault
    from simulation.loop import VirtualLoop

URLS: Final = ("http://one.simulated:8899", "http://two.simulated:8899")
POLL_S: Final = 60.0
_LINE_UNITS: Final = 500_000_000
_WINDOW_S: Final = 900
_TIMEOUT_S: Final = 900
_COSIGN_WAIT_S: Final = 120
_RULES: Final = Rules(cosign_wait_s=_COSIGN_WAIT_S, tolerance_wh=120, tolerance_percent=2)
"""Energy runs 20 times faster here, and so does what a battery tells a few seconds late."""
_LOOK_S: Final = 120.0
_LOOKS: Final = 60
_HOUR_S: Final = 3_600.0
_FAULTS: Final = ChequeFaults(rates={**dict.fromkeys(MOODS, 0.3), "cut": 1.0, "offline": 0.1})
"""Power cuts and disks are the business of the world around."""


class Totals(NamedTuple):
    """What was paid, in base units, and how."""

    paid_trades: int = 0
    claimed: int = 0
    disputed: int = 0
    paid_units: int = 0
    fee_units: int = 0


class ToldSettler(Settler):
    """A settler whose cheques the world sees."""

    on_put: Callable[[Cheque, int | None], None] = staticmethod(lambda _cheque, _seen_wh: None)

    def put(self, cheque: Cheque, seen_wh: int | None = None) -> None:
        """Hand in a cheque."""
        self.on_put(cheque, seen_wh)
        super().put(cheque, seen_wh)


class Bank:
    """The ledger of one world and everybody's account with it; `fail` takes what must not happen."""

    def __init__(
        self,
        loop: VirtualLoop,
        rng: random.Random,
        *,
        batteries: Iterable[str],
        buyers: Iterable[str],
        tell: Callable[[str, str, dict[str, Any]], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.seats = {name: Seat(Person(name, "battery")) for name in batteries}
        self.seats |= {name: Seat(Person(name, "buyer")) for name in buyers}
        people = [seat.person for seat in self.seats.values()]
        self.chain = Chain(
            loop,
            random.Random(rng.random()),
            [person for person in people if person.role == "battery"],
            [person for person in people if person.role == "buyer"],
            timeout_s=_TIMEOUT_S,
            line_units=_LINE_UNITS,
        )
        self.deals: dict[bytes, Deal] = {}
        self.payments = Payments(self.deals)
        self.nodes = Nodes(loop, random.Random(rng.random()), self.chain, URLS)
        self._loop = loop
        self._rng = rng
        self._tell = tell
        self._watch = ChequeWatch(fail)
        self._watch.begin(
            chain=self.chain,
            payments=self.payments,
            on_dispute=lambda _dispute: None,
            on_landed=lambda _record: None,
            nodes=self.nodes,
            hosts=list(self.seats.values()),
            tell=tell,
        )

    def site_toml(self) -> str:
        """Return the site file's table."""
        return "\n".join([*self._table(), f"cosign_wait_s = {_COSIGN_WAIT_S}"])

    def buyer_toml(self, name: str, *, time_lapse: int, cosigns: bool) -> str:
        """Return a buyer's table."""
        files = {"cheques": f"{name}-cheques.db", "outbox": f"{name}-outbox.db"}
        own = {"time_lapse": time_lapse, "cosign": cosigns, "tolerance_wh": _RULES.tolerance_wh, **files}
        return "\n".join([*self._table(), *(f"{key} = {_toml(value)}" for key, value in own.items())])

    def open_settler(
        self, disk: Disk, settings: SettlerSettings, wallet: Signer, told: Callable[[SettlerEvent], None]
    ) -> Settler:
        """Return a settler for a new process of a party; it looks at the ledger more rarely than a real one."""
        seat = next(seat for seat in self.seats.values() if seat.person.wallet == wallet.public_key)
        seat.disk, seat.settings = disk, replace(settings, poll_s=POLL_S)

        def heard(event: SettlerEvent) -> None:
            told(event)
            self._watch.told(seat, event)

        settler = ToldSettler(
            seat.settings,
            wallet=WatchedSigner(seat, self._watch),
            transport=Wire(self.nodes, lambda: seat.is_cut, lambda step, body: self._asks(seat, step, body)),
            executor=VirtualExecutor(disk, random.Random(self._rng.random())),
            monotonic_s=self._loop.time,
            rng=random.Random(self._rng.random()),
            on_event=heard,
        )
        settler.on_put = self._put
        seat.settler = settler
        return settler

    def crashed(self, names: Iterable[str]) -> None:
        """The machine of these parties has lost its power."""
        for name in names:
            seat = self.seats[name]
            if seat.settler is not None:
                seat.settler.abandon()
            seat.settler = None

    async def live(self, hours: float) -> None:
        """Let endpoints have their moods and lines be cut, until the hours are over."""
        for fault in schedule(random.Random(self._rng.random()), _FAULTS, hours):
            await asyncio.sleep(max(0.0, fault.at_ms / 1_000 - self._loop.time()))
            self._tell("bank", "fault", {"kind": fault.kind, "lasts_ms": fault.lasts_ms})
            self._begin(fault)

    async def settle_all(self) -> None:
        """Wait until nothing is open any more and every settler knows; buyers may be gone."""
        for _ in range(_LOOKS):
            owed = [
                deal for deal in self.deals.values() if deal.final_wh and deal.trade_id not in self.payments.settled
            ]
            if not owed and not self.chain.open_trades() and self._watch.is_known(self.deals):
                return
            await asyncio.sleep(_LOOK_S)

    def check_over(self, records: Iterable[Record]) -> None:
        """Raise Breach unless every trade that the journal has as delivered is paid, and by what it says."""
        check_over(self.deals.values(), self.payments, _RULES)
        self._watch.check_end(self.deals)
        contracts: dict[tuple[str, str, int], str] = {}
        for record in records:
            body = record.body
            if record.kind == Kind.CONFIRMED:
                contracts[record.battery, body["peer"], body["bid_id"]] = Sale.from_body(body).trade_id
            elif record.kind == Kind.DELIVERY_ENDED and body["delivered_wh"]:
                self._check_billed(
                    contracts.get((record.battery, body["peer"], body["bid_id"]), ""), body["delivered_wh"]
                )

    def totals(self) -> Totals:
        """Return what was paid."""
        ends = self.payments.settled.values()
        return Totals(
            paid_trades=len(ends),
            claimed=len(self.payments.claimed),
            disputed=len(self.payments.disputed),
            paid_units=sum(event.payout for event in ends),
            fee_units=sum(event.fee for event in ends),
        )

    def close(self) -> None:
        """Let go of the ledger."""
        self.chain.close()

    def calm(self) -> None:
        """Let every endpoint be well and every line carry."""
        for node in self.nodes.of.values():
            self.nodes.turn(node, "")
        for seat in self.seats.values():
            seat.is_cut = False

    def _table(self) -> list[str]:
        """Return what a site and a buyer have in common."""
        venue = self.chain.venue
        values: dict[str, object] = {
            "rpc": list(URLS),
            "program_id": to_base58(venue.program_id),
            "genesis": to_base58(venue.genesis_hash),
            "mint": to_base58(venue.mint),
            "resolver": to_base58(self.chain.resolver.public_key),
            "base_units_per_cent": BASE_UNITS_PER_CENT,
            "fee_bps": FEE_BPS,
            "dispute_window_s": _WINDOW_S,
        }
        return ["", "[settlement]", *(f"{key} = {_toml(value)}" for key, value in values.items())]

    def _check_billed(self, trade_id: str, delivered_wh: int) -> None:
        deal = self.deals.get(bytes.fromhex(trade_id))
        if not trade_id or deal is None:
            raise Breach("what is delivered for a contract comes to the settler", f"{trade_id}: {delivered_wh} Wh")
        if deal.final_wh != delivered_wh:
            raise Breach("what is paid is what was billed", f"{trade_id}: {deal.final_wh} Wh, billed {delivered_wh}")

    def _put(self, cheque: Cheque, seen_wh: int | None) -> None:
        """A party hands in what it knows of a trade: that is the truth here, as far as both have signed it."""
        deal = self.deals.get(cheque.trade_id)
        if deal is None:
            deal = self.deals[cheque.trade_id] = Deal(
                contract=cheque.contract,
                battery=self._person(cheque.contract.battery_wallet),
                buyer=self._person(cheque.contract.buyer_wallet),
                lasts_s=0,
                true_wh=0,
                final_wh=0,
            )
        deal.seen_wh = deal.seen_wh if seen_wh is None else seen_wh
        interim, final = cheque.interim, cheque.final
        if interim is not None and interim.is_cosigned:
            known_wh = -1 if deal.interim is None else deal.interim.receipt.delivered_wh
            deal.interim = interim if interim.receipt.delivered_wh > known_wh else deal.interim
        if final is not None and final.battery_signature is not None:
            deal.ended = True
            deal.true_wh = deal.final_wh = final.receipt.delivered_wh
            deal.cosigned = deal.cosigned or final.is_cosigned

    def _person(self, wallet: bytes) -> Person:
        return next(seat.person for seat in self.seats.values() if seat.person.wallet == wallet)

    def _asks(self, seat: Seat, step: str, body: bytes) -> None:
        if step == "asks" and is_send(body):
            self._watch.sends(seat, transaction_in(body))

    def _begin(self, fault: Fault) -> None:
        lasts_s = fault.lasts_ms / 1_000
        if fault.kind in ("cut", "offline"):
            seat = list(self.seats.values())[int(fault.victim * len(self.seats))]
            seat.is_cut = True
            self._loop.call_outside(lasts_s, setattr, seat, "is_cut", False)
            return
        node = list(self.nodes.of.values())[int(fault.victim * 1_000) % len(self.nodes.of)]
        self.nodes.turn(node, fault.kind)
        self._loop.call_outside(lasts_s, self.nodes.turn, node, "")


def _toml(value: object) -> str:
    """Return a value as TOML has it; what stands here is text, numbers and lists of text."""
    return json.dumps(value)

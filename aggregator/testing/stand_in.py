"""A stand-in for a battery: the real server and auction engine, without a journal, a device or a clock of its own.

It runs on any asyncio loop, sells lots of one size one after another, and
delivers each trade in `delivery_ms` with `status_ms` between reports.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from etp import auction
from etp.auth import AuthPolicy
from etp.io.maker import ConnectionMaker
from etp.io.server import EtpServer
from etp.limits import Limits
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from etp.timing import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.connection import Received
    from etp.io.link import Link
    from etp.io.pollclock import PollClock

PUSH_S: Final = 0.02


@dataclass
class Sold:
    """One award, and what became of it."""

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    power_w: int
    confirmed: bool = False
    ended: bool = False
    confirms: int = 0


@dataclass
class _Peer:
    link: Link
    wants_wh: int = 0
    registered: bool = False


@dataclass(kw_only=True)
class StandInBattery:
    """Start it with `start`; what it sold is in `sold`, what it heard is counted in `heard`."""

    wall_ms: Callable[[], int]
    device_id: int = 1
    lot_wh: int = 5_000
    lots: int = 1_000_000
    """How many lots it sells before it has none."""
    power_w: int = 5_000
    terms: auction.Terms = field(default_factory=lambda: auction.Terms(reserve_e4=50_000))
    delivery_ms: int = 100
    delivers_permille: int = 1_000
    mute_confirms: int = 0
    """How many Confirms it does not hear."""
    policy: AuthPolicy = field(default_factory=AuthPolicy)
    limits: Limits = field(default_factory=Limits)
    clock: PollClock | None = None
    sold: dict[tuple[str, int], Sold] = field(default_factory=dict)
    heard: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = 0
        self._peers: dict[str, _Peer] = {}
        self._auction = auction.new_auction("standing_bid", self.terms)
        self._lots_opened = 0
        self._next_id = FIRST_BATTERY_ID
        self._timer: asyncio.TimerHandle | None = None
        self._pushing: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        maker = ConnectionMaker(
            role=Role.BATTERY,
            device_id=self.device_id,
            policy=self.policy,
            limits=self.limits,
            wall_ms=self.wall_ms,
        )
        self._server = EtpServer(handler=self, maker=maker, clock=self.clock)

    async def start(self, port: int = 0) -> int:
        """Listen on loopback and open the first lot; return the port."""
        self._loop = asyncio.get_running_loop()
        self.port = await self._server.start("127.0.0.1", port)
        self._open_lot()
        return self.port

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        for timer in (self._timer, self._pushing):
            if timer is not None:
                timer.cancel()
        await self._server.close()

    async def until_heard(self, kind: int, times: int = 1) -> None:
        """Wait until so many frames of a type have come."""
        while self.heard.get(kind, 0) < times:
            self._news.clear()
            await self._news.wait()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so of what has been heard and done."""
        while not is_so():
            self._news.clear()
            await self._news.wait()

    def drop(self, reason: str = "dropped") -> None:
        """Close every connection."""
        for peer in tuple(self._peers.values()):
            peer.link.close(reason)

    def fail(self) -> None:
        """Send DeviceFailure to everybody and withdraw the lot."""
        for peer in self._peers.values():
            peer.link.send(Body.device_failure(self._id(), self.device_id))
        self.lots = 0
        self._feed(auction.Withdraw(ReasonCode.FAULT))

    def link_opened(self, link: Link) -> None:
        """Wait for what the peer has to say."""

    def link_closed(self, link: Link, reason: str) -> None:  # noqa: ARG002
        """Forget the peer."""
        if self._peers.pop(link.peer, None) is not None and self._auction.lot is not None:
            self._feed(auction.PeerGone(link.peer))

    def accept_sent(self, link: Link, body: Body, at_ms: int) -> None:
        """Accepts are not timed here."""

    def accept_late(self, link: Link, body: Body) -> None:
        """Accepts are not late here."""

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        """Answer one read."""
        for frame in frames:
            kind = frame.body.message_type
            self.heard[kind] = self.heard.get(kind, 0) + 1
            self._news.set()
            peer = self._peers.setdefault(link.peer, _Peer(link))
            peer.link = link
            if frame.code:
                self._refuse(link, frame.body.message_id, frame.code)
            elif kind == MessageType.REGISTER:
                peer.registered = True
            elif kind == MessageType.QUERY:
                peer.wants_wh = frame.body.energy_wh
                self._quote(link.peer, peer, frame.body.message_id)
            elif kind == MessageType.BID:
                peer.wants_wh = frame.body.energy_wh
                bid = auction.Bid(link.peer, frame.body.message_id, frame.body.bid_price_e4, frame.body.energy_wh)
                self._feed(auction.Bids((bid,)))
            elif kind == MessageType.BID_CONFIRM:
                self._confirmed(link, frame.body)

    def _confirmed(self, link: Link, confirm: Body) -> None:
        sold = self.sold.get((link.peer, confirm.message_id))
        if sold is None:
            self._refuse(link, confirm.message_id, ReasonCode.NOT_CONFIRMED)
            return
        sold.confirms += 1
        if sold.confirms <= self.mute_confirms:
            return
        link.send(Body.bess_status(sold.bid_id, self.device_id))
        if not sold.confirmed:
            sold.confirmed = True
            self._feed(auction.Confirmed(sold.peer, sold.bid_id))
            self._loop.call_later(self.delivery_ms / 1_000, self._delivered, sold)

    def _delivered(self, sold: Sold) -> None:
        sold.ended = True
        self._news.set()
        peer = self._peers.get(sold.peer)
        if peer is None:
            return
        wh = sold.energy_wh * self.delivers_permille // 1_000
        code = ReasonCode.NONE if wh == sold.energy_wh else ReasonCode.NOT_ENOUGH_ENERGY
        peer.link.send(Body.bess_status(sold.bid_id, self.device_id, delivered_wh=wh))
        peer.link.send(Body.terminate(sold.bid_id, self.device_id, code=code, delivered_wh=wh))

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1_000)

    def _open_lot(self) -> None:
        if self._auction.lot is None and self._lots_opened < self.lots:
            self._lots_opened += 1
            lot = auction.Lot(
                lot_id=self._lots_opened, energy_wh=self.lot_wh, power_w=self.power_w, seed=b"", terms=self.terms
            )
            self._feed(auction.Open(lot))

    def _feed(self, event: auction.Event) -> None:
        self._auction, effects = auction.step(self._auction, event, self._now_ms())
        for effect in effects:
            match effect:
                case auction.Refuse():
                    peer = self._peers.get(effect.peer)
                    if peer is not None:
                        self._refuse(peer.link, effect.bid_id, effect.code, effect.beat_e4)
                case auction.Award():
                    self._award(effect)
                case auction.BookChanged() | auction.LotClosed():
                    self._push_soon()
        if self._timer is not None:
            self._timer.cancel()
        due_ms = auction.next_deadline(self._auction)
        if due_ms is not None:
            self._timer = self._loop.call_at(due_ms / 1_000 + 0.0005, self._feed, auction.Tick())
        self._open_lot()

    def _award(self, award: auction.Award) -> None:
        key = award.peer, award.bid_id
        sold = self.sold[key] = Sold(award.peer, award.bid_id, award.price_e4, award.energy_wh, award.power_w)
        peer = self._peers.get(award.peer)
        if peer is not None:
            self._accept(peer.link, sold)

    def _accept(self, link: Link, sold: Sold) -> None:
        link.send(self._accept_body(sold))

    def _accept_body(self, sold: Sold) -> Body:
        return Body.bid_accept(
            sold.bid_id, self.device_id, price_e4=sold.price_e4, energy_wh=sold.energy_wh, power_w=-sold.power_w
        )

    def _refuse(self, link: Link, bid_id: int, code: int, beat_e4: int = 0) -> None:
        link.send(Body.bid_reject(bid_id, self.device_id, code=code, beat_e4=beat_e4))

    def _push_soon(self) -> None:
        if self._pushing is None:
            self._pushing = self._loop.call_later(PUSH_S, self._push)

    def _push(self) -> None:
        self._pushing = None
        for name, peer in tuple(self._peers.items()):
            if peer.registered:
                self._quote(name, peer, self._id())

    def _quote(self, name: str, peer: _Peer, message_id: int) -> None:
        lot_wh = auction.open_energy(self._auction)
        peer.link.send(
            Body.query_response(
                message_id,
                self.device_id,
                beat_e4=auction.quote(self._auction, name, peer.wants_wh, self._now_ms()),
                own_e4=auction.own_price(self._auction, name),
                usable_wh=10 * self.lot_wh,
                lot_wh=lot_wh,
                lot_power_w=-auction.open_power(self._auction),
                code=ReasonCode.NONE if lot_wh else ReasonCode.NO_LOT,
            )
        )

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

"""The trading desk of one battery: what arrives from buyers, and what auction, awards and deliveries decide.

It owns the connected buyers and their bids in hand; the lot belongs to `LotKeeper`, awards to `AwardBook`, trades to
`Delivery`. Everything runs in callbacks of one event loop; bids of one wake-up are judged together (ETP section 6).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.award_book import AwardBook
from agent.buyers import PUSH_INTERVAL_S, Buyer, BuyerTable, PushPacer
from agent.cashier import NotSignedError
from agent.lots import LotKeeper
from etp.auction import Bid, Refuse
from etp.bids import on_the_grid
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.awards import OpenAward
    from agent.cashier import Cashier
    from agent.desk_ports import DeskPorts
    from agent.offer import Offer
    from agent.paper import Paper
    from etp.auction import Award, Lot, LotClosed, Terms, Unconfirmed
    from etp.connection import Received
    from etp.extensions import Contract as WireContract
    from etp.io.link import Link


_BID: Final = int(MessageType.BID)
_UNCOVERED: Final = int(ReasonCode.COVER_TOO_SMALL)
_BEATEN: Final = frozenset({ReasonCode.OUTBID, ReasonCode.BUSY})
_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor


class _InHand(NamedTuple):
    """A bid before its answer, with what the answer needs."""

    link: Link
    buyer: str
    signer: bytes | None
    cause_ms: int
    judged_ms: int
    terms: WireContract | None
    """What the bid says of the contract, where trades are paid."""

    @property
    def work_ms(self) -> int:
        """How long it took until the auction had it."""
        return self.judged_ms - self.cause_ms


class Desk:
    """One battery's counter: implements `LinkHandler`, `LotListener` and `AwardListener`."""

    def __init__(self, *, device_id: int, rule: str, ports: DeskPorts) -> None:
        self._device_id = device_id
        self._ports = ports
        self._now_ms: Callable[[], int] = ports.now_ms
        self._arrived: list[tuple[Link, Received]] = []
        self._held: dict[Link, None] | None = None
        """The links whose answers wait until the wake-up is judged, because some of them get several; None = nobody."""
        self._is_crowded = False
        self._in_hand: dict[tuple[str, int], _InHand] = {}
        self._work_ms: dict[tuple[str, int], int] = {}
        """What the bids have cost so far whose awards are on their way to the disk."""
        self._decided_since_ms: int | None = None
        """When the oldest bid that the auction judges now could first have been read; None = it judges none."""
        self._last_id = FIRST_BATTERY_ID - 1
        self._offer: Offer | None = None
        self._is_presenting = False
        self._closed_code = int(ReasonCode.OFFLINE)
        """What every bid is refused with before the auction sees it; 0 = it sees them."""
        self._pushes = PushPacer(self._push_round)
        self.buyers = BuyerTable()
        self.lots = LotKeeper(rule=rule, listener=self, lot_id=ports.lot_id, seed=ports.lot_seed, now_ms=ports.now_ms)
        self.awards = AwardBook(
            battery=ports.name, device_id=device_id, journal=ports.journal, listener=self, now_ms=ports.now_ms
        )

    def link_opened(self, link: Link) -> None:
        """A buyer connected; signed peers introduce themselves inside their connections."""
        self.buyers.add(link)

    def link_closed(self, link: Link, reason: str) -> None:  # noqa: ARG002 - the connection has logged it
        """Take the buyer's standing bid out; awards that an unsigned buyer can no longer confirm are void."""
        self.buyers.remove(link)
        for peer in {peer: None for (peer, _), bid in self._in_hand.items() if bid.link is link}:
            self.lots.peer_gone(peer)
        self.awards.link_gone(link, signed=link.signer is not None)

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        """Answer queries at once; gather the bids of this wake-up; hand confirms and stops to their owners."""
        arrived = self._arrived
        for received in frames:
            kind = received[0][0]
            if kind == _BID:
                if not arrived:
                    asyncio.get_running_loop().call_soon(self._judge)
                elif received is not frames[0]:
                    self._is_crowded = True
                arrived.append((link, received))
                continue
            match kind:
                case MessageType.QUERY:
                    self._answer_query(link, received)
                case MessageType.BID_CONFIRM:
                    self._confirm(link, received)
                case MessageType.REGISTER:
                    self._returned(link, self.buyers.heard(link, received.peer, received.body.device_id))
                case MessageType.TERMINATE | MessageType.BESS_STATUS:
                    self._hear_of_delivery(received)

    def _hear_of_delivery(self, received: Received) -> None:
        """A Terminate without a receipt stops the delivery; what has one answers ours."""
        if self._ports.take_receipt(received) or received.extensions.receipt is not None:
            return
        self._ports.stop(received.peer, received.body.message_id)

    def _returned(self, link: Link, buyer: Buyer) -> None:
        """Tell a buyer that registers what stands, and once a connection our terms and what ended while it was away."""
        if not buyer.has_returned:
            buyer.has_returned = True
            cashier = self._ports.cashier
            if cashier is not None and link.signer is not None:
                link.send(Body.register(self.next_id(), self._device_id), contract=cashier.offer)
            self._ports.returned(link)
        self._push(buyer)

    def accept_sent(self, link: Link, body: Body, at_ms: int) -> None:
        """The kernel has an Accept."""
        self.awards.accept_sent(link.peer, body.message_id, at_ms)

    def accept_late(self, link: Link, body: Body) -> None:
        """An Accept missed its limit inside the outbox."""
        self.awards.accept_late(link.peer, body.message_id)

    def _judge(self) -> None:
        """Judge the bids of one wake-up. Most are refused at once, and for those nothing but the answer is made."""
        arrived, self._arrived = self._arrived, []
        self._held = {} if self._is_crowded else None
        self._is_crowded = False
        now_ms, closed_code = self._now_ms(), self._closed_code
        heard, refuses, covers = self.buyers.heard, self._ports.reputation.refuses, self._ports.covers
        cashier = self._ports.cashier
        asked: list[tuple[Link, Received]] = []
        bids: list[Bid] = []
        for frame in arrived:
            link, received = frame
            body, _, peer, _, code, _, _ = received
            buyer = heard(link, peer, body[2])
            if cashier is not None and not code and received[3] is not None:
                code, received = _objected(cashier, received)
            if not code:  # the first that applies of 6, and 12, 11 or 3
                code = ReasonCode.NOT_TRUSTED if refuses(buyer.key, now_ms) else closed_code
            elif code == ReasonCode.BUSY and refuses(buyer.key, now_ms):
                link.connection.overrule(body[1], code, ReasonCode.NOT_TRUSTED)
                code, received = ReasonCode.NOT_TRUSTED, received._replace(reason="")
            if code:
                self._reject(link, received, code)
                continue
            price_e4, energy_wh = on_the_grid(body)
            buyer.need_wh, buyer.need_at_ms, buyer.has_bid = energy_wh, now_ms, True
            asked.append(frame)
            bids.append(_new(Bid, (peer, body[1], price_e4, energy_wh, covers(received, price_e4, energy_wh))))
        if bids:
            self._ports.watch.bids_placed(bids)
            refusals = self.lots.refuse_all(bids, now_ms)
            if refusals is None and self._are_free(asked, bids):
                self._take(asked, bids, now_ms)
            elif refusals is not None:
                self._refuse(asked, refusals, now_ms)
        held, self._held = self._held, None
        for link in held or ():
            link.flush()
        if cashier is not None:
            cashier.judged()

    def _are_free(self, asked: list[tuple[Link, Received]], bids: list[Bid]) -> bool:
        """Refuse with 13 the bids whose name an award or trade still has (also one of before a restart)."""
        taken = [n for n, bid in enumerate(bids) if self._is_taken((bid.peer, bid.bid_id))]
        for n in reversed(taken):
            self._reject(*asked.pop(n), ReasonCode.DUPLICATE_ID)
            del bids[n]
        return bool(bids)

    def _is_taken(self, key: tuple[str, int]) -> bool:
        return key in self._in_hand or self.awards.holds(key) or self._ports.is_trade(key)

    def _take(self, asked: Sequence[tuple[Link, Received]], bids: Sequence[Bid], now_ms: int) -> None:
        """Let the auction judge bids of which some may enter: what it says of each comes back by the bid's name."""
        settles = self._ports.cashier is not None
        for (link, received), bid in zip(asked, bids, strict=True):
            buyer = self.buyers.heard(link, received.peer, received.body.device_id)
            terms = received.extensions.contract if settles and received.signer is not None else None
            self._in_hand[bid.peer, bid.bid_id] = _InHand(
                link, buyer.key, received.signer, received.cause_ms, now_ms, terms
            )
        self._decided_since_ms = min(received.cause_ms for _, received in asked)
        self.lots.bids(bids, now_ms)
        self._decided_since_ms = None

    def _refuse(self, asked: Sequence[tuple[Link, Received]], refusals: Sequence[Refuse], now_ms: int) -> None:
        """Answer bids that were all refused at once, each by its place."""
        held = self._held
        frames: list[tuple[Link, bytes]] = []
        for (link, received), refusal in zip(asked, refusals, strict=True):
            if held is None and not refusal[4] and refusal[2] != _UNCOVERED:
                frames.append((link, link.refuse(refusal[1], refusal[2], refusal[3], now_ms, received[6])))
            else:
                self._answer(link, refusal, now_ms, received.cause_ms)
        for link, frame in frames:
            link.hand_over(frame, now_ms)
        waited_ms = now_ms - asked[0][1].cause_ms
        self._ports.watch.bids_refused(refusals, waited_ms)
        self._ports.watch.processed(len(refusals), waited_ms)

    def _answer(self, link: Link, refusal: Refuse, now_ms: int, cause_ms: int, reason: str = "") -> None:
        """Send a Reject at once, or with everything else that one wake-up of the loop has to say to this link."""
        _, bid_id, code, beat_e4, least_wh = refusal
        held = self._held
        if held is not None:
            held[link] = None
        if code == _UNCOVERED and not reason and self._ports.cashier is not None:
            reason = self._ports.cashier.why_uncovered((refusal.peer, bid_id))
        if least_wh:
            reason = f"smallest quantity {least_wh / 1_000:.1f} kWh"
        if reason:
            body = Body.bid_reject(bid_id, self._device_id, code=code, beat_e4=beat_e4)
            link.send(body, cause_ms=cause_ms, reason=reason, hold=held is not None)
        else:
            link.hand_over(link.refuse(bid_id, code, beat_e4, now_ms, cause_ms, hold=held is not None), now_ms)

    def _reject(self, link: Link, received: Received, code: int) -> None:
        """Refuse a Bid or a Confirm that the auction or the award book never sees."""
        body = received.body
        now_ms = self._now_ms()
        beat_e4 = self.price_to_beat(link, body.energy_wh)
        refusal = Refuse(received.peer, body.message_id, code, beat_e4)
        self._answer(link, refusal, now_ms, received.cause_ms, received.reason)
        if body.message_type == MessageType.BID:
            self._ports.watch.bids_refused((refusal,), now_ms - received.cause_ms)
            self._ports.watch.processed(1, now_ms - received.cause_ms)

    def _answer_query(self, link: Link, received: Received) -> None:
        body = received.body
        buyer = self.buyers.heard(link, received.peer, body.device_id)
        if body.energy_wh:
            buyer.need_wh, buyer.need_at_ms = body.energy_wh, self._now_ms()
        answer = self.quotation(body.message_id, link.peer if link.is_own else "", body.energy_wh)
        if received.code:
            answer = answer._replace(termination_code=received.code)
        link.send(answer, cause_ms=received.cause_ms)

    def _confirm(self, link: Link, received: Received) -> None:
        code = received.code
        if not code and not self._ports.acknowledge_again(link, received):
            reason = self.awards.objection(received)
            if reason:
                code, received = ReasonCode.MALFORMED, received._replace(reason=reason)
            else:
                code = self.awards.confirm(link, received) or 0
        if code:
            self._reject(link, received, code)

    def bids_judged(self, bids: Sequence[Bid], refusals: Sequence[Refuse]) -> None:
        """Let the owner's price learn from bids that entered or were only beaten: the others could promise nothing."""
        refused = {refusal[:2] for refusal in refusals if refusal[2] not in _BEATEN}
        serious = [bid for bid in bids if bid[:2] not in refused] if refused else bids
        if serious:
            self._ports.heed(serious)

    def bid_refused(self, refusal: Refuse, now_ms: int) -> None:
        """Answer a refused or beaten bid with the reason and the price to beat."""
        in_hand = self._in_hand.pop((refusal.peer, refusal.bid_id), None)
        if in_hand is None:
            return
        self._answer(in_hand.link, refusal, now_ms, in_hand.cause_ms)
        self._ports.watch.bids_refused((refusal,), now_ms - in_hand.cause_ms)
        self._ports.watch.processed(1, self._spent_ms(in_hand, now_ms))

    def _spent_ms(self, in_hand: _InHand, now_ms: int) -> int:
        """Return how long a refused bid was worked on: until it was judged, and since that came which has beaten it."""
        since_ms = self._decided_since_ms
        if since_ms is None:
            return in_hand.work_ms + self.lots.late_ms
        return in_hand.work_ms if in_hand.judged_ms == now_ms else in_hand.work_ms + now_ms - since_ms

    def bid_abandoned(self, abandoned: Unconfirmed) -> None:
        """A standing bid left with its connection: that counts like an award left unconfirmed."""
        in_hand = self._in_hand.pop((abandoned.peer, abandoned.bid_id), None)
        if in_hand is not None:
            self._ports.watch.unanswered(1)
            self._ports.watch.processed(1, in_hand.work_ms)
            self._ports.blamed(in_hand.buyer)
            shield = self.shield()
            if shield is not None:
                self._ports.shielded(*shield, in_hand.buyer)

    def bid_awarded(self, award: Award) -> None:
        """Put an award on its way to the disk."""
        in_hand = self._in_hand.pop((award.peer, award.bid_id))
        self._ports.name_taken(award.peer, award.bid_id)
        self._work_ms[award.peer, award.bid_id] = in_hand.work_ms + self.lots.late_ms
        self.awards.add(
            award,
            link=in_hand.link,
            buyer=in_hand.buyer,
            signer=in_hand.signer,
            asked_at_ms=in_hand.cause_ms,
            paper=self._paper_for(award, in_hand),
        )
        self._ports.watch.awarded(award, peers_pushed=sum(1 for _ in self.buyers.registered()))

    def _paper_for(self, award: Award, in_hand: _InHand) -> Paper | NotSignedError | None:
        """Return the signed contract of an award, or why there is none; None where nothing is paid on a ledger."""
        cashier = self._ports.cashier
        if cashier is None or in_hand.terms is None or in_hand.signer is None:
            return None
        try:
            return cashier.sign(award, in_hand.terms, in_hand.signer)
        except NotSignedError as error:
            return error

    def book_changed(self) -> None:
        """Push, at the pace the protocol allows."""
        self._pushes.changed()

    def lot_opened(self, lot: Lot) -> None:
        """Tell those who watch, and who judges windows."""
        if self._ports.cashier is not None:
            self._ports.cashier.quoted(lot.energy_wh, lot.power_w)
        self._ports.watch.lot_opened(lot)

    def lot_closed(self, closed: LotClosed) -> None:
        """See at once whether another lot can open."""
        self._ports.lot_over(closed)
        self._ports.watch.lot_closed(closed)
        self._ports.reconsider_soon()
        self._pushes.changed()

    def award_offered(self, award: OpenAward) -> None:
        """Tell those who watch."""
        self._ports.watch.accepted(award)
        self._processed(award, award.deal.awarded_at_ms)

    def _processed(self, award: OpenAward, now_ms: int) -> None:
        """Count an awarded bid when its fate is known for the first time."""
        work_ms = self._work_ms.pop(award.key, None)
        if work_ms is not None:
            self._ports.watch.processed(1, work_ms + now_ms - award.decided_at_ms)

    def award_voided(self, award: OpenAward, code: int, *, blame: bool) -> None:
        """Give the quantity back to the lot; a buyer to blame is refused for a while."""
        self._processed(award, self._now_ms())
        is_confirming = self.awards.holds(award.key)  # on a disk that failed: neither yes nor no can be said
        if is_confirming or (award.deal.signer is None and not award.link.is_open):
            self._ports.watch.unanswered(1)
        if self._ports.cashier is not None and not is_confirming:
            self._ports.cashier.void(award.key)
        if blame:
            self._ports.blamed(award.deal.buyer)
        self.lots.voided(*award.key, blame=blame)
        self._ports.name_free(*award.key)
        self._ports.watch.voided(award, code)
        if self._is_presenting:
            self._ports.reconsider_soon()
        else:
            self._ports.reconsider()

    def price_to_beat(self, link: Link, energy_wh: int) -> int:
        """Return what every Reject on a connection quotes: with the peer's own bid in mind only to the peer itself."""
        return self.lots.quote(link.peer if link.is_own else "", energy_wh, self._now_ms())

    def links_of(self, peer: str) -> list[Link]:
        """Return every open connection of a peer."""
        return self.buyers.links_of(peer)

    def disk_late(self, *, late: bool) -> None:
        """Pass on that awards do not reach the disk in time, or do again."""
        self._ports.disk_late(late=late)

    def tell_later(self, peer: str, end: Body) -> None:
        """Keep word of an award's end for a buyer that is away."""
        self._ports.tell_later(peer, end)

    def shield(self) -> tuple[int, int] | None:
        """Return price and end (wall ms) of the shield that stays up longest."""
        now_ms = self._now_ms()
        shield = self.lots.shield(now_ms)
        return None if shield is None else (shield.price_e4, self._ports.wall_ms() + shield.until_ms - now_ms)

    def award_confirmed(self, award: OpenAward, confirmed_seq: int) -> None:
        """A trade exists: it is acknowledged and delivered."""
        self.lots.confirmed(*award.key)
        self._ports.begin(award, confirmed_seq)

    def present(self, offer: Offer, terms: Terms) -> None:
        """Take what may be sold now; void awards that the battery can no longer keep."""
        changed = self._offer is None or self._offer.code != offer.code
        self._offer = offer
        self._closed_code = ReasonCode.NONE if offer.code == ReasonCode.NO_LOT else offer.code
        self.lots.offer(offer, terms)  # first: voiding an award may award what has fallen due meanwhile
        self._is_presenting = True
        if offer.failing:
            self.awards.void_all(ReasonCode.FAULT)
        elif offer.short_wh:
            self.awards.void_newest(offer.short_wh)
        self._is_presenting = False
        if changed:
            self._pushes.changed()

    def quotation(self, message_id: int, peer: str, energy_wh: int, *, own_e4: int = 0) -> Body:
        """Return a QueryResponse for a quantity (0 = the whole lot)."""
        view = self._ports.view()
        lot_wh, lot_power_w = self.lots.open_lot()
        if lot_wh and self._ports.cashier is not None:
            self._ports.cashier.quoted(lot_wh, lot_power_w)
        code = self._offer.code if self._offer else ReasonCode.OFFLINE
        return Body.query_response(
            message_id,
            self._device_id,
            beat_e4=self.lots.quote(peer, energy_wh, self._now_ms()),
            own_e4=own_e4,
            usable_wh=view.uncommitted_wh,
            lot_wh=lot_wh,
            lot_power_w=-lot_power_w,
            remaining_wh=view.remaining_wh,
            voltage_mv=view.voltage_mv,
            health=view.health,
            code=ReasonCode.NONE if lot_wh else code or ReasonCode.NO_LOT,
        )

    def broadcast(self, make: Callable[[int], Body], *, registered_only: bool = False) -> None:
        """Send a frame of our own to every connected (or every registered) buyer, each under a fresh id."""
        for link in self.buyers.links():
            if link.registered or not registered_only:
                link.send(make(self.next_id()))
                link.flush()

    def next_id(self) -> int:
        """Return a fresh id for a frame that this battery originates."""
        self._last_id += 1
        return self._last_id

    def close(self) -> None:
        """Stop the timers; connections are the server's to close."""
        self._pushes.close()
        self.lots.close()

    def _push_round(self) -> None:
        for buyer in list(self.buyers.registered()):
            self._push(buyer)

    def _push(self, buyer: Buyer) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < buyer.next_push_s:
            self._pushes.changed()
            return
        buyer.next_push_s = now_s + PUSH_INTERVAL_S
        peer = buyer.link.peer if buyer.link.is_own else ""
        own_e4 = self.lots.own_price(peer)
        buyer.link.send(self.quotation(self.next_id(), peer, buyer.need_wh, own_e4=own_e4))
        buyer.link.flush()


def _objected(cashier: Cashier, received: Received) -> tuple[int, Received]:
    """Return 9 and the bid with the reason when its terms are not ours, else 0 and the bid as it is."""
    reason = cashier.objection(received, *on_the_grid(received.body))
    return (int(ReasonCode.MALFORMED), received._replace(reason=reason)) if reason else (0, received)

"""One conversation with one battery: frames in, effects out; no socket, no clock.

What the session may do next is its stage (`stages`). It registers, asks for the price of the quantity it wants, and
from then on lives on pushes: at most one bid is unanswered, each Accept of exactly what was bid is confirmed at once,
and a decision is made after all frames of one read, so that a Confirm never waits for a bid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from aggregator.bids import Bids, BidSent
from aggregator.deals import Deals
from aggregator.effects import Effect, HangUp, Note, Send
from aggregator.payer import Payer
from aggregator.quotes import Offer, QuoteBook
from aggregator.reactions import BackOff, Reaction, failure_reason, reaction_to
from aggregator.stages import MOVES, Input, Stage
from aggregator.strategies.types import Outcome
from etp.messages import Body, MessageType, ReasonCode
from etp.units import PRICE_TICK_E4, floor_step
from settlement.errors import SettlementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aggregator.buyer import Buyer, Ids
    from aggregator.effects import Fetch, Keep
    from aggregator.entries import Entry
    from aggregator.settling import Settling
    from etp.connection import Received

HEARD_MS: Final = 10_000
"""Without a word about the lot for this long, it is asked for."""
ASK_MS: Final = 3_000
"""A Query unanswered for its limit is given up; three in a row end the connection."""
ASKS_MAX: Final = 3
GREET_MS: Final = 5_000
"""A battery that does not register within its limit is not worth waiting for."""
PUSHED_MS: Final = 200
"""A battery pushes what is left of a lot within 20 ms of an award; a lost push must not cost the next bid."""
BID_GAP_MS: Final = 10
"""At most 100 bids a second to one battery: half of what it allows a connection."""
_ALL_WH: Final = 1_000_000
"""A wish above this is one for the whole lot."""


class Session:
    """One battery. The public methods return the effects that the shell performs, in order."""

    def __init__(
        self,
        *,
        battery: str,
        device_id: int,
        buyer: Buyer,
        ids: Ids,
        signed: bool = False,
        settling: Settling | None = None,
    ) -> None:
        """Talk to `battery` (its endpoint, for people) as `device_id`; `signed` = only after it proved its key.

        With `settling` every trade has a contract, and what cannot be paid is not bid for.
        """
        self.battery = battery
        self.who = battery
        """The name under which the battery is remembered: its key once proved, else its endpoint."""
        self.stage = Stage.DOWN
        self.hungry = False
        """Whether the last look at a lot ended because need or budget were promised elsewhere."""
        self._book = QuoteBook()
        self._bids = Bids()
        self._payer = None if settling is None else Payer(settling)
        self._deals = Deals(device_id, buyer, self._payer)
        self._buyer = buyer
        self._ids = ids
        self._device_id = device_id
        self._signed = signed
        self._back_off = BackOff()
        self._ask_id = 0
        self._ask_wh = 0
        self._asks_unanswered = 0
        self._stage_ends_ms = 0
        self._ask_at_ms = 0
        self._quiet_until_ms = 0
        self._next_bid_ms = 0
        self._too_small_wh = 0
        self._too_small_until_ms = 0
        self._in_lot = False
        self._effects: list[Effect] = []

    def opened(self, now_ms: int) -> list[Effect]:
        """Register on a new connection; an unsigned battery may be traded with at once."""
        self._move(Input.OPENED)
        self._stage_ends_ms = now_ms + GREET_MS
        self._asks_unanswered = 0
        self._effects.append(Send(Body.register(self._ids.next(), self._device_id)))
        if not self._signed:
            self._greeted(now_ms)
        return self._take()

    def closed(self) -> list[Effect]:
        """Give up what the connection carried; trades of signed peers wait for the next one."""
        self._move(Input.CLOSED)
        for bid in self._bids.drop():
            self._buyer.release(bid.bid_id)
        self._lot_is_over()
        self._book = QuoteBook()
        if self._payer is not None:
            self._payer.lost()
        self._effects += self._deals.link_down()
        return self._take()

    def received(self, frames: Iterable[Received], now_ms: int) -> list[Effect]:
        """Take in all frames of one read, then decide once."""
        for frame in frames:
            handler = self._HANDLERS.get(frame.body.message_type)
            if handler is not None and self.stage is not Stage.DOWN:
                handler(self, frame, now_ms)
        if self._payer is not None and self.stage is not Stage.DOWN:
            self._payer.heard(now_ms)
        self._consider(now_ms)
        return self._take()

    def tick(self, now_ms: int) -> list[Effect]:
        """Do what is due: resend Confirms, give up what was not answered, ask again, look at the lot again."""
        self._effects += self._deals.tick(self.who, now_ms)
        self._give_up_bids(now_ms)
        if self.stage is Stage.GREETING and now_ms >= self._stage_ends_ms:
            self._effects.append(HangUp("did not register"))
            self._stage_ends_ms = now_ms + GREET_MS
        elif self.stage is Stage.ASKING and now_ms >= self._stage_ends_ms:
            self._give_up_asking()
        self._consider(now_ms)
        if self.stage is Stage.READY and now_ms >= self._ask_at():
            self._query(now_ms)
        return self._take()

    def kept(self, keep: Keep, error: str, now_ms: int) -> list[Effect]:
        """Go on with what waited for the disk, which took it unless there is an `error`."""
        self._effects += self._deals.kept(keep, error, now_ms)
        return self._take()

    def fetched(self, fetch: Fetch, entry: Entry | None, now_ms: int) -> list[Effect]:
        """Go on with a receipt whose trade is, or is not, on disk."""
        if self._payer is not None:
            self._effects += self._payer.settling.fetched(fetch, entry, now_ms)
        return self._take()

    def next_deadline(self) -> int | None:
        """Return when `tick` has something to do; None while there is nothing to wait for."""
        times = [self._deals.next_deadline(), self._bids.next_deadline()]
        if self.stage in (Stage.GREETING, Stage.ASKING):
            times.append(self._stage_ends_ms)
        elif self.stage is Stage.READY:
            times += [self._ask_at(), self._book.settles_at_ms()]
            if self._book.offer is not None:
                times += [self._next_bid_ms or None, self._quiet_until_ms or None]
        return min((time for time in times if time is not None), default=None)

    @property
    def open_trades(self) -> int:
        """How many trades have been agreed and are not over."""
        return len(self._deals)

    def adopt(self, other: Session) -> None:
        """Take over the signed trades of the same battery's former place, before this one has proved its key."""
        self._deals.adopt(other._deals)

    def summary(self) -> dict[str, Any]:
        """Return what a status file shows of this battery."""
        offer, view = self._book.offer, self._buyer.view(self.who)
        return {
            **({} if self._payer is None else {"line": self._payer.summary()}),
            "battery": self.battery,
            "stage": self.stage.value,
            "lot_wh": offer.lot_wh if offer else 0,
            "beat_e4": offer.beat_e4 if offer else None,
            "own_e4": offer.own_e4 if offer else 0,
            "trades": len(self._deals),
            "bids": view.bids,
            "wins": view.wins,
            "win_permille": view.win_permille,
            "reputation_permille": self._buyer.reputation.permille(self.who),
        }

    def _on_register(self, frame: Received, now_ms: int) -> None:
        if frame.signer is not None:
            self.who = f"key:{frame.signer.hex()}"
        if self._payer is not None:
            self._effects += self._payer.registered(frame.signer, frame.extensions.contract)
            for entry in self._payer.resumed(now_ms):
                self._deals.resume(entry, wall_ms=self._payer.settling.wall_ms(), now_ms=now_ms)
        if self.stage is Stage.GREETING and frame.signer is not None:
            self._greeted(now_ms)

    def _on_quote(self, frame: Received, now_ms: int) -> None:
        body = frame.body
        self._ask_at_ms = now_ms + HEARD_MS
        if self.stage is Stage.ASKING and body.message_id == self._ask_id:
            self._asks_unanswered = 0
            self._book.asked(self._ask_wh)
            self._move(Input.ANSWERED)
        lot_wh = floor_step(body.energy_wh)
        if body.termination_code or lot_wh == 0:
            self._mute()
            return
        beat_e4, own_e4 = body.sale_price_e4, body.bid_price_e4
        if self._book.quoted(Offer(lot_wh, -body.power_w, beat_e4, own_e4), now_ms):
            self._lot_is_over()
        self._buyer.saw(self.who, beat_e4)
        latest = self._bids.latest
        if latest is not None and own_e4 == 0 and beat_e4 > latest.price_e4 and not self._bids.is_full:
            self._bids.overtake()
            self._move(Input.ANSWERED)

    def _on_accept(self, frame: Received, now_ms: int) -> None:
        body = frame.body
        bid = self._answered(body.message_id)
        if bid is None:
            self._effects += self._deals.accepted_again(body, frame.extensions.contract)
            return
        self._back_off.reset()
        self._in_lot = False
        why = _fault_of(body, bid) or ("" if self._buyer.allows(bid.bid_id) else "another bid took what is needed")
        entry: Entry | None = None
        if not why and self._payer is not None:
            entry, why = self._signed_up(self._payer, bid, frame, now_ms)
        if why:
            self._buyer.release(bid.bid_id)
            self._note(
                "not_confirmed", bid_id=bid.bid_id, price_e4=body.sale_price_e4, energy_wh=body.energy_wh, why=why
            )
        else:
            offer = self._book.offer
            self._effects += self._deals.agree(
                body, offer, signed=self._signed, cause_ms=frame.cause_ms, now_ms=now_ms, entry=entry
            )
            self._buyer.won(self.who, bid.bid_id, _outcome(bid, paid_e4=body.sale_price_e4))
        self._book.asked(bid.energy_wh)
        self._book.bought(bid.energy_wh)
        self._ask_at_ms = now_ms + PUSHED_MS

    def _signed_up(self, payer: Payer, bid: BidSent, frame: Received, now_ms: int) -> tuple[Entry | None, str]:
        """Return the contract of an award under both signatures, or why there is none."""
        if why := payer.cannot_afford(frame.body):
            return None, why
        try:
            return payer.accepted(bid, frame.body, frame.extensions.contract, now_ms), ""
        except SettlementError as error:
            self._buyer.broke(self.who, bid.energy_wh)
            return None, f"its contract is not what was bid: {error}"

    def _on_reject(self, frame: Received, now_ms: int) -> None:
        body = frame.body
        is_latest = self._bids.latest is not None and self._bids.latest.bid_id == body.message_id
        bid = self._answered(body.message_id)
        if bid is None:
            self._effects += self._deals.rejected(self.who, body)
            return
        reaction = reaction_to(body.termination_code)
        if reaction is Reaction.OUTBID:
            self._buyer.outbid(self.who, bid.bid_id, _outcome(bid))
        else:
            self._buyer.release(bid.bid_id)
        self._note_refused(bid, body.termination_code, body.sale_price_e4, frame.extensions.reason)
        wait_ms = self._back_off.wait_ms(reaction)
        if wait_ms:
            self._quiet_until_ms = max(self._quiet_until_ms, now_ms + wait_ms)
            self._ask_at_ms = self._quiet_until_ms
        if not is_latest:
            return
        self._book.asked(bid.energy_wh)
        if reaction is Reaction.OUTBID:
            self._book.outbid(bid.price_e4, body.sale_price_e4, now_ms)
        elif reaction is Reaction.TOO_LOW:
            self._book.below_reserve(body.sale_price_e4, now_ms)
        elif reaction is Reaction.MUTE and not self._has_heard_less(body.termination_code, bid):
            self._mute()
            if body.termination_code == ReasonCode.NOT_ENOUGH_ENERGY:
                self._too_small_wh, self._too_small_until_ms = bid.energy_wh, now_ms + HEARD_MS

    def _on_terminate(self, frame: Received, now_ms: int) -> None:
        body = frame.body
        bid = self._answered(body.message_id)
        if bid is None:
            self._effects += self._deals.terminated(self.who, body, frame.extensions.receipt, now_ms)
            return
        self._buyer.release(bid.bid_id)
        self._note_refused(bid, body.termination_code, 0, frame.extensions.reason)

    def _on_failure(self, frame: Received, now_ms: int) -> None:  # noqa: ARG002 (one signature for all)
        self._mute()
        code = frame.body.termination_code
        self._note("failed", code=code, reason=failure_reason(code, frame.extensions.reason))

    def _on_status(self, frame: Received, now_ms: int) -> None:
        self._effects += self._deals.status(frame.body, frame.extensions.receipt, now_ms)

    def _consider(self, now_ms: int) -> None:
        """Bid, ask for the right quantity first, or do nothing."""
        self._book.settle(now_ms)
        offer = self._book.offer
        self.hungry = False
        if now_ms >= self._next_bid_ms:
            self._next_bid_ms = 0
        if now_ms >= self._quiet_until_ms:
            self._quiet_until_ms = 0
        if self.stage is not Stage.READY or offer is None or offer.own_e4:
            return
        if self._deals.is_full or self._bids.is_full or self._next_bid_ms or self._quiet_until_ms:
            return
        want_wh = self._wanted_wh(offer.lot_wh, now_ms)
        if want_wh == 0 or self._is_too_small(want_wh, offer.lot_wh, now_ms):
            self.hungry = True
        elif not self._book.is_for(want_wh):
            self._query(now_ms)
        else:
            decision, value_e4 = self._buyer.decide(self.who, self._book, want_wh, now_ms)
            if decision.price_e4 is not None:
                self._bid(BidSent(self._ids.next(), decision.price_e4, want_wh, offer.beat_e4, value_e4, now_ms))

    def _wanted_wh(self, lot_wh: int, now_ms: int) -> int:
        """Return how much of a lot to bid for: what the buyer wants, and can pay this battery for."""
        if self._payer is not None:
            price_e4 = self._buyer.value_e4(self.who, now_ms)
            covered_wh, notes = self._payer.limit_wh(price_e4, self._book.offer, self._buyer.least_wh)
            self._effects += notes
            lot_wh = min(lot_wh, covered_wh)
        return self._buyer.wanted_wh(self.who, lot_wh, now_ms)

    def _bid(self, bid: BidSent) -> None:
        if self._payer is not None:
            bid = bid._replace(contract=self._payer.bid(self._book.offer))
            if bid.contract is None:
                return
        if not self._buyer.reserve(self.who, bid.bid_id, bid.price_e4, bid.energy_wh):
            self.hungry = True
            return
        self._bids.place(bid)
        self._next_bid_ms = bid.sent_ms + BID_GAP_MS
        self._in_lot = True
        self._move(Input.BID)
        body = Body.bid(bid.bid_id, self._device_id, price_e4=bid.price_e4, energy_wh=bid.energy_wh)
        self._effects.append(Send(body, contract=bid.contract))
        self._note(
            "bid",
            bid_id=bid.bid_id,
            price_e4=bid.price_e4,
            energy_wh=bid.energy_wh,
            beat_e4=bid.beat_e4,
            value_e4=bid.value_e4,
        )

    def _query(self, now_ms: int) -> None:
        """Ask what the wanted quantity of the lot, or of any lot, would cost."""
        offer = self._book.offer
        want_wh = self._wanted_wh(_ALL_WH if offer is None else offer.lot_wh, now_ms)
        self._ask_id = self._ids.next()
        self._ask_wh = 0 if want_wh >= _ALL_WH else want_wh
        self._ask_at_ms = now_ms + HEARD_MS
        self._stage_ends_ms = now_ms + ASK_MS
        self._move(Input.ASKED)
        self._effects.append(Send(Body.query(self._ask_id, self._device_id, energy_wh=self._ask_wh)))

    def _greeted(self, now_ms: int) -> None:
        self._move(Input.GREETED)
        self._effects += self._deals.link_up(now_ms)
        if now_ms >= self._quiet_until_ms:
            self._query(now_ms)

    def _give_up_asking(self) -> None:
        self._asks_unanswered += 1
        self._move(Input.ANSWERED)
        if self._asks_unanswered >= ASKS_MAX:
            self._effects.append(HangUp("does not answer"))

    def _give_up_bids(self, now_ms: int) -> None:
        had_latest = self._bids.latest is not None
        for bid in self._bids.given_up(now_ms):
            self._buyer.release(bid.bid_id)
            self._note("unanswered", bid_id=bid.bid_id, price_e4=bid.price_e4, energy_wh=bid.energy_wh)
        if had_latest and self._bids.latest is None:
            self._move(Input.ANSWERED)

    def _answered(self, bid_id: int) -> BidSent | None:
        had_latest = self._bids.latest is not None
        bid = self._bids.answered(bid_id)
        if had_latest and self._bids.latest is None:
            self._move(Input.ANSWERED)
        return bid

    def _mute(self) -> None:
        """Do nothing about this battery's lot until the next push."""
        self._lot_is_over()
        self._book.gone()

    def _lot_is_over(self) -> None:
        if self._in_lot and self._bids.latest is None:
            self._buyer.lost_lot(self.who)
            self._in_lot = False

    def _has_heard_less(self, code: int, bid: BidSent) -> bool:
        """Whether a bid met a lot that others had bought from, and a push has already told what is left of it."""
        offer = self._book.offer
        return code == ReasonCode.NOT_ENOUGH_ENERGY and offer is not None and offer.lot_wh < bid.energy_wh

    def _is_too_small(self, want_wh: int, lot_wh: int, now_ms: int) -> bool:
        """Whether so little was refused a short while ago although the lot holds it: its power is below a step."""
        return now_ms < self._too_small_until_ms and want_wh <= self._too_small_wh <= lot_wh

    def _ask_at(self) -> int:
        return max(self._ask_at_ms, self._quiet_until_ms)

    def _move(self, event: Input) -> None:
        self.stage = MOVES[self.stage, event]

    def _note(self, event: str, **fields: Any) -> None:
        self._effects.append(Note(event, fields))

    def _note_refused(self, bid: BidSent, code: int, beat_e4: int, reason: str) -> None:
        self._note(
            "refused",
            bid_id=bid.bid_id,
            code=code,
            price_e4=bid.price_e4,
            energy_wh=bid.energy_wh,
            beat_e4=beat_e4,
            reason=reason,
        )

    def _take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    _HANDLERS: ClassVar[dict[int, Callable[[Session, Received, int], None]]] = {
        MessageType.REGISTER: _on_register,
        MessageType.QUERY_RESPONSE: _on_quote,
        MessageType.BID_ACCEPT: _on_accept,
        MessageType.BID_REJECT: _on_reject,
        MessageType.TERMINATE: _on_terminate,
        MessageType.DEVICE_FAILURE: _on_failure,
        MessageType.BESS_STATUS: _on_status,
    }


def _fault_of(accept: Body, bid: BidSent) -> str:
    """Return why an Accept is not of what was bid, "" when it is."""
    if accept.energy_wh != bid.energy_wh:
        return f"{accept.energy_wh} Wh accepted, {bid.energy_wh} Wh bid"
    if accept.sale_price_e4 > bid.price_e4:
        return f"price {accept.sale_price_e4} above the bid's {bid.price_e4}"
    if accept.sale_price_e4 % PRICE_TICK_E4:
        return f"price {accept.sale_price_e4} is off the grid"
    return ""


def _outcome(bid: BidSent, paid_e4: int | None = None) -> Outcome:
    return Outcome(
        won=paid_e4 is not None,
        price_e4=bid.price_e4,
        beat_e4=bid.beat_e4,
        value_e4=bid.value_e4,
        paid_e4=paid_e4 or 0,
    )

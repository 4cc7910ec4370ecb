"""The money side of all conversations of one buyer: contracts it signs, receipts it judges, and what its Lines cover.

It decides and returns effects; what must be on disk first is a `Keep`, and the answer waits in it. Contract and receipt
are checked strictly against the battery's identity key before anything is kept (settlement.md sections 1, 2 and 5).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from aggregator.consent import Judge, Say, Verdict, own_figure_wh
from aggregator.effects import Effect, Fetch, Keep, Note, Send
from aggregator.entries import Entry, Key, State
from aggregator.sight import Link, Sight
from etp.messages import Body, MessageType, ReasonCode
from settlement.cheque import Cheque, SignedReceipt
from settlement.errors import SettlementError, TermsError
from settlement.receipt import Receipt
from settlement.signing import check_contract, check_receipt, sign_contract
from settlement.terms import check_accept

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.cheque_book import ChequeBook
    from aggregator.settler_port import SettlerPort
    from etp.auth import Signer
    from etp.extensions import Contract as WireContract
    from etp.extensions import Receipt as WireReceipt
    from settlement.lines import LineState
    from settlement.terms import MarketTerms

INTERIM_GAP_MS: Final = 500
"""A battery sends one every 60 s; each costs a write, so those that follow closer are not answered."""


@dataclass(frozen=True, kw_only=True)
class Purser:
    """Who pays, by which rules: all that does not change while the process runs."""

    terms: MarketTerms
    signer: Signer
    """The identity key: it signs contracts and receipts."""
    wallet: bytes
    """The address that the Lines belong to."""
    judge: Judge
    valid_for_s: int
    time_lapse: int = 1


class Settling:
    """One buyer's open cheques and its settler. `wall_ms` is the time of day; `now_ms` is handed in and only rises."""

    def __init__(
        self, purser: Purser, *, book: ChequeBook, settler: SettlerPort, wall_ms: Callable[[], int], device_id: int
    ) -> None:
        self.purser = purser
        self.book = book
        self.settler = settler
        self.disk_fails = False
        """Whether the last write failed: nothing new is bid until one succeeds."""
        self.wall_ms = wall_ms
        self._device_id = device_id
        self._sights: dict[Key, Sight] = {}
        self._links: dict[bytes, Link] = {}
        """By identity key, of the batteries of which a delivery is watched."""
        self._watchers: Counter[bytes] = Counter()
        """By wallet, the conversations that want its Line read."""
        self._interim_ms: dict[Key, int] = {}
        self._to_resume = {entry.key for entry in book if is_running(entry, wall_ms())}

    def wall_s(self) -> int:
        """Return the time of day in s since 1970."""
        return self.wall_ms() // 1_000

    def line(self, battery_wallet: bytes) -> LineState | None:
        """Return this buyer's Line to a battery, as it was last read."""
        return self.settler.line(battery_wallet)

    def watch(self, wallet: bytes) -> None:
        """Let the Line to a battery's wallet be read, for one conversation. Raises TermsError."""
        self.settler.watch(wallet)
        self._watchers[wallet] += 1

    def unwatch(self, wallet: bytes) -> None:
        """End that; the last one lets it be read no more."""
        self._watchers[wallet] -= 1
        if self._watchers[wallet] <= 0:
            del self._watchers[wallet]
            self.settler.unwatch(wallet)

    def sweep(self) -> None:
        """Let go of trades that can cost nothing more, when there are many."""
        self.book.sweep(self.wall_s(), self.line)

    def heard(self, battery: bytes, now_ms: int) -> None:
        """Note that frames of a battery came."""
        if (link := self._links.get(battery)) is not None:
            self._links[battery] = link.heard(now_ms)

    def lost(self, battery: bytes) -> None:
        """Note that the connection to a battery is gone: nothing since its last frame may have been heard."""
        if not any(key.battery == battery for key in self._sights):
            self._links.pop(battery, None)
        elif (link := self._links.get(battery)) is not None:
            self._links[battery] = replace(link, is_up=False)

    def resumed(self, battery: bytes, now_ms: int) -> list[Entry]:
        """Return, once, the trades with a battery that an earlier process left open; it can be heard from now on."""
        found = [entry for entry in self.book.of(battery) if entry.key in self._to_resume]
        self._to_resume.difference_update(entry.key for entry in found)
        found = [entry for entry in found if is_running(entry, self.wall_ms())]
        for entry in found:
            link = self._links.setdefault(battery, Link(heard_at_ms=now_ms))
            self._sights[entry.key] = self._sight_of(entry, now_ms).dark_since_seen(link, now_ms)
        return found

    def contract_for(self, key: Key, bid: WireContract, accept: Body, wire: WireContract, now_ms: int) -> Entry:
        """Return the entry of an Accept that repeats the Bid under the battery's signature, with ours beside it.

        Raises SettlementError for any other Accept; nothing is signed then.
        """
        purser = self.purser
        check_accept(bid, wire)
        contract = purser.terms.contract(
            wire,
            battery_key=key.battery,
            buyer_key=purser.signer.public_key,
            message_id=key.bid_id,
            price_e4=accept.sale_price_e4,
            energy_wh=accept.energy_wh,
        )
        check_contract(contract, "battery", key.battery, wire.signature)
        line = self.line(contract.battery_wallet)
        if line is not None and line.is_used(contract.contract_no):
            raise TermsError("contract_no", f"{contract.contract_no} has been used on this Line")
        if accept.power_w >= 0:
            raise TermsError("discharge_rate", "no power is granted: nothing can be delivered")
        cheque = Cheque(
            role="buyer",
            contract=contract,
            battery_key=key.battery,
            buyer_key=purser.signer.public_key,
            battery_signature=wire.signature,
            buyer_signature=sign_contract(contract, purser.signer),
        )
        wall_ms = self.wall_ms()
        entry = Entry(cheque=cheque, power_w=-accept.power_w, agreed_at_ms=wall_ms, seen_at_ms=wall_ms)
        link = self._links.setdefault(key.battery, Link(heard_at_ms=now_ms)).heard(now_ms)
        self._sights[key] = self._sight_of(entry, now_ms).dark_since_seen(link, now_ms)
        return self.book.put(entry)

    def status(self, key: Key, figure_wh: int, receipt: WireReceipt | None, now_ms: int) -> list[Effect]:
        """Take in a BESSStatus of an open trade, and judge the receipt that came with it."""
        entry = self.book.get(key)
        if entry is None or entry.figure_wh is not None:
            return []
        self._sights[key] = self._sight(entry, now_ms).saw(figure_wh, now_ms)
        if receipt is None or now_ms - self._interim_ms.get(key, -INTERIM_GAP_MS) < INTERIM_GAP_MS:
            return []
        signed = self._checked(entry, receipt, final=False)
        if isinstance(signed, Note):
            return [signed]
        self._interim_ms[key] = now_ms
        verdict = self.purser.judge.interim(entry, signed, self._sight(entry, now_ms), now_ms)
        return self._said(verdict, MessageType.BESS_STATUS, now_ms)

    def final(self, key: Key, body: Body, receipt: WireReceipt, now_ms: int) -> list[Effect]:
        """Judge a final receipt; one of a trade that is not at hand any more is looked up on disk first."""
        entry = self.book.get(key)
        if entry is None:
            return [Fetch(key, body, receipt)]
        signed = self._checked(entry, receipt, final=True)
        if isinstance(signed, Note):
            return [signed]
        verdict = self.purser.judge.final(entry, signed, self._sight(entry, now_ms), now_ms)
        effects = self._said(verdict, MessageType.TERMINATE, now_ms)
        if verdict.is_second:
            effects.append(_note("second_receipt", entry, receipt.delivered_wh, verdict.entry.figure_wh))
        return effects

    def fetched(self, fetch: Fetch, entry: Entry | None, now_ms: int) -> list[Effect]:
        """Go on with a receipt whose trade was looked up on disk."""
        if entry is None:
            fields = {"bid_id": fetch.key.bid_id, "why": "no such trade was ever confirmed"}
            return [Note("receipt_refused", fields)]
        self.book.found(entry)
        return self.final(fetch.key, fetch.body, fetch.receipt, now_ms)

    def voided(self, key: Key) -> list[Effect]:
        """Note that the battery refused the Confirm: we stand for nothing delivered, should it claim after all."""
        entry = self.book.get(key)
        if entry is None or entry.state is not State.OPEN:
            return []
        self._forget(key)
        return [Keep(self.book.put(replace(entry, is_void=True, figure_wh=0)))]

    def windows_over(self, now_ms: int) -> list[Keep]:
        """Close the trades of an earlier process whose windows ended while nobody looked."""
        over = [entry.key for entry in self.book if not is_running(entry, self.wall_ms())]
        return [keep for key in over for keep in self.window_over(key, now_ms)]

    def left_over(self, now_ms: int) -> list[Keep]:
        """Close the trades of an earlier process whose battery has not come back within their windows."""
        entries = [entry for key in self._to_resume if (entry := self.book.get(key)) is not None]
        over = [entry.key for entry in entries if not is_running(entry, self.wall_ms())]
        self._to_resume.difference_update(over)
        return [keep for key in over for keep in self.window_over(key, now_ms)]

    @property
    def waits_for_batteries(self) -> bool:
        """Whether trades of an earlier process have not been taken up by their battery's conversation."""
        return bool(self._to_resume)

    def window_over(self, key: Key, now_ms: int) -> list[Keep]:
        """Note that nothing more is delivered: what can have been seen is what we stand for if the battery claims."""
        entry = self.book.get(key)
        if entry is None or entry.figure_wh is not None:
            return []
        if entry.state is State.VOID:
            return [Keep(self.book.put(replace(entry, figure_wh=0)))]
        sight = self._sight(entry, now_ms)
        self._forget(key)
        seen = entry.seen(sight, self.wall_ms() - now_ms)
        return [Keep(self.book.put(replace(seen, figure_wh=own_figure_wh(entry, sight, now_ms))))]

    def delivered_wh(self, key: Key) -> int | None:
        """Return what we stand for of a trade whose end was judged."""
        entry = self.book.get(key)
        return None if entry is None else entry.figure_wh

    def _sight(self, entry: Entry, now_ms: int) -> Sight:
        sight = self._sights.get(entry.key)
        if sight is None:
            return self._sight_of(entry, now_ms)
        return replace(sight, link=self._links.get(entry.key.battery))

    def _sight_of(self, entry: Entry, now_ms: int) -> Sight:
        """Return what an entry says was seen, on the clock of this process; of one that is over that is its figure."""
        if entry.figure_wh is not None:
            entry = replace(entry, seen_wh=entry.figure_wh)
        ahead_ms = self.wall_ms() - now_ms
        return Sight(
            energy_wh=entry.contract.energy_wh if entry.figure_wh is None else entry.figure_wh,
            power_w=entry.power_w,
            agreed_at_ms=entry.agreed_at_ms - ahead_ms,
            seen_wh=entry.seen_wh,
            seen_at_ms=entry.seen_at_ms - ahead_ms,
            ends_at_ms=entry.contract.ends_at_s * 1_000 - ahead_ms,
            time_lapse=self.purser.time_lapse,
        )

    def _checked(self, entry: Entry, wire: WireReceipt, *, final: bool) -> SignedReceipt | Note:
        """Return a receipt whose battery signature holds, or what is to be said of any other."""
        try:
            receipt = Receipt.from_wire(wire, entry.contract.trade_id)
            if receipt.final != final:
                raise TermsError("final", f"{int(receipt.final)} in a frame of the other kind")
            check_receipt(receipt, entry.contract, "battery", entry.key.battery, wire.signature)
        except SettlementError as error:
            return Note("receipt_refused", {"bid_id": entry.key.bid_id, "why": str(error)})
        return SignedReceipt(receipt=receipt, battery_signature=wire.signature)

    def _said(self, verdict: Verdict, kind: MessageType, now_ms: int) -> list[Effect]:
        """Return the answer, behind the write that it needs."""
        before, entry = self.book.get(verdict.entry.key), verdict.entry
        is_news = entry is not before
        if is_news:
            entry = self.book.put(entry.seen(self._sight(entry, now_ms), self.wall_ms() - now_ms))
            if entry.state is not State.OPEN:
                self._forget(entry.key)
        send = self._answer(verdict, kind)
        effects: list[Effect] = []
        if is_news or not self.book.is_durable(entry.key):
            effects.append(Keep(entry, send))
        elif send is not None:
            effects.append(send)
        if verdict.say is Say.NO and (is_news or kind is MessageType.BESS_STATUS) and verdict.answer is not None:
            refused = entry.refused.receipt.delivered_wh if entry.refused is not None else None
            effects.append(_note("disputed", entry, refused, verdict.answer.receipt.delivered_wh))
        elif is_news and kind is MessageType.TERMINATE:
            name = "cosigned" if verdict.say is Say.YES else "not_cosigned"
            effects.append(_note(name, entry, None, entry.figure_wh))
        return effects

    def _answer(self, verdict: Verdict, kind: MessageType) -> Send | None:
        """Return the frame that a verdict is answered with: the figure in it is that of its receipt."""
        if verdict.answer is None or verdict.answer.buyer_signature is None:
            return None
        receipt, bid_id = verdict.answer.receipt, verdict.entry.key.bid_id
        if verdict.say is Say.YES and kind is MessageType.BESS_STATUS:
            body = Body.bess_status(bid_id, self._device_id, delivered_wh=receipt.delivered_wh)
        else:
            code = ReasonCode.NONE if verdict.say is Say.YES else ReasonCode.DISPUTED
            body = Body.terminate(bid_id, self._device_id, code=code, delivered_wh=receipt.delivered_wh)
        return Send(body, receipt=receipt.to_wire(verdict.answer.buyer_signature))

    def _forget(self, key: Key) -> None:
        self._sights.pop(key, None)
        self._interim_ms.pop(key, None)


def is_running(entry: Entry, wall_ms: int) -> bool:
    """Whether a trade may still be delivered at a time of day."""
    return entry.state is State.OPEN and entry.figure_wh is None and entry.contract.ends_at_s * 1_000 > wall_ms


def _note(event: str, entry: Entry, theirs_wh: int | None, ours_wh: int | None) -> Note:
    fields = {
        "bid_id": entry.key.bid_id,
        "trade_id": entry.contract.trade_id.hex(),
        "delivered_wh": theirs_wh,
        "own_wh": ours_wh,
    }
    return Note(event, {name: value for name, value in fields.items() if value is not None})

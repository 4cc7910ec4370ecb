"""What a journal amounts to: the open awards, trades, take-over and standing orders of each battery.

The fold is pure and total: it accepts every sequence of records, so that a start never fails on a record that should
not be there. Where two records contradict each other the reading that keeps a promise wins (a trade stays a trade until
it has ended) and the contradiction is noted; a caller that finds notes must not sell before an operator has looked,
and the owner's `resume` is the word that he has: it clears them.

After a restart every unconfirmed award is void (`restart_voids`), and confirmed trades go on (ETP section 7).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from agent.books_cheques import Cheques, Numbers, forget_old, take_cashed, take_confirmed, take_final, take_receipt
from agent.books_codec import books_from_body
from agent.books_types import (
    BUYERS_MAX,
    END_KEPT_MS,
    ENDS_MAX,
    NOTES_MAX,
    BookedAlarm,
    BookedAward,
    BookedEnd,
    BookedShield,
    BookedStanding,
    BookedTakeOver,
    BookedTrade,
    Books,
    restart_voids,
)
from agent.pricing import LotSeen, Markup, SalesHistory
from agent.records import Deal, Kind, Record, TradeKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "BookedAlarm",
    "BookedAward",
    "BookedEnd",
    "BookedShield",
    "BookedStanding",
    "BookedTakeOver",
    "BookedTrade",
    "Books",
    "BooksFold",
    "books_of",
    "restart_voids",
]


def books_of(records: Iterable[Record]) -> dict[str, Books]:
    """Return the books of every battery that the records name ("" holds what concerns the whole site)."""
    fold = BooksFold()
    for record in records:
        fold.apply(record)
    return fold.books()


class BooksFold:
    """The fold as an object, for those who follow a journal while it grows.

    `unreadable_checkpoint` is the number of a checkpoint that says nothing to this release, 0 when there is none.
    """

    def __init__(self) -> None:
        self.unreadable_checkpoint = 0
        self._drafts: dict[str, _Draft] = {}

    def apply(self, record: Record) -> None:
        """Take one record into account; a checkpoint replaces everything before it."""
        draft = self._drafts.get(record.battery)
        if draft is None:
            draft = self._drafts[record.battery] = _Draft(battery=record.battery)
        try:
            if record.kind == Kind.CHECKPOINT:
                self._drafts = {books.battery: _Draft.of(books) for books in books_from_body(record.body)}
            elif record.kind in _HANDLERS:
                _HANDLERS[record.kind](draft, record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            draft.note(record, f"unreadable ({type(error).__name__}: {error})")
            if record.kind == Kind.CHECKPOINT:
                self.unreadable_checkpoint = record.seq
        draft.forget_ends(record.at_ms)
        forget_old(draft.cheques, draft.numbers, record.at_ms)

    def books(self) -> dict[str, Books]:
        """Return the books so far."""
        return {name: draft.freeze() for name, draft in self._drafts.items()}


@dataclass(slots=True)
class _Draft:
    """`Books` while they are being written."""

    battery: str
    awards: dict[TradeKey, BookedAward] = field(default_factory=dict)
    trades: dict[TradeKey, BookedTrade] = field(default_factory=dict)
    ends: dict[TradeKey, BookedEnd] = field(default_factory=dict)
    cheques: Cheques = field(default_factory=dict)
    numbers: Numbers = field(default_factory=dict)
    take_over: BookedTakeOver | None = None
    standings: dict[str, BookedStanding] = field(default_factory=dict)
    last_lot_id: int = 0
    open_lot_id: int = 0
    shield: BookedShield | None = None
    alarms: dict[str, BookedAlarm] = field(default_factory=dict)
    stopped: bool = False
    reserve_e4: int | None = None
    markup: Markup | None = None
    sales: SalesHistory = field(default_factory=SalesHistory)
    contradictions: tuple[str, ...] = ()

    @classmethod
    def of(cls, books: Books) -> _Draft:
        return cls(**{f.name: _own(getattr(books, f.name)) for f in fields(cls)})

    def freeze(self) -> Books:
        return Books(**{f.name: _own(getattr(self, f.name)) for f in fields(self)})

    def note(self, record: Record, what: str) -> None:
        if len(self.contradictions) < NOTES_MAX:
            self.contradictions = (*self.contradictions, f"record {record.seq} ({record.kind}): {what}")

    def end(self, deal: Deal, record: Record, *, code: int, delivered_wh: int) -> None:
        """Remember an end for a buyer that can come back under the same name: one that signs."""
        if deal.signer is not None:
            self.ends.pop(deal.key, None)
            self.ends[deal.key] = BookedEnd(code, delivered_wh, record.at_ms)
            if len(self.ends) > ENDS_MAX:  # ends without energy cost their makers nothing: they go first
                oldest = next(iter(self.ends))
                del self.ends[next((key for key, end in self.ends.items() if not end.delivered_wh), oldest)]

    def forget_ends(self, at_ms: int) -> None:
        """Drop ends from the front that are too old at a wall time."""
        while self.ends:
            key, oldest = next(iter(self.ends.items()))
            if at_ms - oldest.at_wall_ms <= END_KEPT_MS:
                break
            del self.ends[key]


def _own(value: Any) -> Any:
    """Return a copy of a table, anything else as it is."""
    return dict(value) if isinstance(value, dict) else value


def _key(record: Record) -> TradeKey:
    return str(record.body["peer"]), int(record.body["bid_id"])


def _lot_opened(draft: _Draft, record: Record) -> None:
    draft.last_lot_id = draft.open_lot_id = record.seq


def _lot_closed(draft: _Draft, record: Record) -> None:
    if draft.open_lot_id == record.body["lot_id"]:
        draft.open_lot_id = 0


def _lot_seen(draft: _Draft, record: Record) -> None:
    body = record.body
    cap_e4 = int(body["cap_e4"])
    if draft.markup is None or draft.markup.cap_e4 != cap_e4:  # the owner has set another cap: its grid is another
        draft.markup = Markup(cap_e4)
    draft.markup = draft.markup.learn(LotSeen(**{name: body[name] for name in LotSeen._fields}))


def _award(draft: _Draft, record: Record) -> None:
    deal = Deal.from_body(record.body)
    if deal.key in draft.trades:
        draft.note(record, f"trade {deal.bid_id} of {deal.peer} has not ended")
        return
    if deal.key in draft.awards:
        draft.note(record, f"bid {deal.bid_id} of {deal.peer} was awarded already")
    draft.ends.pop(deal.key, None)  # the id has come round; its last trade's end must not be told of this one
    draft.awards[deal.key] = BookedAward(seq=record.seq, at_ms=record.at_ms, deal=deal)


def _confirmed(draft: _Draft, record: Record) -> None:
    key = _key(record)
    if key in draft.trades:
        draft.note(record, f"trade {key[1]} of {key[0]} was confirmed already")
        return
    award = draft.awards.get(key)
    deal = Deal.from_body(record.body, award.deal if award else None)
    if award is None:
        draft.note(record, f"bid {key[1]} of {key[0]} had no open award")
    draft.trades[key] = BookedTrade(
        seq=record.seq,
        award_seq=award.seq if award else int(record.body.get("award_seq", 0)),
        deal=deal,
        confirmed_wall_ms=record.at_ms,
        confirmed_at_ms=int(record.body.get("confirmed_at_ms", 0)) or None,
    )
    draft.awards.pop(key, None)
    draft.ends.pop(key, None)
    draft.sales = draft.sales.with_sale(record.at_ms, deal.price_e4)
    take_confirmed(draft.cheques, deal)


def _void(draft: _Draft, record: Record) -> None:
    key = _key(record)
    if key in draft.trades:
        draft.note(record, f"trade {key[1]} of {key[0]} was confirmed before")
        return
    award = draft.awards.pop(key, None)
    if award is not None and record.body.get("untold"):
        draft.end(award.deal, record, code=int(record.body["code"]), delivered_wh=0)
    if int(record.body.get("shield_e4", 0)) > 0:
        _shield(draft, record)


def _shield(draft: _Draft, record: Record) -> None:
    price_e4 = int(record.body["shield_e4"])
    shield = BookedShield(price_e4, int(record.body["shield_until_wall_ms"]))
    before = draft.shield
    if before is not None and before.until_wall_ms > record.at_ms:
        shield = BookedShield(max(before.price_e4, price_e4), max(before.until_wall_ms, shield.until_wall_ms))
    draft.shield = shield


def _take_over(draft: _Draft, record: Record) -> None:
    if draft.take_over is None:  # the first one saw the battery's own values; a later one would see ours
        found = {str(name): int(value) for name, value in record.body["found"].items()}
        recipe = tuple((str(name), int(value)) for name, value in record.body["recipe"])
        draft.take_over = BookedTakeOver(found, recipe, dict(record.body), record.seq)


def _released(draft: _Draft, _record: Record) -> None:
    draft.take_over = None


def _trade(draft: _Draft, record: Record) -> BookedTrade | None:
    trade = draft.trades.get(_key(record))
    if trade is None:
        draft.note(record, "no such trade is open")
    return trade


def _delivery_started(draft: _Draft, record: Record) -> None:
    trade = _trade(draft, record)
    if trade is None:
        return
    counter_wh, first_at_ms = record.body.get("counter_wh"), trade.first_setpoint_at_ms
    draft.trades[trade.deal.key] = replace(
        trade,
        started_wall_ms=record.at_ms if trade.started_wall_ms is None else trade.started_wall_ms,
        first_setpoint_at_ms=int(record.body.get("first_setpoint_at_ms", 0)) if first_at_ms is None else first_at_ms,
        begun_wall_ms=record.at_ms if trade.begun_wall_ms is None else trade.begun_wall_ms,
        counter_wh=trade.counter_wh if counter_wh is None else int(counter_wh),
        counter_wall_ms=trade.counter_wall_ms if counter_wh is None else record.at_ms,
    )


def _delivery_progress(draft: _Draft, record: Record) -> None:
    trade = _trade(draft, record)
    if trade is None:
        return
    delivered_wh = int(record.body["delivered_wh"])
    if delivered_wh < trade.delivered_wh:
        draft.note(record, f"{delivered_wh} Wh after {trade.delivered_wh} Wh")
        return
    counter_wh, started_wall_ms = record.body.get("counter_wh"), trade.started_wall_ms
    if counter_wh is not None and draft.take_over is None:
        started_wall_ms = None  # the battery is its own again: what the counter tells from here on is not this trade's
    elif counter_wh is not None and started_wall_ms is None:
        started_wall_ms = record.at_ms
    draft.trades[trade.deal.key] = replace(
        trade,
        started_wall_ms=started_wall_ms,
        delivered_wh=delivered_wh,
        counter_wh=trade.counter_wh if counter_wh is None else int(counter_wh),
        counter_wall_ms=trade.counter_wall_ms if counter_wh is None else record.at_ms,
    )


def _delivery_ended(draft: _Draft, record: Record) -> None:
    trade = _trade(draft, record)
    if trade is not None:
        del draft.trades[trade.deal.key]
        take_final(draft.cheques, record)
        delivered_wh = int(record.body.get("delivered_wh", trade.delivered_wh))
        draft.end(trade.deal, record, code=int(record.body.get("code", 0)), delivered_wh=delivered_wh)


def _evidence(draft: _Draft, record: Record) -> None:
    trade = draft.trades.get(_key(record))
    if trade is not None:
        body = record.body
        draft.trades[trade.deal.key] = replace(
            trade, chain=str(body["chain"]), shared=tuple(str(name) for name in body["shared"])
        )


def _receipt(draft: _Draft, record: Record) -> None:
    take_receipt(draft.cheques, record)


def _cashed(draft: _Draft, record: Record) -> None:
    take_cashed(draft.cheques, draft.numbers, record)


def _reputation(draft: _Draft, record: Record) -> None:
    buyer = str(record.body["buyer"])
    draft.standings.pop(buyer, None)  # the table is kept in the order of the last word about each buyer
    draft.standings[buyer] = BookedStanding(
        score=int(record.body["score"]),
        trades=int(record.body["trades"]),
        next_penalty_ms=int(record.body["next_penalty_ms"]),
        blocked_until_wall_ms=int(record.body["blocked_until_wall_ms"]),
        at_wall_ms=record.at_ms,
    )
    if len(draft.standings) > BUYERS_MAX:
        del draft.standings[next(iter(draft.standings))]


def _alarm(draft: _Draft, record: Record) -> None:
    name = str(record.body["name"])
    draft.alarms.pop(name, None)
    if record.body["raised"]:
        draft.alarms[name] = BookedAlarm(
            str(record.body.get("detail", "")), bool(record.body.get("blocks_selling", False)), record.at_ms
        )


def _owner(draft: _Draft, record: Record) -> None:
    match record.body["action"]:
        case "stop":
            draft.stopped = True
        case "resume":
            draft.stopped = False
            draft.contradictions = ()
        case "set-reserve":
            reserve_e4 = record.body["reserve_e4"]
            draft.reserve_e4 = None if reserve_e4 is None else int(reserve_e4)
        case unknown:
            draft.note(record, f"unknown action {unknown!r}")


_HANDLERS: Final[dict[str, Callable[[_Draft, Record], None]]] = {
    Kind.LOT_OPENED: _lot_opened,
    Kind.LOT_CLOSED: _lot_closed,
    Kind.LOT_SEEN: _lot_seen,
    Kind.AWARD: _award,
    Kind.CONFIRMED: _confirmed,
    Kind.VOID: _void,
    Kind.SHIELD: _shield,
    Kind.TAKE_OVER: _take_over,
    Kind.RELEASED: _released,
    Kind.DELIVERY_STARTED: _delivery_started,
    Kind.DELIVERY_PROGRESS: _delivery_progress,
    Kind.DELIVERY_ENDED: _delivery_ended,
    Kind.EVIDENCE: _evidence,
    Kind.RECEIPT: _receipt,
    Kind.CASHED: _cashed,
    Kind.REPUTATION: _reputation,
    Kind.ALARM: _alarm,
    Kind.OWNER: _owner,
}

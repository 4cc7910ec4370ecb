"""`Books` as the body of a checkpoint record and back; a checkpoint lets a start skip everything before it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.books_types import (
    BookedAlarm,
    BookedAward,
    BookedShield,
    BookedStanding,
    BookedTakeOver,
    BookedTrade,
    Books,
)
from agent.records import Deal, RecordBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def checkpoint(books: Iterable[Books]) -> RecordBody:
    """Return the body of a checkpoint record: everything that the records before it amount to."""
    return {"books": [_to_json(each) for each in books]}


def books_from_body(body: Mapping[str, Any]) -> list[Books]:
    """Return the books in a checkpoint's body. Raises KeyError or TypeError when it is not one."""
    return [_from_json(each) for each in body["books"]]


def _to_json(books: Books) -> RecordBody:
    return {
        "battery": books.battery,
        "awards": [asdict(award) for award in books.awards.values()],
        "trades": [asdict(trade) for trade in books.trades.values()],
        "take_over": books.take_over and asdict(books.take_over),
        "standings": [[buyer, asdict(standing)] for buyer, standing in books.standings.items()],
        "last_lot_id": books.last_lot_id,
        "open_lot_id": books.open_lot_id,
        "shield": books.shield,
        "alarms": [[name, *alarm] for name, alarm in books.alarms.items()],
        "stopped": books.stopped,
        "reserve_e4": books.reserve_e4,
        "contradictions": books.contradictions,
    }


def _from_json(body: Mapping[str, Any]) -> Books:
    awards = [BookedAward(**{**each, "deal": Deal.from_body(each["deal"])}) for each in body["awards"]]
    trades = [BookedTrade(**{**each, "deal": Deal.from_body(each["deal"])}) for each in body["trades"]]
    return Books(
        battery=body["battery"],
        awards={award.deal.key: award for award in awards},
        trades={trade.deal.key: trade for trade in trades},
        take_over=_take_over(body["take_over"]),
        standings={buyer: BookedStanding(**standing) for buyer, standing in body["standings"]},
        last_lot_id=body["last_lot_id"],
        open_lot_id=body["open_lot_id"],
        shield=body["shield"] and BookedShield(*body["shield"]),
        alarms={name: BookedAlarm(*rest) for name, *rest in body["alarms"]},
        stopped=body["stopped"],
        reserve_e4=body["reserve_e4"],
        contradictions=tuple(body["contradictions"]),
    )


def _take_over(body: Mapping[str, Any] | None) -> BookedTakeOver | None:
    if body is None:
        return None
    recipe = tuple((name, value) for name, value in body["recipe"])
    return BookedTakeOver(body["found"], recipe, body.get("body", {}))

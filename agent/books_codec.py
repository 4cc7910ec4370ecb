"""`Books` as the body of a checkpoint record and back; a checkpoint lets a start skip everything before it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agent.books_cheques import BookedCheque, BookedNumbers
from agent.books_types import (
    BookedAlarm,
    BookedAward,
    BookedEnd,
    BookedShield,
    BookedStanding,
    BookedTakeOver,
    BookedTrade,
    Books,
)
from agent.pricing import Markup, SalesHistory
from agent.records import Deal, RecordBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
_PORTION: Final = 256
"""Standings encoded at a time: the encoder makes the event loop's thread wait, so for half a millisecond at most."""


def checkpoint(books: Iterable[Books]) -> RecordBody:
    """Return the body of a checkpoint record: everything that the records before it amount to."""
    return {"books": [_to_json(each) for each in books]}


def checkpoint_text(books: Iterable[Books]) -> str:
    """Return the same body as JSON text, made in portions by a thread beside the event loop's."""
    return f'{{"books":[{",".join(_books_text(each) for each in books)}]}}'


def books_from_body(body: Mapping[str, Any]) -> list[Books]:
    """Return the books in a checkpoint's body. Raises KeyError or TypeError when it is not one."""
    return [_from_json(each) for each in body["books"]]


def _books_text(books: Books) -> str:
    body = _to_json(books)
    standings = body.pop("standings")
    portions = [_text(standings[at : at + _PORTION])[1:-1] for at in range(0, len(standings), _PORTION)]
    return f'{{"standings":[{",".join(portions)}],{_text(body)[1:]}'


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _to_json(books: Books) -> RecordBody:
    return {
        "battery": books.battery,
        "awards": [asdict(award) for award in books.awards.values()],
        "trades": [asdict(trade) for trade in books.trades.values()],
        "cheques": [cheque.to_json() for cheque in books.cheques.values()],
        "numbers": [[wallet, *known] for wallet, known in books.numbers.items()],
        "ends": [[*key, *end] for key, end in books.ends.items()],
        "take_over": books.take_over and asdict(books.take_over),
        "standings": [[buyer, *_figures(standing)] for buyer, standing in books.standings.items()],
        "last_lot_id": books.last_lot_id,
        "open_lot_id": books.open_lot_id,
        "shield": books.shield,
        "alarms": [[name, *alarm] for name, alarm in books.alarms.items()],
        "stopped": books.stopped,
        "reserve_e4": books.reserve_e4,
        "markup": books.markup and books.markup.to_json(),
        "sales": books.sales.to_json(),
        "contradictions": books.contradictions,
    }


def _figures(standing: BookedStanding) -> tuple[int, int, int, int, int]:
    return (
        standing.score,
        standing.trades,
        standing.next_penalty_ms,
        standing.blocked_until_wall_ms,
        standing.at_wall_ms,
    )


def _from_json(body: Mapping[str, Any]) -> Books:
    awards = [BookedAward(**{**each, "deal": Deal.from_body(each["deal"])}) for each in body["awards"]]
    trades = [
        BookedTrade(**{**each, "deal": Deal.from_body(each["deal"]), "shared": tuple(each.get("shared", ()))})
        for each in body["trades"]
    ]
    cheques = [BookedCheque.from_json(each) for each in body.get("cheques", ())]
    return Books(
        battery=body["battery"],
        awards={award.deal.key: award for award in awards},
        trades={trade.deal.key: trade for trade in trades},
        ends={(peer, bid_id): BookedEnd(*rest) for peer, bid_id, *rest in body.get("ends", ())},
        cheques={cheque.deal.trade_id: cheque for cheque in cheques},
        numbers={
            wallet: BookedNumbers(generation, tuple(numbers)) for wallet, generation, numbers in body.get("numbers", ())
        },
        take_over=_take_over(body["take_over"]),
        standings={buyer: _standing(rest) for buyer, *rest in body["standings"]},
        last_lot_id=body["last_lot_id"],
        open_lot_id=body["open_lot_id"],
        shield=body["shield"] and BookedShield(*body["shield"]),
        alarms={name: BookedAlarm(*rest) for name, *rest in body["alarms"]},
        stopped=body["stopped"],
        reserve_e4=body["reserve_e4"],
        markup=_learned(Markup.from_json, body.get("markup")),
        sales=_learned(SalesHistory.from_json, body.get("sales")) or SalesHistory(),
        contradictions=tuple(body["contradictions"]),
    )


def _standing(rest: list[Any]) -> BookedStanding:
    if len(rest) == 1:  # as named fields, the form of the first checkpoints
        return BookedStanding(**rest[0])
    score, trades, next_penalty_ms, blocked_until_wall_ms, at_wall_ms = rest
    return BookedStanding(
        score=score,
        trades=trades,
        next_penalty_ms=next_penalty_ms,
        blocked_until_wall_ms=blocked_until_wall_ms,
        at_wall_ms=at_wall_ms,
    )


def _learned(read: Callable[[Any], T], plain: Any) -> T | None:
    """Return what was learned; None (learn anew) when another release kept it in another form: no promise is in it."""
    if plain is None:
        return None
    try:
        return read(plain)
    except (KeyError, TypeError, ValueError):
        return None


def _take_over(body: Mapping[str, Any] | None) -> BookedTakeOver | None:
    if body is None:
        return None
    recipe = tuple((name, value) for name, value in body["recipe"])
    return BookedTakeOver(body["found"], recipe, body.get("body", {}), body.get("seq", 0))

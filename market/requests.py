"""Studies as JSON lines: one request, one answer.

    {"op": "sample", "setting": {...}, "values": {...}, "n", "auctions", "seed", "need_wh", "strategy", "rows",
     "latency_ms"}
    {"op": "play", "setting": {...}, "buyers": [{...}], "seed", "values"}
    {"op": "winners", "bids": [[price_e4, wh], ...], "lot_wh", "reserve_e4", "keep_e4"}
    {"op": "bid", "value_e4", "n", "reserve_e4", "values"}

Pure: bytes in, text out. A request that makes no sense raises StudyError naming its key.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from market.errors import StudyError, shown
from market.mechanism import play, winners
from market.sampling import sample
from market.setting import Buyer, Setting, buyers_fit, whole
from market.strategies import equilibrium_bid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import DataclassInstance

    Made = TypeVar("Made", bound=DataclassInstance)
    Progress = Callable[[int], None]

LINE_MAX: Final = 1 << 26
"""Bytes of one request; a table of a million rows fits."""


_KEY_MAX: Final = 60


def answer(line: bytes, progress: Progress | None = None) -> str:
    """Return the answer to one request, both as JSON without a line break. Raises StudyError naming the key."""
    request = _object(_read(line), "request")
    op = request.pop("op", None)
    if not isinstance(op, str) or op not in _OPS:
        raise StudyError("op", f"{shown(op)} is not one of {', '.join(_OPS)}")
    return json.dumps(_OPS[op](request, progress), separators=(",", ":"))


def _read(line: bytes) -> Any:
    if len(line) > LINE_MAX:
        raise StudyError("request", f"longer than {LINE_MAX} bytes")
    try:
        return json.loads(line.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise StudyError("request", f"is not UTF-8 from byte {error.start} on") from error
    except (ValueError, RecursionError) as error:
        raise StudyError("request", f"is not JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise StudyError(_named(key), "is there twice")
        made[key] = value
    return made


def _sample(request: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
    keys = _keys(request, "setting values n auctions seed need_wh", strategy="truthful", rows=False, latency_ms=None)
    if not isinstance(keys["rows"], bool):
        raise StudyError("rows", "must be true or false")
    latency = keys["latency_ms"]
    if latency is not None and (not isinstance(latency, list) or len(latency) != 2):
        raise StudyError("latency_ms", "must be [lowest, highest]")
    return sample(
        _made(Setting, keys["setting"], "setting"),
        _object(keys["values"], "values"),
        n=keys["n"],
        auctions=keys["auctions"],
        seed=keys["seed"],
        need_wh=keys["need_wh"],
        strategy=_name(keys["strategy"]),
        rows=keys["rows"],
        latency_ms=None if latency is None else (latency[0], latency[1]),
        progress=progress,
    ).fields()


def _play(request: dict[str, Any], _progress: Progress | None) -> dict[str, Any]:
    keys = _keys(request, "setting buyers seed", values=None)
    whole("seed", keys["seed"], least=0, most=2**63 - 1)
    if not isinstance(keys["buyers"], list):
        raise StudyError("buyers", "must be a list")
    buyers = [_made(Buyer, buyer, f"buyers[{index}]") for index, buyer in enumerate(keys["buyers"])]
    buyers_fit(buyers)
    values = None if keys["values"] is None else _object(keys["values"], "values")
    return play(_made(Setting, keys["setting"], "setting"), buyers, seed=keys["seed"], values=values)._asdict()


def _winners(request: dict[str, Any], _progress: Progress | None) -> dict[str, Any]:
    keys = _keys(request, "bids lot_wh reserve_e4", keep_e4=None)
    if not isinstance(keys["bids"], list):
        raise StudyError("bids", "must be a list of [price_e4, wh]")
    for index, bid in enumerate(keys["bids"]):
        if not isinstance(bid, list) or len(bid) != 2:
            raise StudyError(f"bids[{index}]", "must be [price_e4, wh]")
    bids = [(price_e4, wh) for price_e4, wh in keys["bids"]]
    ids, value = winners(bids, lot_wh=keys["lot_wh"], reserve_e4=keys["reserve_e4"], keep_e4=keys["keep_e4"])
    return {"ids": list(ids), "value": value}


def _bid(request: dict[str, Any], _progress: Progress | None) -> dict[str, Any]:
    keys = _keys(request, "value_e4 n reserve_e4 values")
    values = _object(keys["values"], "values")
    return {"bid_e4": equilibrium_bid(keys["value_e4"], keys["n"], keys["reserve_e4"], values)}


_OPS: Final[Mapping[str, Callable[[dict[str, Any], Progress | None], dict[str, Any]]]] = {
    "sample": _sample,
    "play": _play,
    "winners": _winners,
    "bid": _bid,
}


def _keys(request: dict[str, Any], needed: str, **optional: Any) -> dict[str, Any]:
    """Return a request's values with defaults for what may be left out. Raises StudyError."""
    wanted = needed.split()
    for key in request:
        if key not in wanted and key not in optional:
            raise StudyError(_named(key), f"unknown; {', '.join(dict.fromkeys([*wanted, *optional]))} are known")
    for key in wanted:
        if key not in request:
            raise StudyError(key, "is missing")
    return optional | request


def _named(key: str) -> str:
    """Return a key that is not ours as a message can hold it: on one line, and not for pages."""
    return key if key.isprintable() and len(key) <= _KEY_MAX else shown(key)


def _made(kind: type[Made], value: Any, key: str) -> Made:
    """Return a setting or buyer from its fields. Raises StudyError naming the key with its place."""
    given = _object(value, key)
    known = {field.name: field.default is MISSING for field in fields(kind)}
    try:
        _keys(given, " ".join(name for name, needed in known.items() if needed), **dict.fromkeys(known))
        return kind(**given)
    except StudyError as error:
        raise error.within(key) from error


def _object(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StudyError(key, "must be an object")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise StudyError("strategy", "must be a name")
    return value

"""The control protocol: what is said over an agent's unix socket. `docs/control.md` tells it to people.

JSON objects, one a line, UTF-8, at most 64 KiB from the client. The agent greets with
`{"protocol": "wattbid-control", "version": 1}`. A request is `{"id": any, "do": name, ...}`; its answer repeats the id:
`{"id": .., "ok": true, "result": ..}` or `{"id": .., "ok": false, "code": .., "error": ..}`. After `subscribe` events
come in between: `{"event": name, "number": n, "at_ms": wall, ...fields}`. Units: `_e4` 1/10 000 c/kWh,
`_wh`, `_w` (positive = charging), `_permille`, `_mv`, `_dc` tenths of a degree Celsius, `_ms`; null = not known.

Pure: no socket, no clock, nothing of the rest of the agent, so that any client may copy this file alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL: Final = "wattbid-control"
VERSION: Final = 1
LINE_BYTES_MAX: Final = 65_536
REQUESTS: Final = ("snapshot", "subscribe", "stop-selling", "resume", "set-reserve")
EVENTS: Final = (
    "lot_opened",
    "bid_placed",
    "bid_refused",
    "bid_accepted",
    "award_voided",
    "trade_confirmed",
    "delivery_started",
    "delivery_progress",
    "delivery_ended",
    "lot_closed",
    "reserve_priced",
    "receipt_signed",
    "receipt_disputed",
    "trade_moved",
    "cheque_cashed",
    "alarm",
    "metrics",
)
"""The events one can subscribe to; `dropped` (field `n`) comes to a subscriber that reads too slowly."""

# Why a request was not carried out.
MALFORMED: Final = "malformed"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"
FAILED: Final = "failed"
_NAME_CHARS_MAX: Final = 200
_PRICE_E4_MAX: Final = 1_000_000_000  # 100 000 c/kWh: far beyond any price cap


class ProtocolError(Exception):
    """A line or a request that the protocol does not know; `code` as in an answer."""

    def __init__(self, code: str, text: str, request_id: Any = None) -> None:
        super().__init__(text)
        self.code = code
        self.request_id = request_id


class Snapshot(TypedDict):
    """One look at an agent. Wall times in epoch ms."""

    site: str
    version: str
    at_ms: int
    started_at_ms: int
    batteries: list[BatterySnapshot]
    alarms: list[AlarmSnapshot]
    metrics: dict[str, Any]
    loop_lag_ms: dict[str, Any]
    tasks: list[dict[str, Any]]


class BatterySnapshot(TypedDict):
    """One battery. `stopped` is why nothing is sold, "" while selling is allowed."""

    name: str
    endpoint: str
    connected: bool
    stopped: str
    fault: str | None
    soc_permille: int | None
    power_w: int | None
    voltage_mv: int | None
    temp_max_dc: int | None
    usable_wh: int
    sellable_wh: int
    committed_wh: int
    reserve_e4: int
    price: PriceSnapshot | None
    peers: int
    lot: LotSnapshot | None
    deliveries: list[DeliverySnapshot]
    settlement: dict[str, Any] | None
    """How its trades are paid (docs/settling.md); null without `[settlement]`."""


class PriceSnapshot(TypedDict):
    """A dynamic reserve and what it is made of: max(floor, cost) + mark-up, cost = opportunity + wear.

    `opportunity_e4` is null while nothing is known. `basis`: "forecast", "kept" (the last one that spoke), "fallback".
    `wear_basis`: "assumed", "set", "replacement". `trouble` is why no forecast speaks, "" when one does.
    """

    reserve_e4: int
    floor_e4: int
    cost_e4: int
    opportunity_e4: int | None
    wear_e4: int
    markup_e4: int
    basis: str
    wear_basis: str
    lots_learned: int
    forecast_age_ms: int | None
    forecast_half_hours: int
    trouble: str


class LotSnapshot(TypedDict):
    """The lot on offer; energy and power are what is still to be had."""

    lot_id: int
    energy_wh: int
    power_w: int
    reserve_e4: int
    price_to_beat_e4: int
    standing: list[StandingSnapshot]


class StandingSnapshot(TypedDict):
    """One standing bid."""

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    stands_ms: int


class DeliverySnapshot(TypedDict):
    """One delivery under way."""

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    delivered_wh: int
    power_w: int


class AlarmSnapshot(TypedDict):
    """One alarm that stands."""

    battery: str
    name: str
    reason: str
    at_ms: int
    blocks_selling: bool


class TakeSnapshot(NamedTuple):
    """`snapshot`: answer with a `Snapshot`."""

    id: Any


class Subscribe(NamedTuple):
    """`subscribe {"events": [names]}`: hear of these events from now on (left out = of all, [] = of none)."""

    id: Any
    events: tuple[str, ...] | None


class StopSelling(NamedTuple):
    """`stop-selling {"battery": name, "reason": text}`: offer nothing more; deliveries go on. No battery = all."""

    id: Any
    battery: str | None
    reason: str


class Resume(NamedTuple):
    """`resume {"battery": name}`: sell again, and acknowledge what blocked it. No battery = all."""

    id: Any
    battery: str | None


class SetReserve(NamedTuple):
    """`set-reserve {"battery": name, "price_e4": n}`: ask this from the next empty lot on; null = the site file's."""

    id: Any
    battery: str
    price_e4: int | None


Request = TakeSnapshot | Subscribe | StopSelling | Resume | SetReserve


def decode_request(line: bytes) -> Request:
    """Read a client's line. Raises ProtocolError, with the request's id where it has one."""
    body = decode_line(line, object_pairs_hook=_each_key_once)
    request_id = body.pop("id", None)
    what = body.pop("do", None)
    try:
        return _request(request_id, what, body)
    except ProtocolError as error:
        error.request_id = request_id
        raise


def decode_line(
    line: bytes, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Read a line as a JSON object, as RFC 8259 has it: UTF-8, no NaN. Raises ProtocolError."""
    try:
        body = json.loads(line.decode(), object_pairs_hook=object_pairs_hook, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ProtocolError(MALFORMED, f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise ProtocolError(MALFORMED, f"not a line of JSON: {error}") from error
    if not isinstance(body, dict):
        raise ProtocolError(MALFORMED, "a line is a JSON object")
    return body


def encode_line(body: dict[str, Any]) -> bytes:
    """Write one line; half a surrogate pair, which UTF-8 cannot say, goes as the escape that it came as."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def greeting() -> dict[str, Any]:
    """Return the agent's first line."""
    return {"protocol": PROTOCOL, "version": VERSION}


def answer(request_id: Any, result: Any) -> dict[str, Any]:
    """Return the answer to a request that was carried out."""
    return {"id": request_id, "ok": True, "result": result}


def refusal(request_id: Any, code: str, text: str) -> dict[str, Any]:
    """Return the answer to a request that was not carried out."""
    return {"id": request_id, "ok": False, "code": code, "error": text}


def event(name: str, number: int, at_ms: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Return an event as it is sent; a field never hides the event's own name, number or time."""
    head = {"event": name, "number": number, "at_ms": at_ms}
    return {**head, **fields, **head}


def _request(request_id: Any, what: Any, body: dict[str, Any]) -> Request:
    match what:
        case "snapshot":
            _only(body, ())
            return TakeSnapshot(request_id)
        case "subscribe":
            _only(body, ("events",))
            return Subscribe(request_id, _events(body.get("events")))
        case "stop-selling":
            _only(body, ("battery", "reason"))
            reason = _text(body, "reason") or "stopped over the control socket"
            return StopSelling(request_id, _text(body, "battery"), reason)
        case "resume":
            _only(body, ("battery",))
            return Resume(request_id, _text(body, "battery"))
        case "set-reserve":
            _only(body, ("battery", "price_e4"))
            return SetReserve(request_id, _needed(_text(body, "battery"), "battery"), _price(body))
        case None:
            raise ProtocolError(MALFORMED, f"do is missing: it names a request, one of {', '.join(REQUESTS)}")
        case _:
            raise ProtocolError(UNKNOWN, f"no request {what!r:.60}; there are: {', '.join(REQUESTS)}")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for key, value in pairs:
        if key in body:
            raise ProtocolError(MALFORMED, f"key {key!r:.60} stands more than once")
        body[key] = value
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _only(body: dict[str, Any], keys: tuple[str, ...]) -> None:
    if unknown := sorted(body.keys() - set(keys)):
        raise ProtocolError(MALFORMED, f"unknown key {unknown[0]!r:.60}; allowed: {', '.join(keys) or 'none'}")


def _text(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _NAME_CHARS_MAX):
        raise ProtocolError(MALFORMED, f"{key} is a text of 1..{_NAME_CHARS_MAX} characters")
    return value


def _needed(value: str | None, key: str) -> str:
    if value is None:
        raise ProtocolError(MALFORMED, f"{key} is missing")
    return value


def _price(body: dict[str, Any]) -> int | None:
    value = body.get("price_e4", False)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _PRICE_E4_MAX:
        raise ProtocolError(MALFORMED, f"price_e4 is a whole number of 0..{_PRICE_E4_MAX}, or null for the site's rule")
    return value


def _events(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(name in EVENTS for name in value):
        raise ProtocolError(MALFORMED, f"events is a list of: {', '.join(EVENTS)}")
    return tuple(value)

"""The control protocol's lines, and that its document knows every word of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import control_protocol as protocol
from agent.metrics import Metrics

DOCUMENT = (Path(__file__).parents[2] / "docs" / "control.md").read_text()


def line(**body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("sent", "request_"),
    [
        ({"do": "snapshot", "id": 1}, protocol.TakeSnapshot(1)),
        ({"do": "subscribe", "id": "a"}, protocol.Subscribe("a", None)),
        ({"do": "subscribe", "events": ["alarm"]}, protocol.Subscribe(None, ("alarm",))),
        ({"do": "stop-selling"}, protocol.StopSelling(None, None, "stopped over the control socket")),
        ({"do": "stop-selling", "battery": "a", "reason": "b"}, protocol.StopSelling(None, "a", "b")),
        ({"do": "resume", "battery": "a"}, protocol.Resume(None, "a")),
        ({"do": "set-reserve", "battery": "a", "price_e4": 0}, protocol.SetReserve(None, "a", 0)),
    ],
)
def test_requests(sent: dict[str, Any], request_: protocol.Request) -> None:
    assert protocol.decode_request(line(**sent)) == request_


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"do": "dance"}, protocol.UNKNOWN),
        ({}, protocol.UNKNOWN),
        ({"do": "snapshot", "extra": 1}, protocol.MALFORMED),
        ({"do": "subscribe", "events": "alarm"}, protocol.MALFORMED),
        ({"do": "subscribe", "events": ["gossip"]}, protocol.MALFORMED),
        ({"do": "resume", "battery": 3}, protocol.MALFORMED),
        ({"do": "resume", "battery": ""}, protocol.MALFORMED),
        ({"do": "stop-selling", "reason": "x" * 201}, protocol.MALFORMED),
        ({"do": "set-reserve", "price_e4": 1}, protocol.MALFORMED),
        *(
            ({"do": "set-reserve", "battery": "a", "price_e4": price}, protocol.MALFORMED)
            for price in (None, -1, 1.5, True, "5", 10**10)
        ),
    ],
)
def test_refused_requests_keep_their_id(sent: dict[str, Any], code: str) -> None:
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode_request(line(id=9, **sent))
    assert (caught.value.code, caught.value.request_id) == (code, 9)


@given(st.binary(max_size=200))
def test_any_line_is_a_request_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(protocol.ProtocolError):
        protocol.decode_request(data)


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_request(b"[" * 60_000)


def test_fields_never_hide_the_event() -> None:
    sent = protocol.event("alarm", 4, 99, {"number": 1, "battery": "a"})
    assert sent == {"event": "alarm", "number": 4, "at_ms": 99, "battery": "a"}
    assert protocol.decode_line(protocol.encode_line(sent)) == sent


def test_the_document_names_every_request_event_and_key() -> None:
    words = [*protocol.EVENTS, "dropped"]
    words += ["snapshot", "subscribe", "stop-selling", "resume", "set-reserve"]
    words += [protocol.MALFORMED, protocol.UNKNOWN, protocol.REFUSED, protocol.FAILED]
    for kind in (
        *(protocol.Snapshot, protocol.BatterySnapshot, protocol.LotSnapshot, protocol.StandingSnapshot),
        *(protocol.DeliverySnapshot, protocol.AlarmSnapshot),
    ):
        words += get_type_hints(kind)
    summary = Metrics().summary()
    words += [*summary, *summary["total"], *summary["total"]["one_bidder"]]
    missing = [word for word in words if f"`{word}`" not in DOCUMENT and f"`{word}[]`" not in DOCUMENT]
    assert missing == []
    assert json.dumps(protocol.greeting()) in DOCUMENT
    assert len(get_args(protocol.Request)) == 5

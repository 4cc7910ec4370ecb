"""The control protocol's lines, and that its document knows every word of it."""

from __future__ import annotations

import contextlib
import json
import re
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
        ({"do": "subscribe", "events": []}, protocol.Subscribe(None, ())),
        ({"do": "stop-selling"}, protocol.StopSelling(None, None, "stopped over the control socket")),
        ({"do": "stop-selling", "battery": "a", "reason": "b"}, protocol.StopSelling(None, "a", "b")),
        ({"do": "resume", "battery": "a"}, protocol.Resume(None, "a")),
        ({"do": "set-reserve", "battery": "a", "price_e4": 0}, protocol.SetReserve(None, "a", 0)),
        ({"do": "set-reserve", "battery": "a", "price_e4": None}, protocol.SetReserve(None, "a", None)),
    ],
)
def test_requests(sent: dict[str, Any], request_: protocol.Request) -> None:
    assert protocol.decode_request(line(**sent)) == request_


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"do": "dance"}, protocol.UNKNOWN),
        ({}, protocol.MALFORMED),
        ({"do": None}, protocol.MALFORMED),
        ({"do": ["snapshot"]}, protocol.UNKNOWN),
        ({"do": "snapshot", "extra": 1}, protocol.MALFORMED),
        ({"do": "subscribe", "events": "alarm"}, protocol.MALFORMED),
        ({"do": "subscribe", "events": ["gossip"]}, protocol.MALFORMED),
        ({"do": "resume", "battery": 3}, protocol.MALFORMED),
        ({"do": "resume", "battery": ""}, protocol.MALFORMED),
        ({"do": "stop-selling", "reason": "x" * 201}, protocol.MALFORMED),
        ({"do": "set-reserve", "price_e4": 1}, protocol.MALFORMED),
        ({"do": "set-reserve", "battery": "a"}, protocol.MALFORMED),
        *(
            ({"do": "set-reserve", "battery": "a", "price_e4": price}, protocol.MALFORMED)
            for price in (-1, 1.5, True, "5", 10**10)
        ),
    ],
)
def test_refused_requests_keep_their_id(sent: dict[str, Any], code: str) -> None:
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode_request(line(id=9, **sent))
    assert (caught.value.code, caught.value.request_id) == (code, 9)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"{}", "do is missing"),
        (b'{"do": "dance"}', "no request 'dance'; there are: snapshot, subscribe, stop-selling, resume, set-reserve"),
        (b'{"do": "resume", "do": "snapshot"}', "key 'do' stands more than once"),
        (b'{"do": "resume", "battery": "a", "battery": null}', "key 'battery' stands more than once"),
        (b'{"do": "snapshot", "id": {"a": 1, "a": 2}}', "key 'a' stands more than once"),
        ('{"do": "snapshot"}'.encode("utf-16"), "not UTF-8"),
        ('{"do": "snapshot"}'.encode("utf-16-le"), "not a line of JSON"),
        (b'{"do": "snapshot", "id": "\xff"}', "not UTF-8: invalid start byte at byte 26"),
        (b'{"do": "snapshot", "id": NaN}', "NaN is no number of JSON"),
    ],
)
def test_a_refused_line_is_told_what_is_wrong_with_it(sent: bytes, says: str) -> None:
    with pytest.raises(protocol.ProtocolError, match=re.escape(says)):
        protocol.decode_request(sent)


def test_many_keys_are_looked_through_once() -> None:
    """Quadratic work on one line would hold up the desk for seconds."""
    many = ", ".join(f'"{n}": 0' for n in range(5_000))
    keys = json.loads(f"{{{many}}}").items()
    compared = 0

    class Key(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    with pytest.raises(protocol.ProtocolError, match="'4999' stands"):
        protocol._each_key_once([*((Key(key), value) for key, value in keys), (Key("4999"), 0)])
    assert compared < 5_000


def test_half_a_surrogate_pair_goes_back_as_it_came() -> None:
    request = protocol.decode_request(b'{"do": "snapshot", "id": "\\ud800"}')
    assert protocol.encode_line(protocol.answer(request.id, None)) == b'{"id":"\\ud800","ok":true,"result":null}\n'


def test_every_request_is_listed() -> None:
    for name in protocol.REQUESTS:
        try:
            protocol.decode_request(line(do=name))
        except protocol.ProtocolError as error:
            assert error.code != protocol.UNKNOWN  # noqa: PT017 - some need more than their name
    assert len(protocol.REQUESTS) == len(get_args(protocol.Request))


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
    words += protocol.REQUESTS
    words += [protocol.MALFORMED, protocol.UNKNOWN, protocol.REFUSED, protocol.FAILED]
    for kind in (
        *(protocol.Snapshot, protocol.BatterySnapshot, protocol.LotSnapshot, protocol.StandingSnapshot),
        *(protocol.DeliverySnapshot, protocol.AlarmSnapshot, protocol.PriceSnapshot),
    ):
        words += get_type_hints(kind)
    summary = Metrics().summary()
    words += [*summary, *summary["total"], *summary["total"]["one_bidder"]]
    missing = [word for word in words if f"`{word}`" not in DOCUMENT and f"`{word}[]`" not in DOCUMENT]
    assert missing == []
    assert json.dumps(protocol.greeting()) in DOCUMENT
    assert len(get_args(protocol.Request)) == 5

"""The published vectors hold for this implementation, and the committed file is what the generator writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etp.auth import NOBODY, check_frame
from etp.bids import checked_bid
from etp.errors import AuthError, EtpError
from etp.extensions import Contract, Receipt, decode_extensions
from etp.frame import FrameReader, decode_frame
from etp.messages import BODY_BYTES, Body
from etp.vectors import PATH, document, main

FILE = Path(__file__).parents[2] / PATH
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"]


def of(layer: str, *, accept: bool) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTORS if vector["layer"] == layer and vector["accept"] is accept]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


def test_the_committed_file_is_what_the_generator_writes() -> None:
    assert FILE.read_text() == document()


def test_the_module_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PATH.parent.mkdir()
    main()
    assert (tmp_path / PATH).read_text() == document()


def test_there_are_enough_and_every_refusal_says_why() -> None:
    assert len(VECTORS) >= 60
    assert len({(vector["layer"], vector["name"]) for vector in VECTORS}) == len(VECTORS)
    assert all(vector["accept"] or vector["why"] for vector in VECTORS)


def fields_match(value: Any, fields: dict[str, Any]) -> bool:
    def plain(field: Any) -> Any:
        return field.hex() if isinstance(field, bytes) else field

    mine = {name: plain(field) for name, field in value._asdict().items()}
    return mine.keys() == fields.keys() and all(str(mine[name]) == str(fields[name]) for name in mine)


@of("body", accept=True)
def test_body(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    body = Body.decode(data)
    assert fields_match(body, vector["fields"])
    assert body.encode() == data


@of("body", accept=False)
def test_refused_body(vector: dict[str, Any]) -> None:
    with pytest.raises(EtpError, match=vector["why"]):
        decode_frame(bytes.fromhex(vector["hex"]))


@of("bid", accept=True)
def test_bid(vector: dict[str, Any]) -> None:
    body = checked_bid(Body.decode(bytes.fromhex(vector["hex"])), signed=vector["signed"])
    assert isinstance(body, Body)
    assert {"price_e4": body.bid_price_e4, "energy_wh": body.energy_wh} == vector["then"]


@of("bid", accept=False)
def test_refused_bid(vector: dict[str, Any]) -> None:
    assert isinstance(checked_bid(Body.decode(bytes.fromhex(vector["hex"])), signed=vector["signed"]), str)


@of("stream", accept=True)
def test_stream(vector: dict[str, Any]) -> None:
    reader = FrameReader()
    assert [frame.hex() for frame in reader.feed(bytes.fromhex(vector["hex"]))] == vector["frames"]
    assert reader.bad_length is None


@of("stream", accept=False)
def test_refused_stream(vector: dict[str, Any]) -> None:
    reader = FrameReader()
    assert reader.feed(bytes.fromhex(vector["hex"])) == []
    assert vector["why"] == f"length {reader.bad_length}"


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v["layer"] in {"contract", "receipt"}], ids=lambda vector: str(vector["name"])
)
def test_layouts(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    layout: type[Contract | Receipt] = Contract if vector["layer"] == "contract" else Receipt
    if vector["accept"]:
        value = layout.decode(data)
        assert fields_match(value, vector["fields"])
        assert value.encode() == data
    else:
        with pytest.raises(EtpError, match=vector["why"]):
            layout.decode(data)


@of("extensions", accept=True)
def test_extensions(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    found = decode_extensions(data)
    assert found.rest == data
    assert found.reason == vector.get("reason", "")
    assert (found.contract is not None) == (2 in vector["tags"])
    assert (found.receipt is not None) == (4 in vector["tags"])


@of("extensions", accept=False)
def test_refused_extensions(vector: dict[str, Any]) -> None:
    with pytest.raises(EtpError, match=vector["why"]):
        decode_extensions(bytes.fromhex(vector["hex"]))


def check(vector: dict[str, Any]) -> bytes:
    frame = bytes.fromhex(vector["hex"])
    _, extensions = decode_frame(frame)
    assert extensions.auth is not None
    peers = (bytes.fromhex(vector["own_key"]), NOBODY)
    return check_frame(
        frame[:BODY_BYTES], extensions.auth, extensions.rest, peers=peers, wall_ms=int(vector["wall_ms"])
    )


@of("auth", accept=True)
def test_signed_frame(vector: dict[str, Any]) -> None:
    assert check(vector).hex() == vector["signer"]


@of("auth", accept=False)
def test_refused_signature(vector: dict[str, Any]) -> None:
    with pytest.raises(AuthError, match=vector["why"].replace("+", r"\+")):
        check(vector)

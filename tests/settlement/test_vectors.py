"""The published vectors hold for this implementation, and the committed file is what the generator writes."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from etp.extensions import Contract as WireContract
from settlement import (
    Binding,
    Contract,
    KeyFileError,
    KeyRing,
    Receipt,
    Registration,
    SignatureKind,
    SignatureRefusedError,
    TermsError,
    WrongPasswordError,
    derive,
    device_id,
)
from settlement.keys import PURPOSES
from settlement.keystore import unseal
from settlement.signing import check, signed_bytes
from settlement.strict import SMALL_ORDER_POINTS
from settlement.vectors import PATH, document, main
from tests.settlement.curve import holds_without_cofactor

FILE = Path(__file__).parents[2] / PATH
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"]
LAYERS = json.loads(FILE.read_text())["layers"]


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


def test_names_are_unique_layers_are_told_and_every_refusal_says_why() -> None:
    assert len({(vector["layer"], vector["name"]) for vector in VECTORS}) == len(VECTORS) > 140
    assert {vector["layer"] for vector in VECTORS} == set(LAYERS)
    assert all(vector["accept"] or vector["why"] for vector in VECTORS)


def plain(value: object, name: str) -> str:
    content = getattr(value, name) if hasattr(value, name) else getattr(getattr(value, "venue", None), name)
    return content.hex() if isinstance(content, bytes) else str(content)


def assert_fields(value: object, told: dict[str, Any]) -> None:
    assert {name: plain(value, name) for name in told} == {name: str(content) for name, content in told.items()}


@of("contract", accept=True)
def test_contract(vector: dict[str, Any]) -> None:
    contract = Contract.decode(bytes.fromhex(vector["hex"]))
    assert_fields(contract, vector["fields"])
    assert len(vector["fields"]) == 20
    assert contract.encoded.hex() == vector["hex"]
    assert contract.trade_id.hex() == vector["trade_id"] == sha256(bytes.fromhex(vector["hex"])).hexdigest()
    assert (str(contract.amount), str(contract.reserve)) == (vector["amount"], vector["reserve"])
    again = Contract.from_wire(
        WireContract.decode(bytes.fromhex(vector["wire"])),
        contract.venue,
        battery_device_id=int(vector["fields"]["battery_device_id"]),
        buyer_device_id=int(vector["fields"]["buyer_device_id"]),
        message_id=int(vector["fields"]["message_id"]),
        price_e4=vector["fields"]["price_e4"],
        energy_wh=vector["fields"]["energy_wh"],
    )
    assert again == contract
    assert contract.venue.market.hex() == vector["market"]


@of("contract", accept=False)
def test_refused_contract(vector: dict[str, Any]) -> None:
    with pytest.raises(TermsError, match=vector["why"]) as caught:
        Contract.decode(bytes.fromhex(vector["hex"]))
    assert caught.value.field == vector["field"]


@of("receipt", accept=True)
def test_receipt(vector: dict[str, Any]) -> None:
    receipt = Receipt.decode(bytes.fromhex(vector["hex"]))
    assert_fields(receipt, vector["fields"])
    assert receipt.encoded.hex() == vector["hex"]
    assert receipt.digest.hex() == vector["digest"]


@of("receipt", accept=False)
def test_refused_receipt(vector: dict[str, Any]) -> None:
    with pytest.raises(TermsError, match=vector["why"]) as caught:
        Receipt.decode(bytes.fromhex(vector["hex"]))
    assert caught.value.field == vector["field"]


@of("split", accept=True)
def test_split(vector: dict[str, Any]) -> None:
    (data,) = (v["hex"] for v in VECTORS if v["layer"] == "contract" and v["name"] == vector["contract"])
    split = Contract.decode(bytes.fromhex(data)).split(int(vector["delivered_wh"]))
    assert {part: str(units) for part, units in split._asdict().items()} == {
        part: vector[part] for part in ("payout", "fee", "returned")
    }
    assert sum(split) == int(vector["reserve"])


@of("registration", accept=True)
def test_registration(vector: dict[str, Any]) -> None:
    registration = Registration(**{name: bytes.fromhex(content) for name, content in vector["fields"].items()})
    assert registration.encoded.hex() == vector["hex"]
    assert registration.digest.hex() == vector["digest"]
    registration.check(bytes.fromhex(vector["signature"]))


@of("binding", accept=True)
def test_binding(vector: dict[str, Any]) -> None:
    binding = Binding.decode(bytes.fromhex(vector["hex"]))
    assert_fields(binding, vector["fields"])
    assert binding.digest.hex() == vector["digest"]
    binding.check(bytes.fromhex(vector["signature"]))


def parts_of(vector: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    return (bytes.fromhex(vector["public_key"]), bytes.fromhex(vector["signature"]), bytes.fromhex(vector["signed"]))


@of("signature", accept=True)
def test_signature(vector: dict[str, Any]) -> None:
    key, signature, data = parts_of(vector)
    kind, digest = SignatureKind(vector["kind"]), bytes.fromhex(vector["digest"])
    assert signed_bytes(kind, digest) == data
    check(kind, digest, key, signature)
    assert holds_without_cofactor(key, signature, data)


@of("signature", accept=False)
def test_refused_signature(vector: dict[str, Any]) -> None:
    key, signature, data = parts_of(vector)
    kind, digest = SignatureKind(vector["kind"]), bytes.fromhex(vector["digest"])
    assert signed_bytes(kind, digest) == data
    with pytest.raises(SignatureRefusedError) as caught:
        check(kind, digest, key, signature)
    assert caught.value.reason == vector["why"]


LAX = [vector for vector in VECTORS if vector.get("lax")]


@pytest.mark.parametrize("vector", LAX, ids=[vector["name"] for vector in LAX])
def test_the_lax_ones_do_satisfy_the_equation_and_openssl(vector: dict[str, Any]) -> None:
    key, signature, data = parts_of(vector)
    assert holds_without_cofactor(key, signature, data)
    Ed25519PublicKey.from_public_bytes(key).verify(signature, data)


def test_every_point_of_small_order_has_a_lax_vector() -> None:
    assert {point.hex() for point in SMALL_ORDER_POINTS} <= {vector["public_key"] for vector in LAX}


def test_openssl_takes_none_but_the_lax_ones() -> None:
    strict = [
        vector for vector in VECTORS if vector["layer"] == "signature" and not vector["accept"] and not vector["lax"]
    ]
    for vector in strict:
        key, signature, data = parts_of(vector)
        with pytest.raises((InvalidSignature, ValueError)):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, data)


@of("keys", accept=True)
def test_keys(vector: dict[str, Any]) -> None:
    ring = KeyRing.decode(bytes.fromhex(vector["ring"]))
    assert {purpose: ring.seed(purpose).hex() for purpose in PURPOSES} == vector["seeds"]
    assert {purpose: ring.public_keys[purpose].hex() for purpose in PURPOSES} == vector["public_keys"]
    assert device_id(ring.public_keys["identity"]) == int(vector["device_id"])
    derived = {purpose: derive(bytes.fromhex(vector["root"]), purpose).hex() for purpose in PURPOSES}
    assert {purpose for purpose in PURPOSES if derived[purpose] != vector["seeds"][purpose]} == set(ring.replaced)


@of("keystore", accept=True)
def test_keystore(vector: dict[str, Any]) -> None:
    ring = unseal(vector["text"].encode(), vector["password"], Path("keys"))
    assert ring.encode().hex() == vector["ring"]


@of("keystore", accept=False)
def test_refused_keystore(vector: dict[str, Any]) -> None:
    with pytest.raises(KeyFileError) as caught:
        unseal(vector["text"].encode(), vector["password"], Path("keys"))
    assert vector["why"] in caught.value.problem
    assert isinstance(caught.value, WrongPasswordError) == (vector["name"] == "another password")

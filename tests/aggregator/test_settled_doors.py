"""Signatures that only a lax verifier takes, and each refused one of the vectors, at every door of a settling buyer."""

from __future__ import annotations

import json
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aggregator.entries import State
from aggregator.testing.money_bench import MoneyBench
from aggregator.testing.seller import BATTERY_KEYS
from etp.extensions import Extensions
from etp.messages import MessageType
from settlement.receipt import Receipt
from settlement.signing import SignatureKind, signed_bytes
from settlement.strict import GROUP_ORDER, SMALL_ORDER_POINTS

VECTORS = json.loads((Path(__file__).parents[2] / "docs/contract-vectors.json").read_text())["vectors"]
REFUSED = [
    vector
    for vector in VECTORS
    if vector["layer"] == "signature" and not vector["accept"] and len(vector["signature"]) == 128
]
"""What a frame can carry: 64 bytes."""
LAX = "lax"


def lax_signature(kind: SignatureKind, digest: bytes) -> bytes:
    """Return the battery's signature with the identity as R: OpenSSL takes it, the ledger does not."""
    seed, key = BATTERY_KEYS.seed("identity"), BATTERY_KEYS.public_keys["identity"]
    scalar = bytearray(sha512(seed).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    r = SMALL_ORDER_POINTS[0]
    challenge = int.from_bytes(sha512(r + key + signed_bytes(kind, digest)).digest(), "little")
    s = challenge * int.from_bytes(scalar, "little") % GROUP_ORDER
    signature = r + s.to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(key).verify(signature, signed_bytes(kind, digest))
    return signature


def cases() -> list[Any]:
    return [pytest.param(LAX, id=LAX), *(pytest.param(vector["signature"], id=vector["name"]) for vector in REFUSED)]


@pytest.mark.parametrize("text", cases())
def test_an_accept_is_not_confirmed(tmp_path: Path, text: str) -> None:
    bench = MoneyBench(tmp_path / "cheques.db")
    bench.bidding()
    bid = bench.bid_sent()
    accept = bench.accept(bid.body)
    wire = bench.sign(bid, accept)
    contract = bench.seller.contracts[bid.body.message_id]
    signature = lax_signature(SignatureKind.CONTRACT, contract.trade_id) if text == LAX else bytes.fromhex(text)
    bench.hear(accept, extensions=Extensions(contract=wire._replace(signature=signature)))
    assert MessageType.BID_CONFIRM not in bench.kinds()
    assert bench.events() == ["not_confirmed"]
    assert (bench.on_disk(bid.body), bench.settler.puts) == (None, [])


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("text", cases())
def test_a_receipt_is_not_answered(tmp_path: Path, text: str, final: bool) -> None:
    bench = MoneyBench(tmp_path / "cheques.db")
    bid = bench.agreed_bid()
    contract = bench.seller.contracts[bid.message_id]
    wire = bench.seller.receipt(bid.message_id, 0, final=final)
    digest = Receipt.from_wire(wire, contract.trade_id).digest
    signature = lax_signature(SignatureKind.RECEIPT, digest) if text == LAX else bytes.fromhex(text)
    wire = wire._replace(signature=signature)
    bench.end(bid, wire) if final else bench.status(bid, 0, wire)
    assert [send.receipt for send in bench.sent if send.receipt is not None] == []
    assert "receipt_refused" in bench.events()
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.cheque.interim) == (State.OPEN, None)

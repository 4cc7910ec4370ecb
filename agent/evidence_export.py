"""What a battery's journal holds about one paid trade, as one object that anybody can check: samples, receipts, hash.

`python` or another language needs nothing of this agent to recompute the hash: `settlement.evidence` says how.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from agent.records import Deal, Kind
from settlement.evidence import evidence_of, samples_in
from settlement.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.records import Record


def export_evidence(records: Iterable[Record], trade_id: str) -> dict[str, Any]:
    """Return everything on record about the trade with this id (64 hex digits), for JSON.

    `evidence` is the hash recomputed from the samples, `agrees` whether it is the one in the final receipt (None while
    there is none). Raises KeyError when the journal knows no such trade, TermsError or ValueError for torn records.
    """
    found: dict[str, Any] = {"trade_id": trade_id, "receipts": []}
    portions: list[bytes] = []
    shared: list[str] = []
    final: Receipt | None = None
    for record in records:
        body = record.body
        if record.kind == Kind.CONFIRMED and Deal.from_body(body).trade_id == trade_id:
            found |= {"battery": record.battery, "contract": body["contract"]}
        if body.get("trade_id") != trade_id:
            continue
        if record.kind == Kind.EVIDENCE:
            portions.append(b64decode(body["samples"], validate=True))
            shared = [str(name) for name in body["shared"]]
        elif record.kind == Kind.DELIVERY_ENDED and body.get("receipt"):
            final = Receipt.decode(bytes.fromhex(body["receipt"]))
            found["final_receipt"] = body["receipt"]
        elif record.kind == Kind.RECEIPT:
            found["receipts"].append({name: value for name, value in body.items() if name != "trade_id"})
    if "contract" not in found:
        raise KeyError(trade_id)
    evidence = evidence_of(trade_id, portions, shared)
    return {
        **found,
        "shared": shared,
        "samples": [list(sample) for portion in portions for sample in samples_in(portion)],
        "fields": ["power_w", "power_at_ms", "counter_wh", "counter_at_ms", "baseline_w"],
        "evidence": evidence.hex(),
        "agrees": None if final is None else final.evidence == evidence,
    }

"""The export of one trade's evidence: whoever has it comes to the hash in the receipt."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from agent.evidence_export import export_evidence
from agent.journal import Journal
from etp.messages import MessageType
from settlement import Contract, Receipt
from settlement.evidence import Sample, evidence_of
from tests.agent import gateway_world as gw
from tests.agent.settling_world import buyer_in, settled_world

if TYPE_CHECKING:
    from pathlib import Path


def test_the_export_holds_all_that_is_needed_and_names_who_shared_the_counter(tmp_path: Path) -> None:
    async def scenario() -> tuple[list[Any], list[Contract]]:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 100000") as (world, _):
            buyer = await buyer_in(world)
            contracts = [await buyer.trade(kwh=0.5), await buyer.trade(kwh=0.5)]
            ends = [await buyer.receipt(each, kind=MessageType.TERMINATE) for each in contracts]
            buyer.answer(contracts[0], ends[0])
            await asyncio.sleep(1)
            journal = Journal.open_read_only(world.site.storage.journal, wall_ms=world.wall_ms)
            return list(journal.replay()), contracts

    records, contracts = gw.run(scenario())
    one, other = (each.trade_id.hex() for each in contracts)
    export = json.loads(json.dumps(export_evidence(records, one)))
    assert export["agrees"] is True
    assert export["shared"] == [other]
    assert Contract.decode(bytes.fromhex(export["contract"])) == contracts[0]
    samples = b"".join(Sample(*numbers).encode() for numbers in export["samples"])
    final = Receipt.decode(bytes.fromhex(export["final_receipt"]))
    assert evidence_of(one, [samples], [other]) == final.evidence
    assert bytes.fromhex(export["evidence"]) == final.evidence
    assert [receipt["final"] for receipt in export["receipts"]] == [True]
    counters = [sample[2] for sample in export["samples"] if sample[2] > 0]
    assert 900 <= counters[-1] - counters[0] <= 1_100  # both trades' energy went through it

    tampered = [
        record._replace(body={**record.body, "shared": []}) if record.kind == "evidence" else record
        for record in records
    ]
    assert export_evidence(tampered, one)["agrees"] is False
    with pytest.raises(KeyError):
        export_evidence(records, "ab" * 32)

"""The chapter of the sceptic: `wattbid verify`, as anybody would run it, with a bundle and an endpoint."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from settlement import sign_contract, sign_receipt
from settlement.bundle import Bundle
from settlement.cheque import Cheque, SignedReceipt
from settlement.verifying import check_papers
from tests.acceptance.cluster import WATTBID

if TYPE_CHECKING:
    from pathlib import Path

    from settlement import Contract
    from tests.acceptance.market import Market


async def anybody_can_verify(market: Market, place: Path) -> None:
    """A settled trade whose transaction is named, a claimed one that is looked for, and a payment of another trade."""
    by_number = {contract.contract_no: contract for contract in market.trades.values() if _is_first(market, contract)}
    settled, claimed = by_number[0], by_number[4]
    paid = _bundle(market, settled, 2_137, cosigned=True)
    await market.client.finalized(market.ended[settled.trade_id].signature)
    bundles = {"settled": paid, "claimed": _bundle(market, claimed, 2_400)}
    bundles["swapped"] = replace(paid, signature=market.ended[claimed.trade_id].signature)
    asked = (_verify(market, place / f"{name}.json", bundle) for name, bundle in bundles.items())
    *good, swapped = await asyncio.gather(*asked)
    for name, (status, verdict) in zip(bundles, good, strict=False):
        wrong = [finding for finding in verdict["findings"] if not finding["holds"]]
        assert (status, verdict["holds"], wrong) == (0, True, [])
        market.told += [f"verify, {name}: {found['name']}: {found['text']}" for found in verdict["findings"]]
    assert (swapped[0], swapped[1]["holds"]) == (1, False)
    for forged in (
        replace(paid.cheque, buyer_signature=paid.cheque.battery_signature),
        replace(paid.cheque, contract=replace(settled, price_e4=251_400)),
    ):
        assert not all(finding.holds for finding in check_papers(replace(paid, cheque=forged)))


def _is_first(market: Market, contract: Contract) -> bool:
    return contract.battery_wallet == bytes(market.battery.address)


def _bundle(market: Market, contract: Contract, delivered_wh: int, *, cosigned: bool = False) -> Bundle:
    """Return what a party of this trade hands on; of a co-signed one with the name of its transaction."""
    battery, buyer, receipt = market.battery.identity, market.buyer.identity, market.receipt(contract, delivered_wh)
    final = SignedReceipt(
        receipt=receipt,
        battery_signature=sign_receipt(receipt, contract, battery),
        buyer_signature=sign_receipt(receipt, contract, buyer) if cosigned else None,
    )
    cheque = Cheque(
        role="buyer" if cosigned else "battery",
        contract=contract,
        battery_key=battery.public_key,
        buyer_key=buyer.public_key,
        battery_signature=sign_contract(contract, battery),
        buyer_signature=sign_contract(contract, buyer),
        final=final,
    )
    ended = market.ended[contract.trade_id].signature if cosigned else None
    return Bundle(cheque=cheque, stage="settled", signature=ended)


async def _verify(market: Market, path: Path, bundle: Bundle) -> tuple[int | None, dict[str, Any]]:
    """Return the exit status of the command, and what it says."""
    _write(path, bundle)
    arguments = ("verify", str(path), "--rpc", market.client.url, "--json")
    process = await asyncio.create_subprocess_exec(*WATTBID, *arguments, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    verdict = json.loads(said)
    assert isinstance(verdict, dict)
    return process.returncode, verdict


def _write(path: Path, bundle: Bundle) -> None:
    path.write_text(bundle.to_json())

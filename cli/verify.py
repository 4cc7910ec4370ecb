"""`wattbid verify`: check a trade by oneself, from its bundle and the ledger."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from settlement.bundle import Bundle
    from settlement.program.history import Happened
    from settlement.verifying import Finding

app = typer.Typer(add_completion=False)
_USAGE: Final = 2
_LOOKED_AT: Final = 100


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `wattbid settle export` wrote.")],
    *,
    rpc: Annotated[list[str] | None, typer.Option(help="Endpoint of the contract's cluster; repeatable.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the papers only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute contract, receipts, signatures and samples, and see on the ledger what was paid.

    Exit status 1 when anything does not hold, or the trade is not paid.
    """
    from settlement.errors import SettlementError
    from settlement.verifying import Finding, check_papers, check_payment

    found = _read(bundle)
    if offline == bool(rpc):
        typer.echo("wattbid verify: name the cluster's endpoint with --rpc, or --offline to leave it out", err=True)
        raise typer.Exit(_USAGE)
    _check_endpoints(rpc or [])
    findings = list(check_papers(found))
    if rpc:
        try:
            happened, others = asyncio.run(_paid(found, tuple(rpc)))
        except SettlementError as error:
            typer.echo(f"wattbid verify: {error}", err=True)
            raise typer.Exit(1) from error
        if happened is None:
            words = f"nothing on the ledger ends this trade, as far as is final; it was {found.stage} when exported"
            findings.append(Finding("payment", False, words))
        else:
            findings += check_payment(found, happened, others)
    _tell(found, findings, as_json=as_json)
    if not all(finding.holds for finding in findings):
        raise typer.Exit(1)


def _read(path: Path) -> Bundle:
    from settlement.bundle import BUNDLE_BYTES_MAX, Bundle, BundleError

    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(BUNDLE_BYTES_MAX + 1)
        return Bundle.from_json(text)
    except (BundleError, UnicodeDecodeError) as error:
        typer.echo(f"wattbid verify: {path}: {error}", err=True)
        raise typer.Exit(_USAGE) from error


def _check_endpoints(urls: list[str]) -> None:
    from settlement.errors import TermsError
    from settlement.settler_types import check_endpoint

    try:
        for url in urls:
            check_endpoint(url)
    except TermsError as error:
        typer.echo(f"wattbid verify: {error}", err=True)
        raise typer.Exit(_USAGE) from error


async def _paid(bundle: Bundle, urls: tuple[str, ...]) -> tuple[Happened | None, list[Happened]]:
    """Return the finalized transaction that ended the trade, named or found at its address, and its others."""
    from solders.pubkey import Pubkey

    from settlement.program.addresses import Addresses
    from settlement.program.history import read_transaction
    from settlement.rpc import HttpTransport, RpcClient
    from settlement.verifying import ends

    venue = bundle.cheque.contract.venue
    program = Pubkey.from_bytes(venue.program_id)
    transport = HttpTransport()
    try:
        client = RpcClient(
            urls,
            venue.genesis_hash,
            transport,
            monotonic_s=time.monotonic,
            rng=random.Random(),  # noqa: S311 - jitter of back-offs
        )
        named = bundle.signature
        address = bytes(Addresses(program).trade(bundle.cheque.trade_id))
        at_address = await client.signatures_for(address, limit=_LOOKED_AT)
        found: dict[bytes, Happened] = {}
        for signature in dict.fromkeys((*((named,) if named else ()), *at_address)):
            told = await client.transaction(signature)
            if told is not None:
                found[signature] = read_transaction(told, program)
        ended = [one for signature, one in found.items() if signature == named or (not named and ends(bundle, one))]
        return (ended[0] if ended else None), [one for one in found.values() if one not in ended]
    finally:
        await transport.close()


def _tell(bundle: Bundle, findings: list[Finding], *, as_json: bool) -> None:
    holds = all(finding.holds for finding in findings)
    if as_json:
        rows = [finding._asdict() for finding in findings]
        print(json.dumps({"trade_id": bundle.cheque.trade_id.hex(), "holds": holds, "findings": rows}))
        return
    for finding in findings:
        print(f"{'ok ' if finding.holds else 'BAD'} {finding.name}: {finding.text}")
    print("everything holds" if holds else "NOT everything holds")

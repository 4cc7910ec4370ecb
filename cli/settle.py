"""`wattbid settle`: look after what is on its way to the ledger. Reads the outbox beside whoever runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.holder import HolderError, complaints
from cli.words import counted

if TYPE_CHECKING:
    from cli.outboxes import Paid
    from settlement.bundle import Evidence
    from settlement.outbox_file import Loaded
    from settlement.outbox_records import Attempt, TradeRecord

app = typer.Typer(help="What is on its way to the ledger.", no_args_is_help=True, add_completion=False)
_Site = Annotated[Path | None, typer.Option(help="The site file, for its batteries.")]
_Config = Annotated[Path | None, typer.Option("--config", help="The aggregator's file.")]
_Trade = Annotated[str, typer.Argument(metavar="TRADE", help="A trade's id, or how it begins.")]
_Out = Annotated[Path | None, typer.Option("--out", help="A new file to write it to, instead of printing it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def settle() -> None:
    """What is on its way to the ledger."""


@app.command()
def status(*, site: _Site = None, config: _Config = None, as_json: _Json = False) -> None:
    """Show how many trades are how far, what is open, what was sent, and what is in the way.

    Asks the ledger's endpoints, for a few seconds at most, whether they can be reached now.
    """
    from cli.outboxes import outboxes_of
    from cli.reached import reach_of
    from settlement.outbox_file import Loaded, read_stages

    with complaints("settle status"):
        parties = outboxes_of(site=site, config=config)
        reach = reach_of(parties)
        for paid in parties:
            loaded = read_stages(paid.outbox) if paid.outbox.exists() else Loaded()
            loaded.open_trades = [paid.seen(record) for record in loaded.open_trades]
            if as_json:
                print(json.dumps({**_status(paid, loaded), "ledger": reach.as_json(paid.name)}))
            else:
                print("\n".join([*_status_lines(paid, loaded), *reach.lines(paid, loaded.open_trades)]))


@app.command()
def retry(trade: _Trade, *, site: _Site = None, config: _Config = None, as_json: _Json = False) -> None:
    """Let the agent or aggregator try a trade again at once: at its next look, or when it is started."""
    from cli.outboxes import find_trade, outboxes_of
    from settlement.outbox_file import leave_wishes
    from settlement.settler_types import Stage

    with complaints("settle retry"):
        paid, record, _ = find_trade(outboxes_of(site=site, config=config), trade)
        if record.stage is Stage.SETTLED:
            raise HolderError(f"{record.trade_id.hex()[:16]} is settled: there is nothing to try again")
        leave_wishes(paid.outbox, [record.trade_id])
        said = f"{record.trade_id.hex()[:16]} is tried again at the next look at the ledger"
        print(json.dumps({"trade_id": record.trade_id.hex(), "asked": True}) if as_json else said)


@app.command()
def export(trade: _Trade, *, site: _Site = None, config: _Config = None, out: _Out = None) -> None:
    """Write what anybody needs to check a trade by himself, with the battery's samples; `wattbid verify` does it."""
    from cli.outboxes import find_trade, outboxes_of
    from settlement.bundle import Bundle

    with complaints("settle export"):
        paid, record, _ = find_trade(outboxes_of(site=site, config=config), trade)
        bundle = Bundle(
            cheque=record.cheque,
            stage=record.stage.value,
            signature=None if record.outcome is None else record.outcome.signature,
            evidence=None if paid.journal is None else _samples(paid.journal, record.trade_id),
        )
        _write(bundle.to_json(), out)


@app.command()
def evidence(trade: _Trade, *, site: _Site = None, out: _Out = None) -> None:
    """Write a battery's metered samples of a trade, and the hash they give; the receipt names the same one."""
    from cli.outboxes import find_trade, outboxes_of, samples_of

    with complaints("settle evidence"):
        paid, record, _ = find_trade(outboxes_of(site=site, config=None), trade)
        _write(json.dumps(samples_of(paid, record.trade_id)) + "\n", out)


def _samples(journal: Path, trade_id: bytes) -> Evidence | None:
    """The samples as they were recorded, None where the journal holds none of this trade."""
    from base64 import b64decode

    from agent.journal_file import salvage_records
    from agent.records import Kind
    from settlement.bundle import Evidence

    if not journal.exists():
        return None
    kept = [
        record.body
        for record in salvage_records(journal, [])
        if record.kind == Kind.EVIDENCE and record.body.get("trade_id") == trade_id.hex()
    ]
    if not kept:
        return None
    portions = tuple(b64decode(body["samples"], validate=True) for body in kept)
    return Evidence(portions=portions, shared=tuple(str(name) for name in kept[-1]["shared"]))


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise HolderError(f"{out}: is there already; name another file") from None
    print(f"written to {out}")


def _status(paid: Paid, loaded: Loaded) -> dict[str, Any]:
    from cli.outboxes import attempt_row, trade_row

    return {
        "party": paid.name,
        "role": paid.role,
        "outbox": str(paid.outbox),
        "stages": loaded.stages,
        "open_cheques": len(loaded.open_trades),
        "open_units": sum(record.cheque.most_units for record in loaded.open_trades),
        "uncashed": sum(record.cheque.contract.reserve for record in loaded.open_trades),
        "open": [trade_row(paid, record) for record in loaded.open_trades],
        "in_flight": [{"subject": one.subject.hex(), **attempt_row(one)} for one in loaded.open_attempts],
    }


def _status_lines(paid: Paid, loaded: Loaded) -> list[str]:
    if not loaded.stages:
        return [f"{paid.name}: no trade was settled yet ({paid.outbox})"]
    stages = ", ".join(f"{count} {stage}" for stage, count in sorted(loaded.stages.items()))
    open_units = sum(record.cheque.most_units for record in loaded.open_trades)
    told = [f"{paid.name}: {stages}; {counted(len(loaded.open_trades), 'open cheque')} up to {paid.c(open_units)}"]
    told += [_sent_line(attempt) for attempt in loaded.open_attempts]
    told += [_open_line(record) for record in loaded.open_trades if record.problem is not None]
    return told


def _sent_line(attempt: Attempt) -> str:
    from settlement.exchange import to_base58

    return f"  {attempt.subject.hex()[:16]} {attempt.action} sent, not final yet: {to_base58(attempt.signature)}"


def _open_line(record: TradeRecord) -> str:
    return f"  {record.trade_id.hex()[:16]} {record.stage.value}: {record.problem}"

"""`wattbid ledger`: Solana's runtime and JSON-RPC on this machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.endings import hang_up_ends
from cli.filling import FillError, fill
from cli.holder import complaints

if TYPE_CHECKING:
    from settlement.cluster.setup import Member
    from settlement.ledger.init import Wishes

app = typer.Typer(add_completion=False)
_PORT: Final = 8_899


@app.command()
def ledger(
    *,
    data: Annotated[
        Path | None, typer.Option(help="The data directory.", show_default="none: in memory, gone at the end")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the JSON-RPC; 0 = any.")] = _PORT,
    init: Annotated[bool, typer.Option("--init", help="Deploy the program and make a test currency.")] = False,
    elf: Annotated[Path | None, typer.Option(help="The program.", show_default="the one that comes along")] = None,
    battery: Annotated[list[Path] | None, typer.Option(help="Root file of a battery to register; repeatable.")] = None,
    buyer: Annotated[list[Path] | None, typer.Option(help="Root file of a buyer to register; repeatable.")] = None,
    site: Annotated[list[Path] | None, typer.Option(help="Site file: register its batteries, fill it in.")] = None,
    config: Annotated[list[Path] | None, typer.Option(help="Aggregator file: register its buyer, fill it in.")] = None,
    sol: Annotated[int, typer.Option(min=1, max=1_000_000, help="SOL in each registered wallet.")] = 10,
    usdc: Annotated[int, typer.Option(min=0, max=1_000_000_000, help="Test USDC of each buyer.")] = 10_000,
    line_usdc: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Of which on a Line to each battery; 0 opens none.")
    ] = 0,
    finalized_after: Annotated[int, typer.Option(min=1, max=150, help="Blocks after which a block is finalized.")] = 32,
    time_scale: Annotated[
        int, typer.Option(min=1, max=10_000, help="Run this much faster; for tests whose clients share the clock.")
    ] = 1,
    time_anchor: Annotated[
        int | None, typer.Option(min=0, help="UTC second from which time runs faster.", show_default="the start")
    ] = None,
    fault: Annotated[list[str] | None, typer.Option(help="A fault to have, as in rate-limit=3; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ready line as JSON.")] = False,
) -> None:
    """Run a ledger of one node: the real runtime behind JSON-RPC, its state in a directory."""
    from settlement.errors import SettlementError
    from settlement.ledger import FaultError, Faults, Settings
    from settlement.ledger.main import Hosting, run_ledger

    hang_up_ends()
    faults = Faults()
    try:
        for text in fault or []:
            faults.put(text)
        _check(init=init, wishes=[battery, buyer, site, config, elf, line_usdc])
    except FaultError as error:
        typer.echo(f"wattbid ledger: {error}", err=True)
        raise typer.Exit(2) from error
    with complaints("ledger"):
        members = _members(battery or [], buyer or [], site or [], config or []) if init else []
    needed = line_usdc * sum(member.role == "battery" for member in members)
    if needed > usdc:
        typer.echo(f"wattbid ledger: --usdc {usdc} does not cover --line-usdc for every battery: {needed}", err=True)
        raise typer.Exit(2)

    def ready(told: dict[str, Any]) -> None:
        for path in (*(site or ()), *(config or ())):
            fill(path, told)
        _tell(told, as_json=as_json)

    try:
        hosting = Hosting(
            directory=data,
            host=host,
            port=port,
            settings=Settings(finalized_lag=finalized_after),
            faults=faults,
            wishes=_wishes(elf, members, money=(sol, usdc, line_usdc)) if init else None,
            time_scale=time_scale,
            time_anchor_ms=None if time_anchor is None else time_anchor * 1_000,
        )
        run_ledger(hosting, ready=ready)
    except (FillError, SettlementError) as error:
        typer.echo(f"wattbid ledger: {error}", err=True)
        raise typer.Exit(1) from error


def _check(*, init: bool, wishes: list[object]) -> None:
    """Raise FaultError for options that do not go together."""
    from settlement.ledger import FaultError

    if not init and any(wishes):
        raise FaultError("--battery, --buyer, --site, --config, --elf and --line-usdc say what --init does: add it")


def _members(batteries: list[Path], buyers: list[Path], sites: list[Path], configs: list[Path]) -> list[Member]:
    """Return who is to be registered. Raises what reading their files raises; roots are made as at a first start."""
    from cli.holder import holder_of, holders_of
    from settlement.cluster.setup import Member
    from settlement.ledger.init import read_member

    members = [read_member("battery", path) for path in batteries] + [read_member("buyer", path) for path in buyers]
    holders = [holder for path in sites for holder in holders_of(path)]
    holders += [holder_of(config=path) for path in configs]
    return members + [Member(holder.role, holder.wallet, holder.identity) for holder in holders]


def _wishes(elf: Path | None, members: list[Member], *, money: tuple[int, int, int]) -> Wishes:
    from settlement.ledger.init import UNITS_PER_USDC, Wishes
    from settlement.ledger.limits import LAMPORTS_PER_SOL
    from settlement.program.elf import program_elf

    sol, usdc, line_usdc = money
    return Wishes(
        code=program_elf() if elf is None else elf.read_bytes(),
        members=members,
        lamports=sol * LAMPORTS_PER_SOL,
        units=usdc * UNITS_PER_USDC,
        line_units=line_usdc * UNITS_PER_USDC,
    )


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    text = json.dumps(told) if as_json else " ".join(["ready", *(f"{name}={value}" for name, value in told.items())])
    print(text, flush=True)

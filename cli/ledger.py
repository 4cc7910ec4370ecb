"""`wattbid ledger`: Solana's runtime and JSON-RPC on this machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.endings import hang_up_ends

if TYPE_CHECKING:
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
        _check(init=init, wishes=[battery, buyer, elf, line_usdc], usdc=usdc, needed=line_usdc * len(battery or []))
    except FaultError as error:
        typer.echo(f"wattbid ledger: {error}", err=True)
        raise typer.Exit(2) from error
    try:
        hosting = Hosting(
            directory=data,
            host=host,
            port=port,
            settings=Settings(finalized_lag=finalized_after),
            faults=faults,
            wishes=_wishes(elf, battery or [], buyer or [], money=(sol, usdc, line_usdc)) if init else None,
            time_scale=time_scale,
            time_anchor_ms=None if time_anchor is None else time_anchor * 1_000,
        )
        run_ledger(hosting, ready=lambda told: _tell(told, as_json=as_json))
    except SettlementError as error:
        typer.echo(f"wattbid ledger: {error}", err=True)
        raise typer.Exit(1) from error


def _check(*, init: bool, wishes: list[object], usdc: int, needed: int) -> None:
    """Raise FaultError for options that do not go together."""
    from settlement.ledger import FaultError

    if not init and any(wishes):
        raise FaultError("--battery, --buyer, --elf and --line-usdc say what --init does: add it")
    if needed > usdc:
        raise FaultError(f"--usdc {usdc} does not cover --line-usdc for every --battery: that takes {needed}")


def _wishes(elf: Path | None, batteries: list[Path], buyers: list[Path], *, money: tuple[int, int, int]) -> Wishes:
    from settlement.ledger.init import UNITS_PER_USDC, Wishes, read_member
    from settlement.ledger.limits import LAMPORTS_PER_SOL
    from settlement.program.elf import program_elf

    sol, usdc, line_usdc = money
    members = [("battery", path) for path in batteries] + [("buyer", path) for path in buyers]
    return Wishes(
        code=program_elf() if elf is None else elf.read_bytes(),
        members=[read_member(role, path) for role, path in members],
        lamports=sol * LAMPORTS_PER_SOL,
        units=usdc * UNITS_PER_USDC,
        line_units=line_usdc * UNITS_PER_USDC,
    )


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    text = json.dumps(told) if as_json else " ".join(["ready", *(f"{name}={value}" for name, value in told.items())])
    print(text, flush=True)

"""`wattbid program`: the settlement program on any cluster."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

app = typer.Typer(help="The settlement program on any cluster.", no_args_is_help=True, add_completion=False)
_TIMEOUT_S: Final = 14 * 86_400


@app.callback()
def program() -> None:
    """Bring the settlement program to a cluster."""


@app.command()
def deploy(
    *,
    rpc: Annotated[str, typer.Option(help="Endpoint of the cluster, as in http://127.0.0.1:8899.")],
    keypair: Annotated[Path, typer.Option(help="Key of who pays, and becomes admin: Solana's JSON or PEM.")],
    program_keypair: Annotated[
        Path | None, typer.Option(help="Key whose address the program gets.", show_default="one made from --keypair")
    ] = None,
    elf: Annotated[Path | None, typer.Option(help="The program.", show_default="the one that comes along")] = None,
    treasury: Annotated[
        str | None, typer.Option(help="Wallet whose token accounts take the fees.", show_default="the payer's")
    ] = None,
    fee_bps: Annotated[int, typer.Option(min=0, max=500, help="Fee of new contracts in 1/10,000.")] = 50,
    min_bond: Annotated[int, typer.Option(min=1, help="Least bond of a dispute in base units.")] = 1_000_000,
    timeout_s: Annotated[int, typer.Option(min=1, help="How long a resolver has, in seconds.")] = _TIMEOUT_S,
    mint: Annotated[str | None, typer.Option(help="Mint whose deposits are taken.")] = None,
    test_mint: Annotated[bool, typer.Option("--test-mint", help="Make a test currency, and take it.")] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="Let nobody change the program, for ever.")] = False,
    price: Annotated[int, typer.Option(min=0, help="For priority, in micro-lamports a compute unit.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is there as JSON.")] = False,
) -> None:
    """Deploy the program, write its Config, allow a mint, freeze it: whatever of that is missing."""
    from settlement.cluster.rollout import Rollout, roll_out
    from settlement.errors import SettlementError
    from settlement.program.elf import program_elf

    try:
        told = asyncio.run(
            roll_out(
                Rollout(
                    url=rpc,
                    payer_file=keypair,
                    program_file=program_keypair,
                    code=program_elf() if elf is None else elf.read_bytes(),
                    treasury=treasury,
                    fee_bps=fee_bps,
                    min_bond=min_bond,
                    timeout_s=timeout_s,
                    mint=mint,
                    makes_mint=test_mint,
                    freezes=freeze,
                    price=price,
                ),
                tell=lambda text: typer.echo(text, err=True),
            )
        )
    except ValueError as error:
        typer.echo(f"wattbid program deploy: {error}", err=True)
        raise typer.Exit(2) from error
    except SettlementError as error:
        typer.echo(f"wattbid program deploy: {error}", err=True)
        raise typer.Exit(1) from error
    _show(told, as_json=as_json)


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    print(json.dumps(told) if as_json else "\n".join(f"{name} = {json.dumps(value)}" for name, value in told.items()))

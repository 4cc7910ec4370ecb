"""`wattbid program`: the settlement program on any cluster."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from settlement.cluster.governing import Governed

T = TypeVar("T")

app = typer.Typer(help="The settlement program on any cluster.", no_args_is_help=True, add_completion=False)
_TIMEOUT_S: Final = 14 * 86_400
_TRADE_ID_BYTES: Final = 32

_Rpc = Annotated[str, typer.Option(help="Endpoint of the cluster, as in http://127.0.0.1:8899.")]
_Program = Annotated[str, typer.Option("--program", help="Address of the program (base58).")]
_Key = Annotated[Path, typer.Option("--keypair", help="Key that signs and pays: Solana's JSON or PEM.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def program() -> None:
    """Bring the settlement program to a cluster, and look after it."""


@app.command()
def deploy(
    *,
    rpc: _Rpc,
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
    from settlement.program.elf import program_elf

    with _complaints("deploy"):
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
    _show(told, as_json=as_json)


@app.command()
def show(*, rpc: _Rpc, program_: _Program, as_json: _Json = False) -> None:
    """Show how a deployed program stands: who runs it, what it asks for, whether it is the one that comes along."""
    with _complaints("show"):
        _show(_ask(rpc, program_, None, lambda governed: governed.facts()), as_json=as_json)


@app.command()
def pause(*, rpc: _Rpc, program_: _Program, keypair: _Key, yes: _Yes = False, as_json: _Json = False) -> None:
    """Take no registration, deposit, allotment or release any more; open trades are paid all the same. Admin only."""
    _confirm("Registrations, deposits, allotments and releases stop for everybody.", yes=yes)
    with _complaints("pause"):
        signature = _ask(rpc, program_, keypair, lambda governed: governed.pause(paused=True))
        _done("paused", signature, as_json=as_json)


@app.command()
def resume(*, rpc: _Rpc, program_: _Program, keypair: _Key, as_json: _Json = False) -> None:
    """Let a paused program go on. Admin only."""
    with _complaints("resume"):
        signature = _ask(rpc, program_, keypair, lambda governed: governed.pause(paused=False))
        _done("resumed", signature, as_json=as_json)


@app.command("set")
def set_(
    *,
    rpc: _Rpc,
    program_: _Program,
    keypair: _Key,
    treasury: Annotated[str | None, typer.Option(help="Wallet whose token accounts take the fees.")] = None,
    fee_bps: Annotated[int | None, typer.Option(min=0, max=500, help="Fee of new contracts in 1/10,000.")] = None,
    min_bond: Annotated[int | None, typer.Option(min=1, help="Least bond of a dispute in base units.")] = None,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Change what later contracts are asked for; open ones carry their own fee. Admin only."""
    wallet = None if treasury is None else _key(treasury, "--treasury")
    _confirm("Later contracts and disputes go by the new values.", yes=yes)
    with _complaints("set"):
        signature = _ask(
            rpc,
            program_,
            keypair,
            lambda governed: governed.change(treasury=wallet, fee_bps=fee_bps, min_bond=min_bond),
        )
        _done("set", signature, as_json=as_json)


@app.command()
def propose(
    admin: Annotated[str, typer.Argument(metavar="WALLET", help="Who may become admin (base58).")],
    *,
    rpc: _Rpc,
    program_: _Program,
    keypair: _Key,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Propose another admin, who then says `accept`. Admin only."""
    wallet = _key(admin, "WALLET")
    _confirm(f"{admin} may take the program over.", yes=yes)
    with _complaints("propose"):
        signature = _ask(rpc, program_, keypair, lambda governed: governed.propose(wallet))
        _done("proposed", signature, as_json=as_json)


@app.command()
def accept(*, rpc: _Rpc, program_: _Program, keypair: _Key, as_json: _Json = False) -> None:
    """Become admin, as proposed."""
    with _complaints("accept"):
        _done("accepted", _ask(rpc, program_, keypair, lambda governed: governed.accept()), as_json=as_json)


@app.command()
def sweep(*, rpc: _Rpc, program_: _Program, keypair: _Key, as_json: _Json = False) -> None:
    """Bring the fees of every escrow to the treasury; anybody may."""

    async def swept(governed: Governed) -> list[dict[str, Any]]:
        found = []
        async for one in governed.sweep():
            typer.echo(f"{one.units} base units of {one.mint}, from the escrow of {one.buyer}", err=True)
            found.append(one._asdict())
        return found

    with _complaints("sweep"):
        found = _ask(rpc, program_, keypair, swept)
        _show({"swept": found, "units": sum(one["units"] for one in found)}, as_json=as_json)


@app.command()
def resolve(
    trade: Annotated[str, typer.Argument(metavar="TRADE", help="Id of the disputed trade (64 hex digits).")],
    *,
    rpc: _Rpc,
    program_: _Program,
    keypair: _Key,
    wh: Annotated[int | None, typer.Option(min=0, help="What was delivered; without it, show the dispute.")] = None,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Rule on a dispute as the resolver that its contract names; look at both sides' evidence first (`verify`)."""
    trade_id = _trade_id(trade)
    with _complaints("resolve"):
        ruling = _ask(rpc, program_, keypair, lambda governed: governed.dispute(trade_id))
        if wh is None:
            _show(ruling.as_json(), as_json=as_json)
            return
        what = f"{wh} Wh were delivered, worth {ruling.units(wh)} base units"
        sides = f"the battery claims {ruling.claimed_wh} Wh, the buyer says {ruling.buyer_wh} Wh"
        _confirm(f"{what} ({sides}): the money moves at once, and for good.", yes=yes)
        signature = _ask(rpc, program_, keypair, lambda governed: governed.resolve(trade_id, wh))
        _done("resolved", signature, as_json=as_json)


@contextmanager
def _complaints(command: str) -> Iterator[None]:
    """Tell in one line what is in the way, and end: 2 for what cannot be meant, 1 for what cannot be."""
    from settlement.errors import SettlementError

    try:
        yield
    except ValueError as error:
        typer.echo(f"wattbid program {command}: {error}", err=True)
        raise typer.Exit(2) from error
    except SettlementError as error:
        typer.echo(f"wattbid program {command}: {error}", err=True)
        raise typer.Exit(1) from error


def _ask(rpc: str, program_: str, keypair: Path | None, ask: Callable[[Governed], Awaitable[T]]) -> T:
    from settlement.cluster.governing import governed
    from settlement.cluster.rollout import read_key

    address = _key(program_, "--program")
    signer = None if keypair is None else read_key(keypair)

    async def asked() -> T:
        async with governed(rpc, address, signer, tell=lambda text: typer.echo(text, err=True)) as found:
            return await ask(found)

    return asyncio.run(asked())


def _key(text: str, field: str) -> bytes:
    from settlement.base58 import from_base58
    from settlement.errors import TermsError

    try:
        return from_base58(text, field=field)
    except TermsError as error:
        raise typer.BadParameter(str(error)) from error


def _trade_id(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != _TRADE_ID_BYTES:
        raise typer.BadParameter(f"{text!r} is no trade's id: 64 hex digits, as `wattbid trades` shows them")
    return found


def _confirm(question: str, *, yes: bool) -> None:
    """Ask on standard error, and read one line: standard output is for the answer alone."""
    if yes:
        return
    typer.echo(f"{question} Go on? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        typer.echo("nothing was done", err=True)
        raise typer.Exit(1)


def _done(name: str, signature: str | None, *, as_json: bool) -> None:
    said = {"done": name, "changed": signature is not None, "signature": signature}
    words = "nothing to change: it is so already" if signature is None else f"{name} (transaction {signature})"
    print(json.dumps(said) if as_json else words)


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    print(json.dumps(told) if as_json else "\n".join(f"{name} = {json.dumps(value)}" for name, value in told.items()))

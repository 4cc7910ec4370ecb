"""`wattbid line`: what a buyer lays aside for batteries. Amounts are c (cents), as everywhere else in its file."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.holder import HolderError, complaints, holder_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.instruction import Instruction

    from cli.holder import Holder
    from settlement.cluster.landing import Lander
    from settlement.line_list import Holdings
    from settlement.opening import Opening

app = typer.Typer(help="What a buyer lays aside for batteries.", no_args_is_help=True, add_completion=False)

_Config = Annotated[Path, typer.Option("--config", help="The aggregator's file.")]
_Battery = Annotated[str, typer.Argument(metavar="BATTERY", help="The battery's wallet (base58).")]
_Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="In c: 1250 is 12.50 of the money.")]
_All = Annotated[bool, typer.Option("--all", help="Even if too little stays for the bond of a dispute.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def line() -> None:
    """What a buyer lays aside for batteries."""


@app.command("open")
def open_(battery: _Battery, *, config: _Config, as_json: _Json = False) -> None:
    """Open a Line to a battery; the first one opens the buyer's escrow, too."""
    from settlement.registering import open_line

    with complaints("line open"):
        holder, wallet = _buyer(config), _wallet(battery)
        was_opened = holder.run(lambda lander, opening: open_line(lander, opening, wallet))
        _tell({"battery": battery, "opened": was_opened}, "opened" if was_opened else "was open", as_json=as_json)


@app.command()
def deposit(amount: _Amount, *, config: _Config, as_json: _Json = False) -> None:
    """Bring money from the buyer's token account into its escrow."""
    _move("deposit", config, amount, lambda opening, buyer, units: opening.deposit(buyer, units), as_json=as_json)


@app.command()
def withdraw(amount: _Amount, *, config: _Config, all_: _All = False, as_json: _Json = False) -> None:
    """Take money that no Line holds back to the buyer's token account."""

    def taken(opening: Opening, buyer: bytes, units: int) -> list[Instruction]:
        return opening.withdraw(buyer, units)

    _move("withdraw", config, amount, taken, as_json=as_json, takes_from_escrow=not all_)


@app.command()
def allot(battery: _Battery, amount: _Amount, *, config: _Config, all_: _All = False, as_json: _Json = False) -> None:
    """Lay money of the escrow aside for a battery's cheques; it comes back 8 days after `release` at the earliest."""

    def laid(opening: Opening, buyer: bytes, to: bytes, units: int) -> list[Instruction]:
        return opening.allot(buyer, to, units)

    _on_line("allot", config, battery, amount, laid, as_json=as_json, takes_from_escrow=not all_)


@app.command()
def release(
    battery: _Battery,
    amount: Annotated[str | None, typer.Argument(metavar="[AMOUNT]", help="In c; without it, what is due.")] = None,
    *,
    config: _Config,
    as_json: _Json = False,
) -> None:
    """Ask money back from a Line (0 withdraws the request); without an amount, take what was asked 8 days ago."""
    if amount is None:
        _on_line("release", config, battery, "0", lambda o, buyer, to, _: o.release(buyer, to), as_json=as_json)
    else:
        ask = "request_release"
        _on_line(ask, config, battery, amount, lambda o, b, to, units: o.request_release(b, to, units), as_json=as_json)


@app.command()
def close(battery: _Battery, *, config: _Config, as_json: _Json = False) -> None:
    """Close an empty Line; its rent comes back."""
    _on_line("close", config, battery, "0", lambda o, buyer, to, _: o.close(buyer, to), as_json=as_json)


@app.command()
def show(*, config: _Config, as_json: _Json = False) -> None:
    """Show wallet, escrow and every Line of the buyer, as confirmed."""
    from settlement.line_list import read_holdings

    with complaints("line show"):
        holder = _buyer(config)
        found = holder.run(read_holdings)
        if as_json:
            print(json.dumps(found.as_json()))
            return
        for text in _lines(found, holder.base_units_per_cent):
            print(text)


def _move(
    what: str,
    config: Path,
    amount: str,
    make: Callable[[Opening, bytes, int], list[Instruction]],
    *,
    as_json: bool,
    takes_from_escrow: bool = False,
) -> None:
    """Bring one transaction of the buyer's onto the ledger."""
    from settlement.exchange import to_base58
    from settlement.registering import require_program

    with complaints(f"line {what}"):
        holder = _buyer(config)
        units = _units(amount, holder)
        buyer = holder.wallet.public_key

        async def move(lander: Lander, opening: Opening) -> bytes:
            config = await require_program(lander, opening)
            if takes_from_escrow:
                await _keep_bond(lander, opening, units, least=config.min_bond)
            return await lander.land(make(opening, buyer, units))

        signature = holder.run(move)
        said = {"done": what, "units": units, "signature": to_base58(signature)}
        _tell(said, f"{what}: {units / holder.base_units_per_cent:.2f} c", as_json=as_json)


def _on_line(
    what: str,
    config: Path,
    battery: str,
    amount: str,
    make: Callable[[Opening, bytes, bytes, int], list[Instruction]],
    *,
    as_json: bool,
    takes_from_escrow: bool = False,
) -> None:
    with complaints(f"line {what}"):
        to = _wallet(battery)

    def moved(opening: Opening, buyer: bytes, units: int) -> list[Instruction]:
        return make(opening, buyer, to, units)

    _move(what, config, amount, moved, as_json=as_json, takes_from_escrow=takes_from_escrow)


async def _keep_bond(lander: Lander, opening: Opening, units: int, *, least: int) -> None:
    """Raise OpeningError when an escrow with Lines would keep less than the bond that a dispute takes."""
    from settlement.program.accounts import Escrow
    from settlement.registering import OpeningError, read

    escrow = await read(lander, opening, Escrow, opening.escrow(lander.payer.public_key))
    if escrow is not None and units <= escrow.available < units + least:
        raise OpeningError(
            f"this would leave {escrow.available - units} base units free in the escrow: a dispute takes a bond of at "
            f"least {least} from there, and without it nobody can object to a claim; deposit more, or --all"
        )


def _buyer(config: Path) -> Holder:
    return holder_of(config=config)


def _wallet(text: str) -> bytes:
    from settlement.base58 import from_base58
    from settlement.errors import TermsError

    try:
        return from_base58(text, field="the battery's wallet")
    except TermsError as error:
        raise HolderError(str(error)) from error


def _units(amount: str, holder: Holder) -> int:
    """Return base units of the mint for an amount in c. Raises HolderError."""
    try:
        units = Decimal(amount) * holder.base_units_per_cent
    except InvalidOperation:
        raise HolderError(f"{amount!r} is no amount in c") from None
    if not (units.is_finite() and 0 <= units < 1 << 64 and units == units.to_integral_value()):
        raise HolderError(f"{amount} c is no whole number of the money's smallest units, or no amount at all")
    return int(units)


def _tell(said: dict[str, Any], text: str, *, as_json: bool) -> None:
    print(json.dumps(said) if as_json else text)


def _lines(found: Holdings, per_cent: int) -> list[str]:
    def c(units: int) -> str:
        return f"{units / per_cent:.2f} c"

    told = [f"wallet {found.wallet}: {c(found.tokens)}, {found.lamports / 1e9:.4f} SOL"]
    if found.escrow is not None:
        one = found.escrow
        told.append(f"escrow {c(one.available)} free, {c(one.allotted)} on Lines, {c(one.bonds)} in bonds")
    else:
        told.append("no escrow in this money yet: `wattbid line open` makes one (is the file's mint the right one?)")
    for battery, account in found.lines:
        asked = f", {c(account.release_amount)} asked back" if account.release_amount else ""
        told.append(
            f"line to {battery}: {c(account.amount)}, {c(account.locked)} locked{asked}, "
            f"{account.trades_settled} trades settled, {c(account.paid)} paid"
        )
    return told

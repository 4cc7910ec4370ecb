"""`wattbid line`: what a buyer lays aside for batteries. Amounts are c (cents), as everywhere else in its file."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
        now = "is open now: `wattbid line allot` lays money on it" if was_opened else "was open before"
        _tell({"battery": battery, "opened": was_opened}, f"the line to {battery} {now}", as_json=as_json)


@app.command()
def deposit(amount: _Amount, *, config: _Config, as_json: _Json = False) -> None:
    """Bring money from the buyer's token account into its escrow."""

    def brought(opening: Opening, buyer: bytes, units: int) -> list[Instruction]:
        return opening.deposit(buyer, units)

    done = _Done("deposit", "{c} went from the wallet's token account into the escrow")
    _move(done, config, amount, brought, as_json=as_json)


@app.command()
def withdraw(amount: _Amount, *, config: _Config, all_: _All = False, as_json: _Json = False) -> None:
    """Take money that no Line holds back to the buyer's token account."""

    def taken(opening: Opening, buyer: bytes, units: int) -> list[Instruction]:
        return opening.withdraw(buyer, units)

    done = _Done("withdraw", "{c} went from the escrow back to the wallet's token account", keeps_bond=not all_)
    _move(done, config, amount, taken, as_json=as_json)


@app.command()
def allot(battery: _Battery, amount: _Amount, *, config: _Config, all_: _All = False, as_json: _Json = False) -> None:
    """Lay money of the escrow aside for a battery's cheques; it comes back 8 days after `release` at the earliest."""

    def laid(opening: Opening, buyer: bytes, to: bytes, units: int) -> list[Instruction]:
        return opening.allot(buyer, to, units)

    done = _Done("allot", "{c} of the escrow lie on the line to {battery} now", keeps_bond=not all_)
    _on_line(done, config, battery, amount, laid, as_json=as_json)


@app.command()
def release(
    battery: _Battery,
    amount: Annotated[str | None, typer.Argument(metavar="[AMOUNT]", help="In c; without it, what is due.")] = None,
    *,
    config: _Config,
    as_json: _Json = False,
) -> None:
    """Ask money back from a Line (0 withdraws the request); without an amount, take what was asked 8 days ago."""
    from settlement.lines import RELEASE_DELAY_S

    def taken(opening: Opening, buyer: bytes, to: bytes, _units: int) -> list[Instruction]:
        return opening.release(buyer, to)

    def asked(opening: Opening, buyer: bytes, to: bytes, units: int) -> list[Instruction]:
        return opening.request_release(buyer, to, units)

    if amount is None:
        done = _Done("release", "what was asked back from the line to {battery} is free in the escrow again")
        _on_line(done, config, battery, "0", taken, as_json=as_json)
        return
    later = f"`wattbid line release` takes it in {RELEASE_DELAY_S // 86_400} days"
    done = _Done(
        "request_release",
        f"{{c}} are asked back from the line to {{battery}}; {later}",
        none="nothing is asked back from the line to {battery} any more",
        command="release",
    )
    _on_line(done, config, battery, amount, asked, as_json=as_json)


@app.command()
def close(battery: _Battery, *, config: _Config, as_json: _Json = False) -> None:
    """Close an empty Line; its rent comes back."""

    def closed(opening: Opening, buyer: bytes, to: bytes, _units: int) -> list[Instruction]:
        return opening.close(buyer, to)

    done = _Done("close", "the line to {battery} is closed; its rent is in the wallet again")
    _on_line(done, config, battery, "0", closed, as_json=as_json)


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
        for text in _lines(found, holder.c):
            print(text)


@dataclass(frozen=True, slots=True)
class _Done:
    """What a command has done, for machines and for people."""

    name: str
    text: str
    """`{c}` is the amount, `{battery}` the battery's wallet."""
    none: str = ""
    """Instead of the text for an amount of 0."""
    command: str = ""
    """Where it is not the name."""
    keeps_bond: bool = False
    """Whether the escrow must not be left with less than a dispute's bond."""

    def said(self, units: int, holder: Holder, battery: str) -> str:
        text = self.none if self.none and not units else self.text
        return text.format(c=holder.c(units), battery=battery)


def _move(
    done: _Done,
    config: Path,
    amount: str,
    make: Callable[[Opening, bytes, int], list[Instruction]],
    *,
    as_json: bool,
    battery: str = "",
) -> None:
    """Bring one transaction of the buyer's onto the ledger."""
    from settlement.exchange import to_base58
    from settlement.registering import require_program

    with complaints(f"line {done.command or done.name}"):
        holder = _buyer(config)
        units = _units(amount, holder)
        buyer = holder.wallet.public_key

        async def move(lander: Lander, opening: Opening) -> bytes:
            config = await require_program(lander, opening)
            if done.keeps_bond:
                await _keep_bond(lander, opening, units, config.min_bond, holder)
            return await lander.land(make(opening, buyer, units))

        signature = to_base58(holder.run(move))
        said = {"done": done.name, "units": units, "signature": signature}
        _tell(said, f"{done.said(units, holder, battery)} (transaction {signature})", as_json=as_json)


def _on_line(
    done: _Done,
    config: Path,
    battery: str,
    amount: str,
    make: Callable[[Opening, bytes, bytes, int], list[Instruction]],
    *,
    as_json: bool,
) -> None:
    with complaints(f"line {done.command or done.name}"):
        to = _wallet(battery)

    def moved(opening: Opening, buyer: bytes, units: int) -> list[Instruction]:
        return make(opening, buyer, to, units)

    _move(done, config, amount, moved, as_json=as_json, battery=battery)


async def _keep_bond(lander: Lander, opening: Opening, units: int, least: int, holder: Holder) -> None:
    """Raise OpeningError when an escrow with Lines would keep less than the bond that a dispute takes."""
    from settlement.program.accounts import Escrow
    from settlement.registering import OpeningError, read

    escrow = await read(lander, opening, Escrow, opening.escrow(lander.payer.public_key))
    if escrow is not None and units <= escrow.available < units + least:
        raise OpeningError(
            f"this would leave {holder.c(escrow.available - units)} free in the escrow: a dispute takes a bond of at "
            f"least {holder.c(least)} from there, and without it nobody can object to a claim; deposit more, or --all"
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


def _lines(found: Holdings, c: Callable[[int], str]) -> list[str]:
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

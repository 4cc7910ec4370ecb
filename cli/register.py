"""`wattbid register`: make a battery or a buyer a Participant of the settlement program, by its own keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.holder import complaints, holder_of

app = typer.Typer(add_completion=False)


@app.command()
def register(
    *,
    site: Annotated[Path | None, typer.Option(help="A site file: register one of its batteries.")] = None,
    battery: Annotated[str | None, typer.Option(help="Which one, where the site has several.")] = None,
    config: Annotated[Path | None, typer.Option(help="An aggregator's file: register its buyer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Register a wallet with the key that signs for it, and open its token account; harmless when done again.

    Where the file's key differs from the registered one, it takes the place of that; once in 8 days.
    """
    from settlement import to_base58
    from settlement.registering import register as registration

    with complaints("register"):
        holder = holder_of(site=site, battery=battery, config=config)
        done = holder.run(lambda lander, opening: registration(lander, opening, holder.identity, holder.role))
        wallet = to_base58(holder.wallet.public_key)
        if as_json:
            key = holder.identity.public_key.hex()
            print(json.dumps({"name": holder.name, "wallet": wallet, "signing_key": key, "done": done.name.lower()}))
        else:
            print(f"{holder.name}: {wallet} {done.value}")

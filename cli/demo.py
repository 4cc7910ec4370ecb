"""`wattbid demo`: batteries, agents and aggregators on this machine, each a process of its own, trading for real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    *,
    headless: Annotated[bool, typer.Option("--headless", help="No live view: progress and totals as lines.")] = False,
    trades: Annotated[int | None, typer.Option(min=1, max=1_000, help="End after so many trades.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write trades, totals and invariants here.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a picture (SVG) of the live view here.")] = None,
    port: Annotated[
        int,
        typer.Option(min=0, max=65_533, help="Where buyers reach the first battery, the others next to it; 0 = any."),
    ] = 0,
    modbus_port: Annotated[
        int, typer.Option(min=0, max=65_533, help="Modbus port of the first battery, the others next to it; 0 = any.")
    ] = 0,
    multicast: Annotated[bool, typer.Option(help="Let the buyers find the batteries by multicast.")] = True,
) -> None:
    """Run 3 simulated batteries, an agent for each and 4 aggregators, and watch them trade until Ctrl-C.

    Exit status 1 when something that must always hold did not, 130 after Ctrl-C.
    """
    from cli.demo_stage.perform import Wishes, perform

    wishes = Wishes(
        headless=headless,
        trades=trades,
        json_file=json_file,
        picture=picture,
        port=port,
        modbus_port=modbus_port,
        multicast=multicast,
    )
    raise typer.Exit(perform(wishes))

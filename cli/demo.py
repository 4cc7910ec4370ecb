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
) -> None:
    """Run 3 simulated batteries, an agent for each and 4 aggregators, and watch them trade until Ctrl-C.

    Exit status 1 when something that must always hold did not, 130 after Ctrl-C.
    """
    from cli.demo_stage.perform import Wishes, perform

    raise typer.Exit(perform(Wishes(headless=headless, trades=trades, json_file=json_file)))

"""`wattbid simulate`: trade for hours in virtual time under faults drawn from one seed."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.endings import leave_in_order

app = typer.Typer(add_completion=False)


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="First seed.", min=0, max=2**63 - 1)] = 1,
    hours: Annotated[float, typer.Option(help="Simulated hours a seed.", min=0.01, max=10_000)] = 1.0,
    seeds: Annotated[int, typer.Option(help="How many seeds, counted up from the first.", min=1, max=1_000_000)] = 1,
    *,
    settled: Annotated[bool, typer.Option("--settled", help="Pay the trades on a ledger.")] = False,
    cheques: Annotated[bool, typer.Option("--cheques", help="Settle drawn trades only, of parties that lie.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a seed.")] = False,
) -> None:
    """Run the production agent and buyers in virtual time; exit status 1 when an invariant broke.

    A failure prints its seed and the last events; the same arguments replay it. From one hour on too few awards or
    faults are a failure too, and over all seeds too few crashes between an award and its confirmation.
    """
    leave_in_order()
    if settled and cheques:
        raise typer.BadParameter("--settled and --cheques are two different worlds: choose one")
    import structlog

    from simulation.enough import check_crashes
    from simulation.invariants import Breach
    from simulation.world import Failure

    # Faults are the point here: what they make the production code warn of stands in the trace, not on the screen.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    kind = " --settled" if settled else " --cheques" if cheques else ""
    shown: list[tuple[float, int]] = []
    for number in range(seed, seed + seeds):
        with tempfile.TemporaryDirectory(prefix="wattbid-simulate-", dir=_fast_directory()) as directory:
            try:
                figures = _run(number, hours, Path(directory), settled=settled, cheques=cheques)
            except Failure as failure:
                print("\n".join(failure.tail), file=sys.stderr)
                print(f"wattbid simulate: {failure}", file=sys.stderr)
                print(f"replay: wattbid simulate --seed {number} --hours {hours:g}{kind}", file=sys.stderr)
                raise typer.Exit(1) from failure
        shown.append((figures["hours"], figures.get("crashes_at_accept", 0)))
        text = json.dumps(figures) if as_json else " ".join(f"{key}={value}" for key, value in figures.items())
        print(text, flush=True)  # a reader that has gone ends this before the next seed
    try:
        check_crashes([] if cheques else shown)
    except Breach as breach:
        print(f"wattbid simulate: seeds {seed} to {seed + seeds - 1}: {breach}", file=sys.stderr)
        raise typer.Exit(1) from breach


def _run(seed: int, hours: float, directory: Path, *, settled: bool, cheques: bool) -> dict[str, Any]:
    """Run one world and return its figures. Raises Failure."""
    if cheques:
        from simulation.cheques import ChequeOptions
        from simulation.cheques import run as run_cheques

        return asdict(run_cheques(ChequeOptions(seed=seed, hours=hours, directory=directory)))
    from simulation.world import Options, run

    return asdict(run(Options(seed=seed, hours=hours, directory=directory, settled=settled)))


def _fast_directory() -> str | None:
    """Journals are written as on a disk; memory spares the machine's."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    return str(memory) if memory.is_dir() else None

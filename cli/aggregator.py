"""`wattbid aggregator`: buy energy from batteries, as a configuration file says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def aggregator(
    *,
    config: Annotated[Path, typer.Option("--config", help="The configuration file; see docs/aggregator-file.md.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each event.")] = False,
    log: Annotated[str, typer.Option(help="What to log: debug, info, warning, error.")] = "info",
    log_format: Annotated[str, typer.Option(help="How to log: console or json.")] = "console",
) -> None:
    """Buy energy from batteries until SIGTERM or Ctrl-C."""
    from agent.logs import setup
    from aggregator.config import load_config
    from aggregator.errors import ConfigError
    from aggregator.main import run_aggregator, wall_ms
    from aggregator.output import LineWriter
    from etp.errors import EtpError
    from settlement.errors import SettlementError

    try:
        settings = load_config(config)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    sink = setup(wall_ms=wall_ms, level=log, style=log_format)
    lines = LineWriter(sys.stdout) if as_json else None
    try:
        run_aggregator(settings, ready=typer.echo, write=None if lines is None else lines.put)
    except (EtpError, SettlementError) as error:
        typer.echo(f"wattbid aggregator: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        if lines is not None:
            lines.close()
        sink.close()

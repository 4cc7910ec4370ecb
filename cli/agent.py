"""`wattbid agent`: sell the energy of the batteries in a site file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def agent(
    site: Annotated[Path, typer.Option("--site", help="The site file (TOML); see docs/site-file.md.")],
    log: Annotated[str, typer.Option(help="What to log: debug, info, warning, error.")] = "info",
    log_format: Annotated[str, typer.Option(help="How to log: console or json.")] = "console",
) -> None:
    """Sell the energy of the batteries in a site file until SIGTERM or Ctrl-C; the last act is the release."""
    from agent.clock import wall_ms
    from agent.config import SiteError, load_site
    from agent.errors import AgentError, LogSettingError
    from agent.journal_errors import JournalError
    from agent.logs import setup
    from agent.main import run_agent
    from cli.endings import hang_up_ends
    from drivers.errors import DeviceError
    from etp.errors import EtpError
    from settlement.errors import SettlementError

    try:
        settings = load_site(site)
        sink = setup(wall_ms=wall_ms, level=log, style=log_format)
    except (SiteError, LogSettingError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    hang_up_ends()
    try:
        status = run_agent(settings, ready=typer.echo)
    except (AgentError, JournalError, DeviceError, EtpError, SettlementError) as error:
        typer.echo(f"wattbid agent: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        sink.close()
    raise typer.Exit(status)

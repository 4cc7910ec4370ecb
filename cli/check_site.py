"""`wattbid check-site`: checks a site file and prints what it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def check_site(
    file: Annotated[Path, typer.Argument(help="The site file (TOML).")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the agent's values as one JSON object.")] = False,
) -> None:
    """Print the effective configuration with its units; exit status 2 and one line when the file cannot be used.

    What is allowed but surely a mistake is a warning on standard error.
    """
    from agent.config import SiteError, read_site, site_of
    from agent.config_doubts import doubts_of
    from agent.config_text import effective_json, effective_text

    try:
        path, checked = read_site(file)
    except SiteError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from error
    for doubt in doubts_of(checked):
        typer.echo(f"{path}: warning: {doubt}", err=True)
    if as_json:
        print(json.dumps(effective_json(site_of(path, checked)), indent=2))
    else:
        print(effective_text(path, checked))

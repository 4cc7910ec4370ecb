"""`wattbid status`: what a running agent is doing, for people or machines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from agent.control_client import ControlClient

app = typer.Typer(add_completion=False)
_DEFAULT_SOCKET: Final = Path("wattbid-data/control.sock")


@app.command()
def status(
    *,
    socket: Annotated[Path | None, typer.Option(help="The agent's control socket.")] = None,
    site: Annotated[Path | None, typer.Option(help="The agent's site file, which names the socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    follow: Annotated[bool, typer.Option(help="Go on printing events until Ctrl-C.")] = False,
) -> None:
    """Show what a running agent is doing: batteries, lots, deliveries, alarms, competition."""
    from agent.config_errors import SiteError
    from agent.errors import AgentError

    try:
        path = _socket_path(socket, site)
        asyncio.run(_show(path, as_json=as_json, follow=follow))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except SiteError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except AgentError as error:
        typer.echo(f"wattbid status: {error}", err=True)
        raise typer.Exit(1) from error


def _socket_path(socket: Path | None, site: Path | None) -> Path:
    if socket is not None:
        return socket
    if site is None:
        return _DEFAULT_SOCKET
    from agent.config import load_site

    return load_site(site).control_socket


async def _show(path: Path, *, as_json: bool, follow: bool) -> None:
    from agent.control_client import ControlClient

    async with await ControlClient.connect(path) as client:
        if follow:
            await client.request("subscribe")
        await _print_snapshot(client, as_json=as_json)
        while follow:
            event = await client.next_event()
            print(json.dumps(event) if as_json else _event_text(event), flush=True)


async def _print_snapshot(client: ControlClient, *, as_json: bool) -> None:
    from cli.status_text import snapshot_text

    snapshot = await client.request("snapshot")
    print(json.dumps(snapshot) if as_json else snapshot_text(snapshot), flush=True)


def _event_text(event: dict[str, object]) -> str:
    from cli.status_text import event_text

    return event_text(event)

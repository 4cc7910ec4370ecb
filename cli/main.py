"""`wattbid`: finds the named command and imports only what that command needs."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click
import typer.main

_COMMANDS: Final = {
    "agent": ("cli.agent", "Sell the energy of the batteries in a site file."),
    "aggregator": ("cli.aggregator", "Buy energy from batteries, as a configuration file says."),
    "check-site": ("cli.check_site", "Check a site file and print what it means."),
    "demo": ("cli.demo", "Run batteries, agents and aggregators on this machine and watch them trade."),
    "sim": ("cli.sim", "Simulated devices on real sockets."),
    "simulate": ("cli.simulate", "Trade for hours in virtual time under faults drawn from one seed."),
    "status": ("cli.status", "Show what a running agent is doing."),
}


class _LazyGroup(click.Group):
    """A click group whose commands live in modules that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        return typer.main.get_command(module.app)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


def main() -> None:
    """Run the command line; the exit status is the command's."""
    group = _LazyGroup(
        name="wattbid", help="Sell a battery's energy to the best of several bidders.", no_args_is_help=True
    )
    sys.exit(group.main(prog_name="wattbid", standalone_mode=True))

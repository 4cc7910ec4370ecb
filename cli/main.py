"""`wattbid`: finds the named command and imports only what that command needs."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import typer.main

_STANDARD_ERROR: Final = 2
_COMMANDS: Final = {
    "agent": ("cli.agent", "Sell the energy of the batteries in a site file."),
    "aggregator": ("cli.aggregator", "Buy energy from batteries, as a configuration file says."),
    "check-site": ("cli.check_site", "Check a site file and print what it means."),
    "demo": ("cli.demo", "Run batteries, agents and aggregators on this machine and watch them trade."),
    "sim": ("cli.sim", "Simulated devices on real sockets."),
    "simulate": ("cli.simulate", "Trade for hours in virtual time under faults drawn from one seed."),
    "status": ("cli.status", "Show what a running agent is doing."),
}


def main() -> None:
    """Run the command line; the exit status is the command's (2 for a command that is not known)."""
    _open_missing_streams()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("--help", "-h"):
        print(_help())
    elif name in _COMMANDS:
        module = importlib.import_module(_COMMANDS[name][0])
        typer.main.get_command(module.app).main(args=sys.argv[2:], prog_name=f"wattbid {name}")
    else:
        print(f"wattbid: no command {name!r}\n\n{_help()}", file=sys.stderr)
        sys.exit(2)


def _open_missing_streams() -> None:
    """Put /dev/null where standard input, output or error is closed: else the next socket would take its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(number, True)
    os.close(number)


def _help() -> str:
    lines = ["Usage: wattbid COMMAND [OPTIONS]", "", "Sell a battery's energy to the best of several bidders.", ""]
    lines += [f"  {name:<12} {text}" for name, (_, text) in sorted(_COMMANDS.items())]
    return "\n".join([*lines, "", "wattbid COMMAND --help explains a command."])

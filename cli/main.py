"""`wattbid`: finds the named command and imports only what that command needs.

This module itself imports next to nothing, so that Ctrl-C is quiet almost from the first moment.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_USAGE: Final = 2
_SIGNAL_BASE: Final = 128
_COMMANDS: Final = {
    "agent": ("cli.agent", "Sell the energy of the batteries in a site file."),
    "aggregator": ("cli.aggregator", "Buy energy from batteries, as a configuration file says."),
    "check-site": ("cli.check_site", "Check a site file and print what it means."),
    "demo": ("cli.demo", "Run batteries, agents and aggregators on this machine and watch them trade."),
    "keys": ("cli.keys", "Make, show and move the keys of a device."),
    "line": ("cli.line", "What a buyer lays aside for batteries."),
    "register": ("cli.register", "Make a battery or a buyer a Participant of the settlement program."),
    "settle": ("cli.settle", "How payments stand, and a trade's papers."),
    "sim": ("cli.sim", "Simulated devices on real sockets."),
    "ledger": ("cli.ledger", "Run a ledger on this machine: Solana's runtime behind its JSON-RPC."),
    "program": ("cli.program", "Bring the settlement program to a cluster, and look after it."),
    "simulate": ("cli.simulate", "Trade for hours in virtual time under faults drawn from one seed."),
    "study": ("cli.study", "Hold the auction against theory."),
    "trades": ("cli.trades", "What became of signed trades."),
    "verify": ("cli.verify", "Check a trade by oneself, from its papers and the ledger."),
    "status": ("cli.status", "Show what a running agent is doing."),
}


def main() -> None:
    """Run the command line; the exit status is the command's (2 for a command that is not known).

    A file or an output that fails is one line on standard error and status 1. Output that nobody reads any more ends
    quietly, as SIGPIPE would; so does Ctrl-C, with status 130.
    """
    _end_at_once_on_interrupt()
    from cli import streams

    output = streams.guard()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    status = 0
    try:
        status = _status_of(name)
    except streams.OutputError:
        status = 0  # what is wrong with it is said below
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"wattbid {name}: {where}{error.strerror or error}")
        status = 1
    except KeyboardInterrupt:
        status = _SIGNAL_BASE + signal.SIGINT
    with contextlib.suppress(streams.OutputError):  # the output remembers it
        sys.stdout.flush()
    verdict = output.verdict()
    if verdict is not None:
        if verdict.text:
            _complain(f"wattbid {name}: {verdict.text}")
        status = status or verdict.status
    streams.let_go_of_errors()
    sys.exit(status)


def _status_of(name: str) -> int:
    """Run a command and return its exit status."""
    if name in ("--help", "-h"):
        print(_help())
        return 0
    if name in ("--version", "-V"):
        from importlib.metadata import version

        print(f"wattbid {version('wattbid')}")
        return 0
    if name not in _COMMANDS:
        import difflib

        nearest = difflib.get_close_matches(name, _COMMANDS, n=1)
        hint = f", did you mean {nearest[0]!r}?" if nearest else ""
        _complain(f"wattbid: no command {name!r}{hint}\n\n{_help()}")
        return _USAGE
    from typer.main import get_command

    command = get_command(importlib.import_module(_COMMANDS[name][0]).app)
    _interrupt_raises()
    try:
        command.main(args=sys.argv[2:], prog_name=f"wattbid {name}")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _end_at_once_on_interrupt() -> None:
    """Let Ctrl-C end a process that has begun nothing yet; who ignores it or handles it otherwise goes on so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)


def _interrupt_raises() -> None:
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(_SIGNAL_BASE + number)  # raising would show wherever an import is: half of a package, or a traceback


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody is there to be told; the status says it
        print(text, file=sys.stderr, flush=True)


def _help() -> str:
    lines = ["Usage: wattbid COMMAND [OPTIONS]", "", "Sell a battery's energy to the best of several bidders.", ""]
    lines += [f"  {name:<12} {text}" for name, (_, text) in sorted(_COMMANDS.items())]
    return "\n".join([*lines, "", "wattbid COMMAND --help explains a command; wattbid --version tells the version."])

"""`wattbid aggregator`: buy energy from batteries, as a configuration file says."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli.endings import hang_up_ends, terminate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

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
    from agent.errors import LogSettingError
    from agent.logs import setup
    from aggregator.config import load_config
    from aggregator.errors import ChequeFileError, ConfigError
    from aggregator.main import run_aggregator, wall_ms
    from aggregator.output import LineWriter
    from etp.errors import EtpError
    from settlement.errors import SettlementError

    try:
        settings = load_config(config)
        sink = setup(wall_ms=wall_ms, level=log, style=log_format)
    except (ConfigError, LogSettingError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    hang_up_ends()
    lines = LineWriter(cast("TextIO", Outlet(sys.stdout, on_failure=terminate))) if as_json else None
    try:
        run_aggregator(settings, ready=typer.echo, write=None if lines is None else lines.put)
    except (ChequeFileError, EtpError, SettlementError) as error:
        typer.echo(f"wattbid aggregator: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        if lines is not None:
            lines.close()
        sink.close()


class Outlet(io.TextIOBase):
    """Event lines on their way to a stream; `on_failure` is called once, from any thread, when it takes no more."""

    def __init__(self, stream: TextIO, *, on_failure: Callable[[], None]) -> None:
        super().__init__()
        self._stream = stream
        self._on_failure = on_failure
        self._failed = False

    def write(self, text: str, /) -> int:
        """Write, unless the stream has failed."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, unless the stream has failed."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            act()
        except OSError:  # standard output remembers why, and the command ends with it
            self._failed = True
            self._on_failure()

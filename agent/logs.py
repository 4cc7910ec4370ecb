"""Logs: one wide event a line, as JSON for machines or as text for people, secrets starred.

`setup` is called once by the entry point; everybody else calls `get_logger(name)` and logs events with ids and units as
fields. Lines of the standard library's loggers pass through the same renderer. `Repeated` keeps a failing thing from
filling the log: the first failure warns, repeats are debug, recovery is info.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

from agent.errors import LogSettingError
from agent.log_sink import LogSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("json", "console")
STARS: Final = "***"
_VALUE_CHARS_MAX: Final = 2_000  # what a peer sent may end up in a field
_SECRET: Final = re.compile(r"secret|password|passphrase|token|private|seed|root_key|credential", re.IGNORECASE)
# Our drivers report a line's troubles themselves, once; the library would repeat them at every attempt.
_SILENCED: Final = ("pymodbus",)
# What asks a ledger's endpoints logs every address in full at info, and an address may hold a key.
_QUIET: Final = ("httpx", "httpx2", "httpcore", "httpcore2")


def setup(
    *, wall_ms: Callable[[], int], level: str = "info", style: str = "console", stream: TextIO | None = None
) -> LogSink:
    """Send every log line of this process to `stream` (standard error); close what is returned at the end.

    Raises LogSettingError.
    """
    if level not in LEVELS or style not in FORMATS:
        raise LogSettingError(f"log level {level!r} ({', '.join(LEVELS)}) or format {style!r} ({', '.join(FORMATS)})")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _Stamp(wall_ms),
        structlog.processors.format_exc_info,
        star_secrets,
    ]
    render = render_json if style == "json" else render_text
    handler = LogSink(sys.stderr if stream is None else stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        if isinstance(old, LogSink):
            old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    return handler


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a part of the agent; before `setup` only what is at least a warning goes anywhere."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.stdlib.filter_by_level, structlog.stdlib.add_log_level, star_secrets, render_text],
            wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=False,
        )
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def star_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be read in a log, show bytes as hex, and cut what is too long."""
    for key, value in event.items():
        if key != "exception":
            event[key] = _clean(key, value)
    return event


def render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render an event as one JSON object a line."""
    first = {key: event.pop(key) for key in ("at", "level", "event", "logger") if key in event}
    return json.dumps({**first, **event}, default=str, ensure_ascii=False)


def render_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render an event as `time level event key=value ...` on one line."""
    at, level = str(event.pop("at", "")), str(event.pop("level", ""))
    name, text = event.pop("logger", None), event.pop("event", "")
    fields = " ".join(f"{key}={_quoted(value)}" for key, value in event.items())
    where = f" [{name}]" if name else ""
    return f"{at} {level:<7} {_quoted(text, plain=True)} {fields}".strip() + where


class Repeated:
    """One trouble that may repeat: warns the first time, then debug, and tells when it is over."""

    def __init__(self, log: FilteringBoundLogger, event: str) -> None:
        self._log = log
        self._event = event
        self.times = 0

    def failed(self, **fields: Any) -> None:
        """Log a failure."""
        self.times += 1
        (self._log.warning if self.times == 1 else self._log.debug)(self._event, times=self.times, **fields)

    def recovered(self, **fields: Any) -> None:
        """Log the end of the trouble, if there was one."""
        if self.times:
            self._log.info(f"{self._event} over", times=self.times, **fields)
        self.times = 0


class _Stamp:
    """Adds the wall time in UTC, to the millisecond."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        at = datetime.fromtimestamp(self._wall_ms() / 1_000, tz=UTC)
        return {"at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **event}


def _clean(key: str, value: Any) -> Any:
    if _SECRET.search(key):
        return STARS
    if isinstance(value, dict):
        return {name: _clean(str(name), inner) for name, inner in value.items()}
    if isinstance(value, bytes):
        return _cut(value.hex())
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}... ({len(text)} characters)"


def _quoted(value: Any, *, plain: bool = False) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    harmless = text.isprintable() and (plain or (text and not set(text) & {" ", "=", '"'}))
    return text if harmless else json.dumps(text, ensure_ascii=False)

"""Standard output that is full, closed or unread: one clear line at most, never a traceback.

`guard` puts a stream in place of `sys.stdout` that remembers its first failure and raises it as OutputError; `verdict`
says at the end what to tell about it. An unread pipe ends a command quietly, as it ends other unix tools.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STANDARD_OUTPUT: Final = 1
_STANDARD_ERROR: Final = 2
_SIGNAL_BASE: Final = 128


class OutputError(OSError):
    """Standard output takes nothing more. It has no `errno`, so that nobody handles it as a fault of another file."""


class Verdict(NamedTuple):
    """How a command ends whose output failed: what to say ("" = nothing), and the exit status."""

    text: str
    status: int


class Output(io.RawIOBase):
    """The bytes of standard output; `failure` is the first error."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self._is_over = False

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of standard output."""
        return _STANDARD_OUTPUT

    def isatty(self) -> bool:
        """Whether a terminal shows it."""
        return os.isatty(_STANDARD_OUTPUT)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write. Raises OutputError, also for everything after the first failure; nothing once the verdict is out."""
        size = memoryview(data).nbytes
        if self._is_over or size == 0:  # an empty write is a question about the stream, and a full disk refuses it too
            return size
        if self.failure is not None:
            raise OutputError(f"standard output: {self.failure.strerror}")
        rest = memoryview(data).cast("B")
        try:
            while rest:
                rest = rest[os.write(_STANDARD_OUTPUT, rest) :]
        except OSError as error:
            self.failure = error
            raise OutputError(f"standard output: {error.strerror}") from error
        return size

    def verdict(self) -> Verdict | None:
        """Return how a command must end whose output failed, None when it did not; what is still held is dropped."""
        self._is_over = True
        if self.failure is None:
            return None
        if self.failure.errno == errno.EPIPE:
            return Verdict("", _SIGNAL_BASE + signal.SIGPIPE)
        return Verdict(f"standard output: {self.failure.strerror}", 1)


def guard() -> Output:
    """Stand between this process and its standard output; a closed standard error becomes silence.

    A closed descriptor below 3 is filled with /dev/null, else the next file or socket would take its number; standard
    output can then only be read, so that a command with something to say fails as with any output that is closed.
    """
    before, errors = sys.stdout, sys.stderr
    _fill_closed_descriptors()
    if errors is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - it lives as long as the process
    output = Output()
    unbuffered = before is not None and getattr(before, "write_through", False)
    sys.stdout = io.TextIOWrapper(
        output if unbuffered else io.BufferedWriter(output),  # as the interpreter does it
        encoding=before.encoding if before is not None else "utf-8",
        errors="replace",
        line_buffering=output.isatty(),
        write_through=unbuffered,
    )
    return output


def let_go_of_errors() -> None:
    """Let go of a standard error that takes nothing more: the interpreter's last flush would make the status 120."""
    try:
        sys.stderr.flush()
    except OSError:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - as above


def _fill_closed_descriptors() -> None:
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(number, True)
        if number == _STANDARD_OUTPUT:
            readable = os.open(os.devnull, os.O_RDONLY)
            os.dup2(readable, number)
            os.close(readable)
    os.close(number)

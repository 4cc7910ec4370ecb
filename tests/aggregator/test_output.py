"""Event lines and the status file."""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from aggregator.output import Events, LineWriter, write_status

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_written_in_order_by_a_thread_of_their_own() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(1_000):
        writer.put(str(number))
    writer.close()
    assert stream.getvalue().split() == [str(number) for number in range(1_000)]
    assert writer.dropped == 0


class SlowStream(io.StringIO):
    """Blocks until released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.released.wait(10)
        return super().write(text)


def test_a_slow_reader_costs_lines_not_time() -> None:
    stream = SlowStream()
    writer = LineWriter(stream, capacity=3)
    writer.put("first")
    assert stream.entered.wait(10)
    for number in range(10):
        writer.put(str(number))
    assert writer.dropped == 7
    writer.close(timeout_s=0.01)
    stream.released.set()
    writer.close()
    assert stream.getvalue().split() == ["first", "0", "1", "2"]


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError("gone")


def test_a_reader_that_went_away_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()  # another test of this process may have sent the log elsewhere
    writer = LineWriter(BrokenStream())
    writer.put("a")
    writer.put("b")
    writer.close()
    assert capsys.readouterr().out.count("nobody reads the event lines") == 1


def test_events_carry_time_name_and_fields_and_are_logged_by_weight() -> None:
    lines: list[str] = []
    with structlog.testing.capture_logs() as logs:
        events = Events("north", wall_ms=lambda: 42, write=lines.append)
        events("bid", {"battery": "b", "price_e4": 1})
        events("accepted", {"battery": "b"})
        events("lost", {"battery": "b", "reason": "x"})
    assert json.loads(lines[0]) == {"event": "bid", "at_ms": 42, "aggregator": "north", "battery": "b", "price_e4": 1}
    assert [log["log_level"] for log in logs] == ["debug", "info", "warning"]
    assert logs[2]["aggregator"] == "north"
    Events("south", wall_ms=lambda: 0)("bid", {})


def test_a_status_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_status(path, {"a": 1})
    write_status(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]
    with pytest.raises(OSError, match="No such file"):
        write_status(tmp_path / "none" / "status.json", {})

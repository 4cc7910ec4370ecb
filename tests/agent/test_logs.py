"""One wide event a line, secrets starred, and never a blocked loop."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
from typing import TYPE_CHECKING

import pytest
import structlog

from agent.errors import LogSettingError
from agent.log_sink import LogSink
from agent.logs import Repeated, get_logger, setup

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lines:
    """Logs into memory; `end` closes the sink and returns the lines."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.sink: LogSink | None = None

    def setup(self, style: str, level: str = "info") -> None:
        self.sink = setup(wall_ms=lambda: 1_700_000_000_123, style=style, level=level, stream=self.stream)

    def end(self) -> list[str]:
        assert self.sink is not None
        self.sink.close()
        return self.stream.getvalue().splitlines()

    def json(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.end()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Lines()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if isinstance(handler, LogSink):
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_is_one_object_a_line(lines: Lines) -> None:
    lines.setup("json")
    get_logger("agent.desk").info("award", battery="home", price_e4=312_000, percent=None, note="a\nb")
    assert lines.json() == [
        {
            "at": "2023-11-14T22:13:20.123Z",
            "level": "info",
            "event": "award",
            "logger": "agent.desk",
            "battery": "home",
            "price_e4": 312_000,
            "percent": None,
            "note": "a\nb",
        }
    ]


def test_text_is_one_line_too(lines: Lines) -> None:
    lines.setup("console")
    get_logger("agent.desk").warning("lot closed", battery="my home", lot_id=3, why="a\nb", empty="")
    assert lines.end() == [
        r'2023-11-14T22:13:20.123Z warning lot closed battery="my home" lot_id=3 why="a\nb" empty="" [agent.desk]'
    ]


def test_secrets_are_starred_wherever_they_stand(lines: Lines) -> None:
    lines.setup("json")
    get_logger("x").info("keys", lot_seed=b"1234", password="p", nested={"token": "t", "name": "n"}, key=b"\x01\xff")
    found = lines.json()[0]
    assert found["lot_seed"] == found["password"] == "***"
    assert found["nested"] == {"token": "***", "name": "n"}
    assert found["key"] == "01ff"


def test_long_values_are_cut(lines: Lines) -> None:
    lines.setup("json")
    get_logger("x").info("peer said", text="y" * 5_000)
    assert str(lines.json()[0]["text"]).endswith("... (5000 characters)")


def test_an_exception_stays_on_its_line(lines: Lines) -> None:
    lines.setup("json")
    try:
        int("broken")
    except ValueError:
        get_logger("x").exception("failed", task="desk")
    found = lines.json()
    assert len(found) == 1
    assert re.search(r"ValueError: .*'broken'$", str(found[0]["exception"]))


def test_other_libraries_log_through_the_same_renderer(lines: Lines) -> None:
    lines.setup("json")
    logging.getLogger("asyncio").error("slow %s", "callback", extra={"secret_thing": "s"})
    logging.getLogger("pymodbus.logging").error("noise")
    logging.getLogger("asyncio").debug("detail")
    found = lines.json()
    assert [line["event"] for line in found] == ["slow callback"]
    assert found[0]["secret_thing"] == "***"


def test_levels(lines: Lines) -> None:
    lines.setup("json", level="warning")
    log = get_logger("x")
    log.info("no")
    log.warning("yes")
    assert [line["event"] for line in lines.json()] == ["yes"]
    for style, level in (("json", "loud"), ("xml", "info")):
        with pytest.raises(LogSettingError):
            lines.setup(style, level)


def test_setting_up_again_replaces_the_sink(lines: Lines) -> None:
    lines.setup("json")
    lines.setup("json")
    get_logger("x").info("once")
    assert len(lines.end()) == 1


def test_repeated_trouble_warns_once_and_tells_the_end(lines: Lines) -> None:
    lines.setup("json", level="debug")
    trouble = Repeated(get_logger("x"), "link lost")
    trouble.recovered()
    trouble.failed(reason="refused")
    trouble.failed(reason="refused")
    trouble.recovered()
    assert [(line["event"], line["level"], line["times"]) for line in lines.json()] == [
        ("link lost", "warning", 1),
        ("link lost", "debug", 2),
        ("link lost over", "info", 2),
    ]


def test_before_setup_only_warnings_go_anywhere(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    handler = logging.StreamHandler(lines.stream)
    root.addHandler(handler)
    log = get_logger("agent.desk")
    log.info("lot opened")
    log.warning("journal slow", ms=30)
    root.removeHandler(handler)
    assert lines.stream.getvalue() == "warning journal slow ms=30\n"
    assert capsys.readouterr().out == ""
    with structlog.testing.capture_logs() as caught:
        get_logger("agent.desk").info("lot opened", lot_id=1)
    assert caught == [{"event": "lot opened", "lot_id": 1, "log_level": "info"}]


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, text, None, None)


def test_a_full_pipe_drops_lines_and_says_so() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w", buffering=1) as stream:
        sink = LogSink(stream, limit=2)
        for _ in range(40):
            sink.emit(record("y" * 8_000))  # far beyond a pipe's 64 KiB: the writer thread blocks
        assert sink.dropped > 0
        with os.fdopen(read_fd) as reader:
            found = ""
            while "log lines dropped" not in found:
                found = reader.readline()
            sink.close()
        sink.emit(record("too late"))


def test_a_closed_stream_raises_nowhere() -> None:
    stream = io.StringIO()
    sink = LogSink(stream)
    stream.close()
    sink.emit(record("lost"))
    sink.close()
    sink.close()
    assert sink.dropped == 1


def test_closing_gives_up_on_a_stream_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.log_sink.CLOSE_TIMEOUT_S", 0.05)
    read_fd, write_fd = os.pipe()
    stream = os.fdopen(write_fd, "w", buffering=1)
    sink = LogSink(stream, limit=1)
    for _ in range(40):
        sink.emit(record("y" * 80_000))
    sink.close()
    assert sink.dropped > 0
    os.close(read_fd)  # the writer thread wakes with a broken pipe and ends
    sink._thread.join(5)
    assert not sink._thread.is_alive()
    with contextlib.suppress(BrokenPipeError):
        stream.close()

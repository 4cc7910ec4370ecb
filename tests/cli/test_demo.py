"""The whole demo as a process: what it proves, that it leaves nothing behind, and how it ends when it is disturbed."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WATTBID = [sys.executable, "-c", "from cli.main import main; main()", "demo"]
START_S = 60.0
TIMED = {"setpoint_within_200_ms"}
"""What a machine that is busy with other things may break."""
pytestmark = pytest.mark.slow


class Demo:
    """A running `wattbid demo`: its progress lines, its ports, its processes."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str], out: Path) -> None:
        self.process = process
        self._out = out
        self._errors = errors
        self.said: list[str] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read progress until a line matches."""
        while line := self._errors.readline():
            self.said.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without {pattern!r}: {self.said}")

    def out(self) -> str:
        """Return what it wrote to standard output."""
        return self._out.read_text()

    def control(self, command: dict[str, Any], port: int) -> dict[str, Any]:
        """Ask a simulated battery."""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, sock.makefile("rw") as lines:
            lines.write(json.dumps(command) + "\n")
            lines.flush()
            answer: dict[str, Any] = json.loads(lines.readline())
            return answer

    def end(self, timeout_s: float = 90.0) -> int:
        """Wait for the end and return the status; everything that was said is in `said`."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise AssertionError(f"has not ended: {self._errors.read()}") from error
        self.said += self._errors.read().splitlines()
        return status


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory with a short name: the path of a unix socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="wd-", dir="/tmp") as directory:
        yield Path(directory)


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[Demo]:
    """Start a demo of its own temporary directory; assert that it leaves no process, port or file."""
    scratch = tmp_path / "tmp"
    scratch.mkdir(parents=True)
    command = [*WATTBID, "--headless", *arguments]
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(scratch)},
        ) as process,
    ):
        assert process.stderr is not None
        demo = Demo(process, process.stderr, tmp_path / "out")
        try:
            yield demo
        finally:
            if process.poll() is None:
                process.kill()
    assert children_of(str(scratch)) == {}
    assert list(scratch.iterdir()) == []
    for endpoint in re.findall(r"127\.0\.0\.1:(\d+)", "\n".join(demo.said)):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(endpoint))) != 0, f"port {endpoint} is still open"


def children_of(scratch: str) -> dict[int, str]:
    """Return the processes that work in a demo's temporary directory, with their commands."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str((entry / "cwd").readlink()).startswith(scratch):
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # ended meanwhile, or somebody else's
    return found


def test_trades_are_made_metered_and_proved(tmp_path: Path) -> None:
    report = tmp_path / "demo.json"
    options = ("--trades", "5", "--json", str(report), "--picture", str(tmp_path / "demo.svg"))
    for attempt in range(3):
        with running(tmp_path / str(attempt), *options) as demo:
            status = demo.end()
        body = json.loads(report.read_text())
        if not body["broken"] or set(body["broken"]) - TIMED:
            break
    assert body["broken"] == {}
    assert status == 0, demo.said
    assert len(body["trades"]) == 5
    for trade in body["trades"]:
        assert trade["aggregator"] in body["totals"]["buyers"]
        assert trade["price_e4"] >= trade["reserve_e4"]
        times = [trade[f"{name}_at_ms"] for name in ("asked", "awarded", "confirmed", "first_setpoint", "ended")]
        assert times == sorted(times)
        assert trade["end_code"] == (0 if trade["aggregator"] != "delta" else 15)  # delta signs for nothing
        assert abs(trade["metered_wh"] - trade["delivered_wh"]) <= trade["energy_wh"] / 100
        paid = trade["settlement"]
        assert paid["payout"] + paid["fee"] + paid["returned"] == paid["reserved"]
    assert "<svg" in (tmp_path / "demo.svg").read_text()
    out = demo.out()
    assert "5 trades, " in out
    assert "19 of 19 invariants held" in out
    assert sum(" c/kWh  reserve +" in line for line in demo.said) == 5


def test_ctrl_c_in_the_middle_stops_everything(tmp_path: Path) -> None:
    with running(tmp_path, "--no-multicast") as demo:
        demo.wait_for("given the batteries' endpoints")
        demo.wait_for("to (amber|boreas|citron|delta)")
        demo.process.send_signal(signal.SIGINT)
        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 128 + signal.SIGINT
    assert any("stopping" in line for line in demo.said)
    assert re.search(r"\d trades?, ", demo.out())


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "starting 3 simulated batteries"),
        (signal.SIGTERM, "starting 3 agents"),
        (signal.SIGHUP, "agent home: "),
        (signal.SIGQUIT, "starting 4 aggregators"),
    ],
)
def test_a_signal_while_things_start_stops_everything(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    with running(tmp_path) as demo:
        demo.wait_for(moment)
        demo.process.send_signal(number)
        assert demo.end() == 128 + number
    assert not any("Traceback" in line for line in demo.said)


def test_a_broken_invariant_is_exit_status_1(tmp_path: Path) -> None:
    """A battery that is emptied behind its agent's back is below its floor, and the demo says so."""
    report = tmp_path / "demo.json"
    with running(tmp_path, "--trades", "4", "--json", str(report)) as demo:
        control = int(demo.wait_for(r"battery school: .* control 127.0.0.1:(\d+)")[1])
        demo.wait_for("aggregator delta")
        demo.wait_for("to (amber|boreas|citron|delta)")
        assert demo.control({"cmd": "set", "soc_permille": 250}, control)["ok"]
        assert demo.end(120) == 1, demo.said
    body = json.loads(report.read_text())
    assert body["invariants"]["floor_never_crossed"] is False
    (told,) = body["broken"]["floor_never_crossed"]
    assert re.fullmatch(r"school: 2\d\.\d % with a floor of 30\.0 %", told)
    assert "BROKEN floor_never_crossed" in demo.out()


def test_a_killed_agent_ends_the_demo(tmp_path: Path) -> None:
    with running(tmp_path, "--trades", "50") as demo:
        demo.wait_for("to (amber|boreas|citron|delta)")
        (agent,) = [pid for pid, text in children_of(str(tmp_path)).items() if "site-home.toml" in text]
        os.kill(agent, signal.SIGKILL)
        assert demo.end() == 1
    assert any("agent-home: ended with status -9" in line for line in demo.said), demo.said
    assert "BROKEN" in demo.out()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running(tmp_path, "--modbus-port", str(port - 1)) as demo:
            assert demo.end() == 1
            taken.close()
    asked = [f"127.0.0.1:{each}: " for each in (port - 1, port, port + 1)]  # a neighbour may be another test's
    assert any(one in line and "in use" in line for one in asked for line in demo.said), demo.said


def test_the_live_view_draws_and_gives_the_terminal_back(tmp_path: Path) -> None:
    pid, terminal, scratch = in_a_terminal(tmp_path)
    before = termios.tcgetattr(terminal)[3]
    seen = read_until(terminal, b" won ")
    assert b"\x1b[?1049h" in seen
    assert not termios.tcgetattr(terminal)[3] & termios.ECHO
    os.write(terminal, b"\x03")
    seen += read_until(terminal, None)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT
    assert seen.count(b"\x1b[?1049l") == 1
    assert seen.index(b"\x1b[?1049l") < seen.index(b"stopping")
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")
    after = termios.tcgetattr(terminal)[3]
    assert after == before
    os.close(terminal)
    assert children_of(str(scratch)) == {}
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("moment", [b"starting 3 sim", b"starting 4 agg", b" sells "])
def test_a_terminal_that_is_closed_stops_everything(tmp_path: Path, moment: bytes) -> None:
    pid, terminal, scratch = in_a_terminal(tmp_path)
    read_until(terminal, moment)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert children_of(str(scratch)) == {}
    assert list(scratch.iterdir()) == []


def test_a_file_that_can_no_longer_be_written_at_the_end_is_one_line(tmp_path: Path) -> None:
    """The way into its directory went while the demo ran."""
    place = tmp_path / "place"
    place.mkdir()
    with running(tmp_path, "--trades", "1", "--json", str(place / "demo.json")) as demo:
        demo.wait_for("aggregator delta")
        place.rmdir()
        assert demo.end() == 1
    told = [line for line in demo.said if "cannot be written" in line]
    assert told == [f"wattbid demo: {place}/demo.json: cannot be written: No such file or directory"]
    assert not any("Traceback" in line for line in demo.said)
    assert "1 trade, " in demo.out()


def test_what_makes_no_sense_is_a_usage_error(tmp_path: Path) -> None:
    with running(tmp_path, "--trades", "0") as demo:
        assert demo.end() == 2


def in_a_terminal(tmp_path: Path, **environment: str) -> tuple[int, int, Path]:
    """Start a demo in a terminal of 80 columns; return its process, the terminal and its temporary directory."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ |= {"TMPDIR": str(scratch), "TERM": "xterm-256color", **environment}
        os.execv(sys.executable, WATTBID)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return pid, terminal, scratch


def read_until(terminal: int, wanted: bytes | None) -> bytes:
    """Read what a terminal shows until something appears, or (None) until everybody has left it."""
    seen = b""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            part = os.read(terminal, 65_536)
        except OSError:
            return seen  # nobody has the other side open any more
        seen += part
        if wanted is not None and wanted in seen:
            return seen
    raise AssertionError(f"no {wanted!r} in {seen[-2_000:]!r}")


@pytest.mark.parametrize("redirect", ["| (exec <&-; cat > /dev/null < /dev/null)", "> /dev/full"])
def test_an_output_that_fails_does_not_keep_the_demo_from_its_end(tmp_path: Path, redirect: str) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    wattbid = '"$0" -c "from cli.main import main; main()" demo --headless --trades 1 --json "$1"'
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {wattbid} {redirect}", sys.executable, str(tmp_path / "demo.json")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    report = json.loads((tmp_path / "demo.json").read_text())
    assert len(report["trades"]) == 1
    assert set(report["broken"]) <= TIMED
    assert "Traceback" not in done.stderr
    assert list(scratch.iterdir()) == []
    if "full" in redirect:
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            1,
            "wattbid demo: standard output: No space left on device",
        )
    else:
        assert done.returncode == (1 if report["broken"] else 128 + signal.SIGPIPE)
        assert "standard output" not in done.stderr


def test_a_demo_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    code = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, *WATTBID, "--headless", "--trades", "1"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "starting a ledger" in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=120)
    assert "1 trade, " in out
    assert list(scratch.iterdir()) == []


def test_without_a_terminal_that_can_draw_the_demo_speaks_in_plain_lines(tmp_path: Path) -> None:
    """TERM=dumb, as in an editor's shell."""
    pid, terminal, _ = in_a_terminal(tmp_path, TERM="dumb")
    seen = read_until(terminal, b" c/kWh  reserve +")
    os.write(terminal, b"\x03")
    seen += read_until(terminal, None)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT
    assert b"\x1b" not in seen
    assert b"starting 3 simulated batteries" in seen

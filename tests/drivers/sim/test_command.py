"""`wattbid sim battery` as a process, and the wall around the simulated battery."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "sim", "battery"]


def test_it_says_where_it_is_and_stops_when_told() -> None:
    process = subprocess.Popen([sys.executable, *COMMAND[1:], "--port", "0", "--unit", "3"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    words = process.stdout.readline().decode().split()
    assert words[0] == "ready"
    places = dict(word.split("=") for word in words[1:])
    assert places["unit"] == "3"
    for name in ("modbus", "control"):
        host, port = places[name].split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--models", "9"], 2, "no profile '9'"),
        (["--faults", "slow=abc"], 2, "fault slow"),
        (["--capacity-wh", "1"], 2, "capacity_wh"),
    ],
)
def test_impossible_wishes_are_refused_in_one_line(arguments: list[str], status: int, words: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"wattbid sim battery: cannot listen on 127.0.0.1:{port}: address already in use; choose another port, 0 = any"
    ]


def test_it_knows_nothing_of_our_drivers() -> None:
    code = (
        "import sys, drivers.sim.control_port\n"
        "print([n for n in sys.modules if n.startswith('drivers.') and not n.startswith('drivers.sim')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"

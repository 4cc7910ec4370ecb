"""What an installer gets wrong: one clear line with what to do, and an exit status that scripts understand."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.system.buyer import trades_fairly
from tests.system.default_ports import default_ports
from tests.system.processes import ROOT, Agent, Battery, Process, run, write_site

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

GOOD = """[site]
name = "my-house"
lab = true
[network]
peers = "open"
multicast = false
[[battery]]
name = "battery-1"
reserve_c_per_kwh = 30.00
port = 0
"""

# What stands in the file, the line it is on (None = the file as a whole), what the message says.
WRONG = {
    "unknown key": (GOOD.replace("port = 0", "prot = 0"), 10, 'battery #1 prot: unknown key, did you mean "port"?'),
    "unknown table": (GOOD + "[netwrok]\n", 11, 'netwrok: unknown key, did you mean "network"?'),
    "wrong type": (GOOD.replace("port = 0", 'port = "4084"'), 10, 'battery #1 port: "4084" is not a whole number'),
    "impossible floor": (
        GOOD + "floor_percent = 101\n",
        11,
        "battery #1 floor_percent: 101 is too large; allowed: 0..100",
    ),
    "negative floor": (GOOD + "floor_percent = -1\n", 11, "battery #1 floor_percent: -1 is too small; allowed: 0..100"),
    "standing too long": (
        GOOD + "standing_ms = 401\n",
        11,
        "battery #1 standing_ms: 401 is too large; allowed: 50..400",
    ),
    "no reserve": (GOOD.replace("reserve_c_per_kwh = 30.00\n", ""), 7, "battery #1"),
    "no battery": (GOOD.partition("[[battery]]")[0], None, "battery: missing"),
    "no site": (GOOD.partition("[network]")[2].join(("[network]", "")), None, "site: missing"),
    "two of a name": (GOOD + '[[battery]]\nname = "battery-1"\nreserve_c_per_kwh = 1.0\nport = 0\n', 12, "battery-1"),
    "nan": (GOOD.replace("30.00", "nan"), 9, "battery #1 reserve_c_per_kwh: nan"),
    "not TOML": (GOOD.replace("port = 0", "port = "), 10, "is not TOML"),
    "empty": ("", None, "missing"),
    "open on a network": (GOOD.replace("multicast", 'listen = "0.0.0.0"\nmulticast'), 6, "listen"),
    "no keys to trust": (GOOD.replace('peers = "open"', 'peers = "signed"'), None, "trusted_peers"),
}


# Each is a process of its own: the commonest are always run.
COMMON = ("unknown key", "impossible floor", "not TOML")
CASES = [pytest.param("check-site", case, marks=[] if case in COMMON else pytest.mark.slow) for case in WRONG]


@pytest.mark.parametrize(("command", "case"), [*CASES, *(("agent", case) for case in COMMON)])
def test_a_wrong_site_file_is_one_line_and_status_2(tmp_path: Path, command: str, case: str) -> None:
    text, line, says = WRONG[case]
    path = tmp_path / "site.toml"
    path.write_text(text)
    done = run(command, *(("--site", str(path)) if command == "agent" else (str(path),)))
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{path}:{line}: " if line else f"{path}:")
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == [path]  # nothing was made for a site that does not exist


@pytest.mark.parametrize("command", ["agent", "check-site"])
@pytest.mark.parametrize("what", ["missing", "directory", "binary"])
def test_a_site_file_that_cannot_be_read(tmp_path: Path, command: str, what: str) -> None:
    path = tmp_path / "site.toml"
    if what == "directory":
        path.mkdir()
    if what == "binary":
        path.write_bytes(b'[site]\nname = "\xff\xfe"\n')
    done = run(command, *(("--site", str(path)) if command == "agent" else (str(path),)))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{path}")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_right_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GOOD)
    done = run("check-site", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "my-house" in done.stdout


def fails(site: Path) -> subprocess.CompletedProcess[str]:
    """Run an agent that cannot start."""
    done = run("agent", "--site", str(site))
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = tmp_path / "site.toml"
        site.write_text(GOOD.replace("port = 0", f"port = {port}"))
        done = fails(site)
    assert done.stderr.startswith("wattbid agent: battery battery-1: cannot listen on ")
    assert f"127.0.0.1 port {port}: " in done.stderr
    assert "ddress already in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_root_file_that_others_can_read(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(GOOD + 'root_file = "key.root"\n')
    root = tmp_path / "key.root"
    root.write_bytes(bytes(range(32)))
    root.chmod(0o644)
    done = fails(site)
    assert f"wattbid agent: {root}: has mode 0644" in done.stderr
    assert "chmod 600" in done.stderr


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"x" * 31, b"x" * 33], ids=["empty", "zero", "short", "long"])
def test_a_root_file_that_holds_no_root(tmp_path: Path, content: bytes) -> None:
    site = tmp_path / "site.toml"
    site.write_text(GOOD + 'root_file = "key.root"\n')
    root = tmp_path / "key.root"
    root.write_bytes(content)
    root.chmod(0o600)
    assert f"wattbid agent: {root}: " in fails(site).stderr
    assert root.read_bytes() == content


def test_a_storage_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").touch()
    site = tmp_path / "site.toml"
    site.write_text(GOOD + '[storage]\ndirectory = "in-the-way/data"\n')
    assert "in-the-way" in fails(site).stderr


def test_something_in_the_way_of_the_control_socket(tmp_path: Path) -> None:
    (tmp_path / "control").write_text("not a socket")
    site = tmp_path / "site.toml"
    site.write_text(GOOD + '[control]\nsocket = "control"\n')
    assert "is in the way of the control socket" in fails(site).stderr


def test_a_control_socket_with_too_long_a_name(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(GOOD + f'[control]\nsocket = "{"x" * 120}"\n')
    done = run("agent", "--site", str(site))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{site}:12: control.socket: the path has ")
    assert "at most 107 bytes" in done.stderr


def test_a_log_level_that_does_not_exist(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(GOOD)
    done = run("agent", "--site", str(site), "--log", "loud")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "log level 'loud' (debug, info, warning, error)" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("agnet",), ("agent",), ("agent", "--sight", "x"), ("check-site",), ("sim", "x")]
)
def test_a_command_line_that_is_wrong(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_status_of_an_agent_that_runs_and_of_one_that_has_gone(tmp_path: Path) -> None:
    with Battery(tmp_path) as battery, Agent(tmp_path, write_site(tmp_path, battery.address)) as agent:
        done = run("status", "--socket", str(agent.socket))
        assert done.returncode == 0, done
        assert "battery-1" in done.stdout
        assert agent.end() == 0
    gone = run("status", "--socket", str(agent.socket))
    assert gone.returncode != 0
    assert "no agent listens on" in gone.stderr
    assert "Traceback" not in gone.stderr


@pytest.mark.slow
async def test_the_example_runs_as_it_is(tmp_path: Path) -> None:
    """Two commands and no thought: the battery with its defaults, the agent with the example."""
    site = tmp_path / "site.toml"
    site.write_bytes((ROOT / "deploy" / "examples" / "site.toml").read_bytes())
    with default_ports(), Process(tmp_path, "battery", "sim", "battery") as battery:
        assert battery.until_ready()["modbus"] == "127.0.0.1:5020"
        with Agent(tmp_path, site) as agent:
            assert agent.endpoint == ("127.0.0.1", 4084)
            await agent.until_selling()
            await trades_fairly(agent.endpoint)
            assert agent.end() == 0

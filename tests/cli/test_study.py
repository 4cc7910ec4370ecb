"""`wattbid study mechanism`: lines in, lines out, and one line about what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WATTBID = [sys.executable, "-c", "from cli.main import main; main()", "study", "mechanism"]
UNIFORM = {"kind": "uniform", "low_e4": 0, "high_e4": 1_000_000}
BID = json.dumps({"op": "bid", "value_e4": 500_000, "n": 2, "reserve_e4": 0, "values": UNIFORM})
BID_ANSWER = '{"bid_e4":250000}\n'


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str | Path, text: str | bytes = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Ask, and return status, answers and complaint."""
    done = subprocess.run(
        [*WATTBID, *map(str, arguments)],
        input=text if isinstance(text, bytes) else text.encode(),
        env=environment(**more),
        capture_output=True,
        check=False,
        timeout=60,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_answers_before_a_bad_line_stand(tmp_path: Path) -> None:
    target = tmp_path / "answers"
    done = run("--out", target, text=f'{BID}\n\n  \n{BID}\n{BID[:-1]}, "n": 3}}\n{BID}\n')
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wattbid study mechanism: standard input:5: n: is there twice\n"
    assert target.read_text() == BID_ANSWER * 2


def test_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "requests"
    source.write_bytes(f"{BID}\n".encode() + b'\xff{"op": 1}')  # the last line needs no end
    done = run("--in", source)
    assert (done.returncode, done.stdout) == (2, BID_ANSWER)
    assert done.stderr == f"wattbid study mechanism: {source}:2: request: is not UTF-8 from byte 0 on\n"


def test_nothing_asked_is_nothing_answered() -> None:
    done = run(text="\n \n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_line_without_end_is_given_up() -> None:
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            WATTBID, env=environment(), stdin=endless, capture_output=True, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wattbid study mechanism: standard input:1: request: longer than 67108864 bytes\n"


def test_a_file_that_cannot_be_used_is_said_before_anything_is_done(tmp_path: Path) -> None:
    source, target = tmp_path / "requests", tmp_path / "answers"
    source.write_text(BID)
    target.write_text("old")
    cases: list[tuple[list[str | Path], Path, str]] = [
        (["--in", tmp_path / "none", "--out", target], tmp_path / "none", "No such file or directory"),
        (["--in", tmp_path, "--out", target], tmp_path, "Is a directory"),
        (["--in", source, "--out", tmp_path / "no" / "where"], tmp_path / "no" / "where", "No such file or directory"),
        (["--in", source, "--out", tmp_path], tmp_path, "Is a directory"),
        (["--in", source, "--out", source], source, "is where the requests are"),
    ]
    for arguments, path, why in cases:
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"wattbid study: {path}: {why}\n")
    assert (source.read_text(), target.read_text()) == (BID, "old")


@pytest.mark.parametrize(
    ("redirect", "status", "complaint"),
    [
        ("> /dev/full", 1, "wattbid study: standard output: No space left on device"),
        (">&-", 1, "wattbid study: standard output: Bad file descriptor"),
        ('| (exec <&-); exit "${PIPESTATUS[0]}"', 128 + signal.SIGPIPE, ""),
        ("--out /dev/full", 1, "wattbid study: No space left on device"),
        ("<&-", 0, ""),
    ],
)
def test_an_output_that_takes_nothing_is_one_line(tmp_path: Path, redirect: str, status: int, complaint: str) -> None:
    (tmp_path / "requests").write_text(BID)
    source = "" if redirect == "<&-" else "--in requests"
    done = subprocess.run(
        ["/bin/bash", "-c", f'"$@" {source} {redirect}', "bash", *WATTBID],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (status, complaint)


def test_ctrl_c_ends_it_quietly() -> None:
    long = {"op": "sample", "setting": {"rule": "sealed_second", "lot_wh": 1_000, "reserve_e4": 0}, "values": UNIFORM}
    request = json.dumps({**long, "n": 10, "auctions": 10_000_000, "seed": 1, "need_wh": 1_000})
    child = subprocess.Popen(
        WATTBID, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{BID}\n{request}\n".encode())
    child.stdin.flush()
    assert child.stdout.readline().decode() == BID_ANSWER  # it is at work now
    child.send_signal(signal.SIGINT)
    started = time.monotonic()
    out, complaint = child.communicate(timeout=60)
    assert (child.returncode, out, complaint) == (130, b"", b"")
    assert time.monotonic() - started < 30


def test_equal_seeds_give_equal_bytes_in_every_process() -> None:
    setting = {"lot_wh": 2_000, "reserve_e4": 100_000, "drop": 0.05, "loss": 0.1}
    lines = [
        json.dumps(
            {"op": "sample", "setting": {**setting, "rule": rule}, "values": UNIFORM, "n": 3, "auctions": 6, "seed": 4,
             "need_wh": 1_500, "strategy": strategy, "rows": True, "latency_ms": [5, 50]}
        )
        for rule in ("standing_bid", "sealed_first", "sealed_second", "ascending_clock", "first_acceptable")
        for strategy in ("truthful", "zip", "random", "equilibrium")
    ]  # fmt: skip
    one, other = (run(text="\n".join(lines), PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert (one.returncode, one.stderr) == (0, "")
    assert len(one.stdout.splitlines()) == 20
    assert one.stdout == other.stdout
    different = run(text=lines[0].replace('"seed": 4', '"seed": 5'))
    assert different.stdout.splitlines()[0] != one.stdout.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_page_in_the_making_ends_at_once_and_the_old_one_stays(tmp_path: Path, number: signal.Signals) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n")
    command = [*WATTBID[:-1], "standing-bid", "--lots", "20000", "--out", str(page)]
    child = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (workers := children_of(child.pid)):
        assert time.monotonic() < deadline, "no worker has started"
        time.sleep(0.05)
    child.send_signal(number)
    out, complaint = child.communicate(timeout=20)
    assert (child.returncode, out, complaint) == (128 + number, b"", b"")
    assert page.read_text() == "old\n"
    assert [worker for worker in workers if Path(f"/proc/{worker}").exists()] == []


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that have not ended."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

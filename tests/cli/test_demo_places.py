"""Where the demo may write: told before it starts, nothing made or harmed to find out, and files that are whole."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.demo_stage.places import why_not_writable, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def test_a_file_that_is_there_or_can_be_there_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    assert why_not_writable(path) == ""
    assert not path.exists()
    path.write_text("old")
    assert why_not_writable(path) == ""
    assert path.read_text() == "old"
    link = tmp_path / "link"
    link.symlink_to(path)
    assert why_not_writable(link) == ""


def test_what_cannot_be_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none" / "file")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, says in (
            (tmp_path, "is a directory; name a file in it"),
            (tmp_path / "fifo", "is not a regular file"),
            (tmp_path / "socket", "is not a regular file"),
            (Path("/dev/null"), "is not a regular file"),
            (tmp_path / "none" / "demo.json", f"there is no directory {tmp_path}/none; make it first"),
            (tmp_path / "nowhere", f"there is no directory {tmp_path}/none; make it first"),
            (tmp_path / "file" / "demo.json", f"{tmp_path}/file is not a directory"),
            (tmp_path / ("x" * 300), "File name too long"),
        ):
            assert why_not_writable(path) == says, path
        assert why_not_writable(tmp_path / "circle") != ""
        assert why_not_writable(Path("a\0b")) != ""
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "fifo", "circle", "nowhere", "socket"}


def test_rights_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so the system's answer is stood in for."""
    path = tmp_path / "demo.json"
    path.touch()
    refused: list[Path] = [tmp_path]
    monkeypatch.setattr("os.access", lambda asked, _mode: Path(asked) not in refused)
    assert why_not_writable(path) == f"the directory {tmp_path} is not writable"
    refused[:] = [path]
    assert why_not_writable(path) == "is not writable"


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "demo.json", tmp_path / "link"
    write_whole(path, "first\n")
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o600)
    link.symlink_to(path)
    write_whole(link, "second\n")
    assert (path.read_text(), path.stat().st_mode & 0o777, link.is_symlink()) == ("second\n", 0o600, True)
    assert {entry.name for entry in tmp_path.iterdir()} == {"demo.json", "plain", "link"}


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """A file system of 64 KiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "wattbid-test", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True, timeout=30)


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        path = tmp_path / "demo.json"
        write_whole(path, "old\n")
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, "x" * 200_000)
        assert path.read_text() == "old\n"
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("option", ["--json", "--picture"])
def test_the_command_says_so_before_anything_starts(tmp_path: Path, option: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, says in (
        ("fifo", "is not a regular file"),
        ("", "is a directory; name a file in it"),
        ("none/demo", f"there is no directory {tmp_path}/none; make it first"),
    ):
        done = demo(tmp_path, option, str(tmp_path / name))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"wattbid demo: {tmp_path / name}: {says}\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["fifo"]


def test_the_report_and_the_picture_need_a_file_each(tmp_path: Path) -> None:
    done = demo(tmp_path, "--json", str(tmp_path / "x"), "--picture", f"{tmp_path}/./x")
    assert done.returncode == 2
    assert done.stderr == f"wattbid demo: {tmp_path}/x: one file cannot hold both the report and the picture\n"


def demo(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", "demo", "--headless", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

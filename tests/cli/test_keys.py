"""`wattbid keys`, run as people run it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from settlement import KeyRing, from_pem, from_solana_json, read_keystore, to_base58, to_pem, to_solana_json

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "keys"]
ON_A_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR)); from cli.main import main; main()"
"""The first terminal that the leader of a session opens is its own: who asks for a password asks there."""
ROOT = bytes(range(32))
RING = KeyRing(ROOT)
PASSWORD = "correct horse"


def private(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


class Place:
    """A directory with a password file and a root file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "keys"
        self.password = private(directory / "password", PASSWORD.encode() + b"\n")
        self.root = private(directory / "root", ROOT)

    def run(self, *arguments: str | Path, password: bool = True) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        if password:
            words += ["--password-file", str(self.password)]
        return subprocess.run(
            [*COMMAND, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    def told(self, *arguments: str | Path, password: bool = True) -> dict[str, Any]:
        done = self.run(*arguments, "--json", password=password)
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert told["file"] == str(self.store)
        found: dict[str, Any] = told
        return found

    def refused(self, *arguments: str | Path, password: bool = True) -> str:
        done = self.run(*arguments, password=password)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.slow
def test_a_keystore_from_a_root_and_its_keys_out_and_in(place: Place, tmp_path: Path) -> None:
    told = place.told("new", place.store, "--root-file", place.root)
    assert told["device_id"] == str(RING.identity.device_id)
    assert told["keys"] == {
        name: {"public_key": key.hex(), "address": to_base58(key)} for name, key in RING.public_keys.items()
    }
    assert stat.S_IMODE(place.store.stat().st_mode) == 0o600
    assert read_keystore(place.store, PASSWORD) == RING
    assert place.told("show", place.store, password=False) == told == place.told("show", place.store, "--check")

    wallet, pem = tmp_path / "wallet.json", tmp_path / "wallet.pem"
    place.told("export", place.store, "wallet", "--to", wallet)
    place.told("export", place.store, "wallet", "--to", pem, "--pem")
    assert from_solana_json(wallet.read_text()) == from_pem(pem.read_text()) == RING.seed("wallet")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (wallet, pem)} == {0o600}

    seed, old = bytes([9]) * 32, tmp_path / "old.json"
    for source in (to_solana_json(seed), to_pem(bytes([8]) * 32)):
        old = tmp_path / f"old-{len(source)}.json"
        found = place.told(
            "import", place.store, "wallet", "--source", private(tmp_path / "in", source.encode()), "--keep", old
        )
        assert list(found["keys"]) == ["wallet"]
    assert from_solana_json(old.read_text()) == seed
    assert read_keystore(place.store, PASSWORD) == RING.replace("wallet", bytes([8]) * 32)


def test_rotation_changes_one_key_and_keeps_the_old_one(place: Place, tmp_path: Path) -> None:
    place.told("new", place.store, "--root-file", place.root)
    told = place.told("rotate", place.store, "tls", "--keep", tmp_path / "old.json")
    after = read_keystore(place.store, PASSWORD)
    assert told["keys"] == {
        "tls": {"public_key": after.public_keys["tls"].hex(), "address": to_base58(after.public_keys["tls"])}
    }
    assert {name for name in RING.public_keys if after.public_keys[name] != RING.public_keys[name]} == {"tls"}
    assert from_solana_json((tmp_path / "old.json").read_text()) == RING.seed("tls")


def test_people_are_told_in_lines(place: Place) -> None:
    place.told("new", place.store, "--root-file", place.root)
    lines = place.run("show", place.store, password=False).stdout.splitlines()
    assert lines == [
        f"identity   {RING.public_keys['identity'].hex()}",
        f"device id  {RING.identity.device_id}",
        f"tls        {RING.public_keys['tls'].hex()}",
        f"wallet     {RING.public_keys['wallet'].hex()}",
        f"address    {to_base58(RING.public_keys['wallet'])}",
        f"nonce      {RING.public_keys['nonce'].hex()}",
    ]


@pytest.mark.slow
def test_what_cannot_be_done_is_one_line_and_changes_nothing(place: Place, tmp_path: Path) -> None:
    place.told("new", place.store, "--root-file", place.root)
    before = place.store.read_bytes()
    taken = private(tmp_path / "taken", b"something")
    shared = private(tmp_path / "shared", to_solana_json(bytes([9]) * 32).encode())
    shared.chmod(0o644)
    garbage = private(tmp_path / "garbage", b"[1, 2, 3]")
    keep = tmp_path / "keep"
    assert "is there already" in place.refused("new", place.store)
    assert "is there already" in place.refused("export", place.store, "wallet", "--to", taken)
    assert "is there already" in place.refused("rotate", place.store, "wallet", "--keep", taken)
    assert "mode 0644" in place.refused("import", place.store, "wallet", "--source", shared, "--keep", keep)
    assert "3 numbers" in place.refused("import", place.store, "wallet", "--source", garbage, "--keep", keep)
    assert "is not there" in place.refused("import", place.store, "wallet", "--source", tmp_path / "no", "--keep", keep)
    assert "is not there" in place.refused("show", tmp_path / "nothing")
    assert "has 9 bytes, a root has 32" in place.refused("new", tmp_path / "other", "--root-file", taken)
    assert "name --password-file" in place.refused("show", place.store, "--check", password=False)
    place.password.write_bytes(b"another\n")
    assert "this password does not open it" in place.refused("rotate", place.store, "wallet", "--keep", keep)
    place.password.write_bytes(b"\n")
    assert "an empty password protects nothing" in place.refused("new", tmp_path / "other")
    place.password.write_bytes(b"\xff\xfe")
    assert "no UTF-8" in place.refused("new", tmp_path / "other")
    assert place.store.read_bytes() == before
    assert taken.read_bytes() == b"something"
    assert not keep.exists()
    assert not (tmp_path / "other").exists()


def test_the_terminal_is_asked_and_shows_no_password(place: Place) -> None:
    place.told("new", place.store, "--root-file", place.root)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, "keys", "show", str(place.store), "--check", "--json"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while b"Password: " not in seen:
        seen += os.read(ours, 1_024)
    os.write(ours, PASSWORD.encode() + b"\n")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(printed)["device_id"] == str(RING.identity.device_id)
    with contextlib.suppress(OSError):  # nobody is at the other end any more, once all is read
        while more := os.read(ours, 1_024):
            seen += more
    os.close(ours)
    assert PASSWORD.encode() not in seen

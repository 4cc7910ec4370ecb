"""`wattbid aggregator` with `[settlement]` as a process: it starts without its ledger, and names what it cannot use."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

import aggregator
from aggregator.cheque_file import ChequeFile
from settlement import KeyRing, create_keystore, to_base58

ROOT = Path(aggregator.__file__).parents[1]


def write_config(tmp_path: Path, keys: str = 'root_file = "r"', extra: str = "") -> Path:
    path = tmp_path / "buyer.toml"
    addresses = {"program_id": 4, "genesis": 5, "mint": 6, "resolver": 9}
    lines = "".join(f'{key} = "{to_base58(bytes([byte]) * 32)}"\n' for key, byte in addresses.items())
    path.write_text(
        f'name = "test"\n{keys}\nstatus_file = "status.json"\n[network]\ntrusted_peers = "any"\nmulticast = false\n'
        f'batteries = ["127.0.0.1:9"]\n[value]\nforecast_c = [20]\n'
        f'[settlement]\nrpc = ["http://127.0.0.1:9"]\n{lines}{extra}'
    )
    return path


async def start(config: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from cli.main import main; main()",
        "aggregator",
        "--config",
        str(config),
        "--json",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def refused(config: Path) -> str:
    """Start a process that must not start; return what it says."""
    process = await start(config)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    text = err.decode()
    assert "Traceback" not in text
    return text


async def test_it_starts_without_its_ledger_says_so_and_ends_in_order(tmp_path: Path) -> None:
    process = await start(write_config(tmp_path))
    assert process.stdout is not None
    events: list[str] = []
    async with asyncio.timeout(60):
        while not {"ready", "offline"} <= set(events):
            events.append(json.loads(await process.stdout.readline())["event"])
        while not (tmp_path / "status.json").exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, "Traceback" in err.decode()) == (0, False)
    status = json.loads((tmp_path / "status.json").read_text())["settlement"]
    keys = KeyRing((tmp_path / "r").read_bytes())
    assert status["wallet"] == to_base58(keys.public_keys["wallet"])
    assert status["trades"] == {"open": 0, "void": 0, "agreed": 0, "disputed": 0, "unsigned": 0}
    assert (tmp_path / "cheques.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "outbox.db").exists()


async def test_a_keystore_opens_with_its_password_and_with_no_other(tmp_path: Path) -> None:
    create_keystore(tmp_path / "keys", KeyRing(bytes([8]) * 32), "correct horse", log2_n=4)
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("battery staple\n")
    config = write_config(tmp_path, 'keystore = "keys"\npassword_file = "password"')
    assert f"{tmp_path}/keys: this password does not open it; try again" in await refused(config)
    password.write_text("correct horse\n")
    password.chmod(0o640)
    assert "has mode 0640: group or others may use it" in await refused(config)
    password.chmod(0o600)
    process = await start(config)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert json.loads(await process.stdout.readline())["event"] == "ready"
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["cheques.db", "outbox.db"])
async def test_files_of_something_else_are_named(tmp_path: Path, name: str) -> None:
    other = sqlite3.connect(tmp_path / name)
    other.execute("CREATE TABLE things (id INTEGER)")
    other.close()
    assert f"{tmp_path}/{name}: " in await refused(write_config(tmp_path))


async def test_a_journal_in_use_is_named(tmp_path: Path) -> None:
    file = ChequeFile.open(tmp_path / "cheques.db")
    try:
        assert "cheques.db: is in use by another process; end it" in await refused(write_config(tmp_path))
    finally:
        file.close()

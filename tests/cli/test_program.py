"""`wattbid program deploy` against a ledger that somebody else runs."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from settlement import SeedKey, to_base58, to_solana_json
from settlement.program.accounts import Config, MintRule
from tests.acceptance.cluster import ask, embedded

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "program", "deploy"]
SEED = bytes(range(32))
SCALE = 10


def deploy(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def keypair(tmp_path: Path) -> str:
    path = tmp_path / "payer.json"
    path.write_text(to_solana_json(SEED))
    path.chmod(0o600)
    return str(path)


def account(url: str, kind: Any, program: str) -> Any:

    filters = [{"dataSize": kind.SIZE}]
    found = ask(
        url, "getProgramAccounts", program, {"encoding": "base64", "commitment": "confirmed", "filters": filters}
    )
    (one,) = found
    return kind.decode(base64.b64decode(one["account"]["data"][0]))


@pytest.mark.slow
def test_a_program_is_deployed_made_ready_and_frozen(keypair: str) -> None:
    payer = SeedKey(SEED).public_key
    with embedded(SCALE) as cluster:
        options = ["--rpc", cluster.url, "--keypair", keypair, "--json"]
        empty = deploy(*options)
        assert (empty.returncode, empty.stdout) == (1, "")
        assert "has no SOL on this cluster: send it some first" in empty.stderr
        ask(cluster.url, "requestAirdrop", to_base58(payer), 10_000_000_000)
        time.sleep(1)
        first = deploy(*options, "--fee-bps", "25", "--test-mint")
        assert first.returncode == 0, first.stderr
        told = json.loads(first.stdout)
        assert (told["genesis"], told["frozen"]) == (ask(cluster.url, "getGenesisHash"), False)
        config = account(cluster.url, Config, told["program_id"])
        assert (config.fee_bps, config.admin, config.treasury) == (25, payer, payer)
        assert account(cluster.url, MintRule, told["program_id"]).allowed
        again = deploy(*options, "--mint", told["mint"], "--freeze")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout) == {**told, "frozen": True}
        assert "writing" not in again.stderr
        changed = deploy(*options, "--elf", __file__)
        assert changed.returncode == 1
        assert "is another program already" in changed.stderr


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (["--mint", "x", "--test-mint"], 2, "--mint and --test-mint"),
        (["--treasury", "x"], 2, "--treasury"),
        ([], 1, "http://127.0.0.1:9: getGenesisHash"),
    ],
)
def test_what_cannot_be_meant_or_reached_is_told(keypair: str, options: list[str], status: int, text: str) -> None:
    done = deploy("--rpc", "http://127.0.0.1:9", "--keypair", keypair, *options)
    assert done.returncode == status
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "payer.json"
    path.write_text(to_solana_json(SEED))
    path.chmod(0o644)
    done = deploy("--rpc", "http://127.0.0.1:9", "--keypair", str(path))
    assert done.returncode == 1
    assert "group or others may use it" in done.stderr

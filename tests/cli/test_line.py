"""`wattbid register` and `wattbid line` against a ledger of this machine: from a fresh wallet to a Line and back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from settlement import SeedKey, derive, to_base58
from settlement.base58 import from_base58

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
WATTBID = [sys.executable, "-c", "from cli.main import main; main()"]
CENT = 10_000
BUYER, BATTERY, POOR = (bytes([n]) * 32 for n in (0x51, 0x52, 0x53))


class Ledger(NamedTuple):
    rpc: str
    genesis: str
    program: str
    mint: str
    directory: Path

    def config(self, name: str, root: bytes, **more: object) -> Path:
        """Return an aggregator's file whose keys come from this root."""
        root_file = self.directory / f"{name}.root"
        if not root_file.exists():
            root_file.write_bytes(root)
            root_file.chmod(0o600)
        keys = {"rpc": [self.rpc], "program_id": self.program, "genesis": self.genesis, "mint": self.mint, **more}
        lines = [
            f'name = "{name}"',
            f'root_file = "{root_file}"',
            "[network]",
            'peers = "signed"',
            'trusted_peers = "any"',
            "[buy]",
            "need_kwh = 1",
            "[value]",
            f"forecast_c = {[30] * 24}",
            "[strategy]",
            'name = "truthful"',
            "[settlement]",
            f'resolver = "{to_base58(bytes([9]) * 32)}"',
        ]
        path = self.directory / f"{name}.toml"
        path.write_text("\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]) + "\n")
        return path


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    directory = tmp_path_factory.mktemp("ledger")
    roots = {"buyer": BUYER, "battery": BATTERY}
    for name, root in roots.items():
        (directory / f"{name}.root").write_bytes(root)
        (directory / f"{name}.root").chmod(0o600)
    options = [f"--{name}={directory / name}.root" for name in roots]
    command = [*WATTBID, "ledger", "--init", "--port", "0", "--json", "--usdc", "100", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Ledger(**{name: told[name] for name in ("rpc", "genesis", "program", "mint")}, directory=directory)
        process.terminate()


def ran(*arguments: str | Path, status: int = 0) -> Any:
    """Run a command; return its JSON, or what it complained of."""
    done = subprocess.run([*WATTBID, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr
    return done.stderr if status else json.loads(done.stdout) if "--json" in arguments else done.stdout


def wallet_of(root: bytes) -> str:
    return to_base58(SeedKey(derive(root, "wallet")).public_key)


def airdrop(ledger: Ledger, wallet: str, lamports: int) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "requestAirdrop", "params": [wallet, lamports]}
    request = urllib.request.Request(
        ledger.rpc, json.dumps(asked).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert "result" in json.load(answer)


def test_money_goes_onto_a_line_and_is_asked_back(ledger: Ledger) -> None:
    config, battery = ledger.config("buyer", BUYER), wallet_of(BATTERY)
    here = ("--config", config, "--json")
    assert ran("register", *here)["done"] == "before"
    shown = ran("line", "show", *here)
    held = shown["tokens"] + (shown["escrow"] or {"available": 0})["available"]
    assert (shown["wallet"], held, shown["lines"]) == (wallet_of(BUYER), 100 * 100 * CENT, [])
    assert [ran("line", "open", battery, *here)["opened"] for _ in range(2)] == [True, False]
    if shown["tokens"]:
        ran("line", "deposit", str(shown["tokens"] // CENT), *here)
    ran("line", "allot", battery, "1250.5", *here)
    ran("line", "withdraw", "49.5", *here)
    ran("line", "release", battery, "50", *here)
    shown = ran("line", "show", *here)
    (line,) = shown["lines"]
    assert (line["battery"], line["amount"], line["release_amount"]) == (battery, 12_505_000, 500_000)
    assert (shown["tokens"], shown["escrow"]["available"]) == (495_000, 87_000_000)
    text = ran("line", "show", "--config", config)
    assert f"line to {battery}: 1250.50 c, 0.00 c locked, 50.00 c asked back" in text
    assert "(6007)" in ran("line", "release", battery, "--config", config, status=1)
    assert "(6026)" in ran("line", "close", battery, "--config", config, status=1)
    assert "(6016)" in ran("line", "allot", battery, "999999", "--config", config, status=1)
    assert "would leave 50.00 c free in the escrow: a dispute takes a bond of at least 100.00 c" in ran(
        "line", "allot", battery, "8650", "--config", config, status=1
    )
    assert "--all" in ran("line", "allot", battery, "8650", "--config", config, status=1)
    ran("line", "withdraw", "8650", "--all", *here)
    assert ran("line", "show", *here)["escrow"]["available"] == 500_000


def test_people_are_told_in_words_what_was_done(ledger: Ledger) -> None:
    config, battery = ledger.config("buyer", BUYER), wallet_of(BATTERY)
    ran("register", "--config", config)

    def told(*words: str) -> str:
        text: str = ran("line", *words, "--config", config)
        return text

    def transaction(*words: str) -> str:
        done, _, signature = told(*words).removesuffix(")\n").partition(" (transaction ")
        assert len(from_base58(signature, field="transaction", size=64)) == 64
        return done

    assert told("open", battery).startswith(f"the line to {battery} ")
    assert told("open", battery) == f"the line to {battery} was open before\n"
    assert transaction("deposit", "0.5") == "0.50 c went from the wallet's token account into the escrow"
    taken = "0.25 c went from the escrow back to the wallet's token account"
    assert transaction("withdraw", "0.25", "--all") == taken
    assert transaction("allot", battery, "0.25", "--all") == f"0.25 c of the escrow lie on the line to {battery} now"
    asked = f"0.25 c are asked back from the line to {battery}; `wattbid line release` takes it in 8 days"
    assert transaction("release", battery, "0.25") == asked
    assert transaction("release", battery, "0") == f"nothing is asked back from the line to {battery} any more"
    assert "wattbid line release: " in ran("line", "release", battery, "99999999", "--config", config, status=1)


def test_a_fresh_wallet_registers_once_it_has_sol(ledger: Ledger) -> None:
    config = ledger.config("poor", POOR)
    assert "send it some" in ran("register", "--config", config, status=1)
    assert "is not registered" in ran("line", "open", wallet_of(BATTERY), "--config", config, status=1)
    airdrop(ledger, wallet_of(POOR), 50_000_000)
    assert ran("register", "--config", config, "--json")["done"] == "now"
    assert ran("register", "--config", config, "--json")["done"] == "before"
    assert ran("line", "open", wallet_of(BATTERY), "--config", config, "--json")["opened"] is True


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["register"], "name one file"),
        (["line", "open", "0x12", "--config", "{config}"], "battery's wallet"),
        (["line", "deposit", "1,5", "--config", "{config}"], "no amount"),
        (["line", "deposit", "0.00001", "--config", "{config}"], "smallest units"),
        (["line", "deposit", "-1", "--config", "{config}"], "No such option"),
        (["line", "deposit", "NaN", "--config", "{config}"], "no amount"),
        (["line", "show", "--config", "/nowhere.toml"], "/nowhere.toml"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_status_2(ledger: Ledger, arguments: list[str], complaint: str) -> None:
    config = ledger.config("buyer", BUYER)
    said = ran(*(argument.replace("{config}", str(config)) for argument in arguments), status=2)
    assert complaint in said
    assert "Traceback" not in said


def test_another_cluster_and_a_missing_program_get_no_signature(ledger: Ledger) -> None:
    config = ledger.config("foreign", BUYER, genesis=to_base58(bytes([5]) * 32))
    assert "genesis hash" in ran("line", "show", "--config", config, status=1)
    config = ledger.config("lost", BUYER, program_id=to_base58(bytes([5]) * 32))
    assert "there is no program" in ran("line", "show", "--config", config, status=1)
    assert "there is no program" in ran("line", "deposit", "1", "--config", config, status=1)


def test_a_ledger_that_is_gone_is_told_within_seconds(ledger: Ledger) -> None:
    config = ledger.config("alone", BUYER, rpc=["http://127.0.0.1:9"])
    began_s = time.monotonic()
    said = ran("line", "show", "--config", config, status=1)
    assert time.monotonic() - began_s < 30
    assert "http://127.0.0.1:9" in said
    assert "trying for 15 s" in said

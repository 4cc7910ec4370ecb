"""`wattbid ledger` as a process: what it says, how it ends, and that a killed one loses nothing that was final."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from settlement.program.accounts import Line
from settlement.program.addresses import Addresses
from settlement.program.loader import ProgramData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "ledger", "--port", "0", "--json"]
SOL = 1_000_000_000


class Running:
    """A ledger that runs, and what its ready line said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.told: dict[str, Any] = json.loads(process.stdout.readline())

    def call(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.told["rpc"], body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())["result"]

    def pay(self, payer: Keypair, to: Pubkey, lamports: int) -> str:
        blockhash = Hash.from_string(self.call("getLatestBlockhash", {"commitment": "processed"})["value"]["blockhash"])
        paid = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=lamports))
        wire = bytes(VersionedTransaction(MessageV0.try_compile(payer.pubkey(), [paid], [], blockhash), [payer]))
        options = {"encoding": "base64", "preflightCommitment": "processed"}
        sent: str = self.call("sendTransaction", base64.b64encode(wire).decode(), options)
        return sent

    def finalized(self, signature: str) -> bool:
        (found,) = self.call("getSignatureStatuses", [signature], {"searchTransactionHistory": True})["value"]
        return found is not None and found["confirmationStatus"] == "finalized"


@contextlib.contextmanager
def running(*options: str) -> Iterator[Running]:
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True)
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with running() as ledger:
        assert ledger.told["rpc"].startswith("http://127.0.0.1:")
        assert ledger.call("getGenesisHash") == ledger.told["genesis"]
        ledger.process.send_signal(number)
        assert ledger.process.wait(20) == 0


def test_the_ready_line_is_for_people_without_json() -> None:
    process = subprocess.Popen([*COMMAND[:-1]], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        word, rpc, genesis = process.stdout.readline().split()
        assert (word, rpc[:21], genesis[:8]) == ("ready", "rpc=http://127.0.0.1:", "genesis=")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.slow
def test_a_killed_ledger_comes_back_at_a_finalized_state(tmp_path: Path) -> None:
    """Whatever was called finalized is there after kill -9; what is there is a state that once was."""
    payer, to = Keypair(), Keypair().pubkey()
    options = ("--data", str(tmp_path), "--finalized-after", "2")
    sent: list[str] = []
    final: set[str] = set()
    genesis = None
    for kill_after in (5, 11, 17):
        with running(*options) as ledger:
            genesis = genesis or ledger.told["genesis"]
            assert ledger.told["genesis"] == genesis
            _agrees(ledger, sent, final, to)
            if not final:
                airdrop = ledger.call("requestAirdrop", str(payer.pubkey()), 1_000 * SOL, {"commitment": "processed"})
                while not ledger.finalized(airdrop):
                    time.sleep(0.05)
            for _amount in range(kill_after):
                sent.append(ledger.pay(payer, to, SOL + len(sent)))
                time.sleep(0.12)
                final |= {one for one in sent if one not in final and ledger.finalized(one)}
            os.kill(ledger.process.pid, signal.SIGKILL)
            assert ledger.process.wait(20) == -signal.SIGKILL
    with running(*options) as ledger:
        _agrees(ledger, sent, final, to)
        assert len(final) > 5


def _agrees(ledger: Running, sent: list[str], final: set[str], to: Pubkey) -> None:
    """Everything finalized is there, and the balance is exactly that of the payments that are."""
    found = {one for one in sent if ledger.finalized(one)}
    assert final <= found
    balance = ledger.call("getBalance", str(to))["value"]
    assert balance == sum(SOL + number for number, one in enumerate(sent) if one in found)


@pytest.mark.slow
def test_init_makes_all_that_a_trade_needs_and_finds_it_again(tmp_path: Path) -> None:
    for name in ("battery", "buyer"):
        (tmp_path / name).write_bytes(os.urandom(32))
        (tmp_path / name).chmod(0o600)
    members = ["--battery", str(tmp_path / "battery"), "--buyer", str(tmp_path / "buyer"), "--line-usdc", "100"]
    options = ["--data", str(tmp_path / "data"), "--init", *members]
    with running(*options) as ledger:
        first = ledger.told
        program = Pubkey.from_string(first["program"])
        at = Addresses(program)
        code = ledger.call("getAccountInfo", str(at.program_data()), {"encoding": "base64"})["value"]["data"][0]
        assert ProgramData.decode(base64.b64decode(code)).authority is None
        lines = ledger.call(
            "getProgramAccounts", str(program), {"encoding": "base64", "filters": [{"dataSize": Line.SIZE}]}
        )
        (line,) = [Line.decode(base64.b64decode(one["account"]["data"][0])) for one in lines]
        assert line.amount == 100 * 10**6
        count = ledger.call("getTransactionCount")
        os.kill(ledger.process.pid, signal.SIGKILL)
    with running(*options) as ledger:
        assert {**ledger.told, "rpc": ""} == {**first, "rpc": ""}
        assert ledger.call("getTransactionCount") == count


@pytest.mark.slow
def test_a_directory_in_use_and_a_taken_port_are_told(tmp_path: Path) -> None:
    with running("--data", str(tmp_path)) as ledger:
        port = ledger.told["rpc"].rpartition(":")[2]
        for options, text in (
            (["--data", str(tmp_path)], "is in use; end the other ledger, or name another directory"),
            (["--port", port], "cannot listen on 127.0.0.1"),
        ):
            done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1
            assert text in done.stderr
            assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--fault", "nothing=1"], "no fault 'nothing'"),
        (["--buyer", "x"], "say what --init does"),
        (["--init", "--line-usdc", "20000", "--battery", "ROOT"], "does not cover"),
        (["--finalized-after", "0"], "finalized-after"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: list[str], text: str) -> None:
    root = tmp_path / "root"
    root.write_bytes(os.urandom(32))
    root.chmod(0o600)
    options = [str(root) if option == "ROOT" else option for option in options]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert text in done.stderr


@pytest.mark.slow
def test_a_directory_of_another_version_of_the_program_is_told(tmp_path: Path) -> None:
    memo = LiteSVM().get_account(Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"))
    assert memo is not None
    other = tmp_path / "other.so"
    other.write_bytes(memo.data)
    options = ["--data", str(tmp_path / "data"), "--init"]
    with running(*options) as ledger:
        assert ledger.told["program"]
    done = subprocess.run(
        [*COMMAND, *options, "--elf", str(other)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "this directory was made with another version of it, begin a new one with --data" in done.stderr

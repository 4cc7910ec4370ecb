"""The ledgers that the acceptance suite runs against, each in a temporary directory, on free ports of the loopback.

- `embedded`: `wattbid ledger`.
- `validator`: a real `solana-test-validator` (`make validator` builds it); skipped with the reason where there is none.
  Its JSON-RPC and faucet listen on every interface, whatever it is told: it runs for as long as one test.
- `elsewhere`: any RPC endpoint, when WATTBID_ACCEPTANCE_RPC names one; WATTBID_ACCEPTANCE_KEYPAIR is the file of a
  wallet with some SOL there (Solana's JSON format). It gets back what is left of it, and nothing is asked of a faucet.

Nothing is left behind: the process is ended and the directory removed, whatever happens in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from settlement import SeedKey, from_text, to_base58
from tests.acceptance.found import VALIDATOR_VERSION, find_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RPC_VARIABLE: Final = "WATTBID_ACCEPTANCE_RPC"
KEYPAIR_VARIABLE: Final = "WATTBID_ACCEPTANCE_KEYPAIR"
_AIRDROP: Final = 10_000_000_000
START_S: Final = 90.0
"""A start takes seconds; the machine may be busy with other tests."""
_PORTS: Final = 64
"""What a validator may need side by side: RPC, its web socket, faucet, gossip, and some thirty for its own traffic."""


_ROOT: Final = Path(__file__).parents[2]
WATTBID: Final = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from cli.main import main; main()",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A ledger that answers."""

    url: str
    scale: int = 1
    """Seconds of its clock in one of ours."""
    is_fresh: bool = True
    """Nobody was here before us."""
    funder: SeedKey = field(default_factory=lambda: SeedKey(os.urandom(32)))
    """A wallet with SOL."""


def free_ports(count: int) -> int:
    """Return the first of `count` ports in a row that nothing listens at."""
    draw = random.SystemRandom()
    for _ in range(200):
        first = draw.randrange(20_000, 32_000)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"no {count} free ports in a row")


def ask(url: str, method: str, *params: Any) -> Any:
    """Return the result of one request; OSError (an HTTP error is one) or KeyError when there is none."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as reply:
        return json.load(reply)["result"]


@contextlib.contextmanager
def embedded(scale: int = 1) -> Iterator[Cluster]:
    """Run `wattbid ledger` with its state on disk, `scale` times as fast as the world."""
    port = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with _directory() as place:
        command = [*WATTBID, "ledger", "--data", str(place / "ledger"), "--port", str(port)]
        command += ["--time-scale", str(scale)]
        with _running(command, place, lambda: ask(url, "getHealth") == "ok"):
            yield _funded(Cluster(url=url, scale=scale))


@contextlib.contextmanager
def validator(*options: str) -> Iterator[Cluster]:
    """Run a validator of its own."""
    binary, problem = find_validator()
    if binary is None:
        pytest.skip(problem)
    with _one_at_a_time(), _directory() as place:
        first = free_ports(_PORTS)
        url = f"http://127.0.0.1:{first}"
        command = [str(binary), "--ledger", str(place / "ledger"), "--bind-address", "127.0.0.1", "--quiet"]
        command += ["--rpc-port", str(first), "--faucet-port", str(first + 2), "--gossip-port", str(first + 3)]
        command += ["--dynamic-port-range", f"{first + 4}-{first + _PORTS - 1}", *options]
        # It answers at once, but forwards no transaction before its first block is finalized, 13 seconds later.
        with _running(command, place, lambda: ask(url, "getSlot", {"commitment": "finalized"}) > 2):
            assert ask(url, "getVersion")["solana-core"] == VALIDATOR_VERSION
            yield _funded(Cluster(url=url))


@contextlib.contextmanager
def elsewhere() -> Iterator[Cluster]:
    """Go where the environment points."""
    url, keypair = (os.environ.get(name) for name in (RPC_VARIABLE, KEYPAIR_VARIABLE))
    if not url:
        pytest.skip(f"{RPC_VARIABLE} names no endpoint")
    assert keypair, f"{KEYPAIR_VARIABLE} must be the file of a wallet with 3 SOL at {url}"
    yield Cluster(url=url, is_fresh=False, funder=SeedKey(from_text(Path(keypair).read_text())))


def _funded(cluster: Cluster) -> Cluster:
    """Have the faucet give some SOL."""
    wallet = to_base58(cluster.funder.public_key)
    ask(cluster.url, "requestAirdrop", wallet, _AIRDROP)
    deadline = time.monotonic() + START_S
    while ask(cluster.url, "getBalance", wallet, {"commitment": "confirmed"})["value"] < _AIRDROP:
        assert time.monotonic() < deadline, "the faucet gives nothing"
        time.sleep(0.1)
    return cluster


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for other tests to end their validator: each keeps a processor busy."""
    with (Path(tempfile.gettempdir()) / f"wattbid-validator-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="wb-cluster-"))
    try:
        yield place
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def _running(command: list[str], place: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    """Run a ledger until the block ends; it dies with this process, too, however that ends."""
    tether = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    log = place / "log"
    environment = {**os.environ, "HOME": str(place)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*tether, *command],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        _until_ready(process, log, is_ready)
        yield
    finally:
        _end(process)


def _until_ready(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, f"ended before it was ready: {log.read_text()}"
        with contextlib.suppress(OSError, KeyError):
            if is_ready():
                return
        assert time.monotonic() < deadline, f"not ready within {START_S} s: {log.read_text()}"
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True

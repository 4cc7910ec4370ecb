"""What each instruction costs on fixed vectors: compute units of the transaction, measured on the real ELF.

`python -m tests.settlement.program.units FILE ELF NAME=VERSION...` writes the build record.
The vectors have addresses whose first bump is good, as a deployment can choose its program id; a trade's address has a
bump that nobody chooses, and each step down costs a claim 1,500 units more: `claim_p99` says how much that is.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from solders.account import Account
from solders.pubkey import Pubkey

from settlement import IdentityKey
from settlement.program.addresses import token_account
from tests.settlement.program.bench import Bench
from tests.settlement.program.pieces import ON_LINE, RELEASE_DELAY_S, SYSTEM, TIMEOUT_S, keypair

if TYPE_CHECKING:
    from settlement import Contract

BUMP_UNITS: Final = 1_500
PRICE_E4: Final = 100_000_000
"""Dear enough that a dispute has something to hold and to pay."""


class Budget(NamedTuple):
    """The most that a vector may cost."""

    name: str
    units: int


BUDGETS: Final = (
    Budget("settle", 8_000),
    Budget("claim", 9_000),
    Budget("claim_prefunded", 12_000),
    Budget("dispute", 6_000),
    Budget("resolve", 10_000),
    Budget("deposit", 3_500),
    Budget("withdraw", 3_500),
    Budget("allot", 3_500),
)
ELF_BYTES_MAX: Final = 40 * 1024
TRANSACTION_BYTES_MAX: Final = 1_232


def _first_bump(name: str) -> Pubkey:
    """Return a program id whose event authority and Config have the first bump."""
    number = 0
    while True:
        program = keypair(f"{name} {number}").pubkey()
        seeds = (b"__event_authority", b"config")
        if all(Pubkey.find_program_address([seed], program)[1] == 255 for seed in seeds):
            return program
        number += 1


def _contract(bench: Bench, **terms: int) -> Contract:
    """Return a contract whose trade has the first bump."""
    message_id = 0
    while True:
        contract = bench.contract(message_id=message_id, **terms)
        if Pubkey.find_program_address([b"trade", contract.trade_id], bench.program)[1] == 255:
            return contract
        message_id += 1


def measure() -> dict[str, int]:
    """Return the compute units of every vector."""
    bench = Bench.ready(program=_first_bump("program"))
    return {**_of_people(), **_of_settling(bench), **_of_claims(bench), **_of_money(bench)}


def _of_people() -> dict[str, int]:
    bench = Bench(program=_first_bump("program"))
    found = {"initialize": bench.initialize().units, "set_mint_rule": bench.set_mint_rule().units}
    found["register"] = bench.register(bench.buyer, 2).units
    bench.register(bench.battery, 1)
    found["open_escrow"] = bench.by_buyer("open_escrow").units
    found["open_line"] = bench.by_buyer("open_line").units
    key = IdentityKey(bytes([9]) * 32)
    place = bench.at.participant(bench.battery.key)
    rotate = bench.call("rotate_key", wallet=bench.battery.key, participant=place, new_key=key.public_key)
    found["rotate_key"] = bench.send(
        bench.registration(bench.battery, key), rotate, signers=[bench.battery.wallet]
    ).units
    return found


def _of_settling(bench: Bench) -> dict[str, int]:
    contract = _contract(bench)
    relayed = bench.settle(contract, bench.receipt(contract))
    found = {"settle": relayed.units, "settle_bytes": relayed.size}
    found["settle_again"] = bench.settle(contract, bench.receipt(contract)).units
    contract = _contract(bench)
    by_buyer = bench.settle(contract, bench.receipt(contract), ["buyer"])
    return {**found, "settle_by_buyer": by_buyer.units, "settle_by_buyer_bytes": by_buyer.size}


def _claim(bench: Bench, contract: Contract) -> tuple[int, int]:
    bench.wait(contract.ends_at_s - bench.now)
    sent = bench.claim(contract, bench.receipt(contract))
    return sent.units, sent.size


def _of_claims(bench: Bench) -> dict[str, int]:
    found = {}
    contract = _contract(bench)
    found["claim"], found["claim_bytes"] = _claim(bench, contract)
    found["claim_p99"] = found["claim"] + BUMP_UNITS * _steps_p99(bench.program)
    bench.wait(86_400)
    found["finalize"] = bench.finalize(contract).units
    contract = _contract(bench, price_e4=PRICE_E4)
    bench.svm.set_account(bench.at.trade(contract.trade_id), Account(890_880, b"", SYSTEM))
    found["claim_prefunded"], _ = _claim(bench, contract)
    found["dispute"] = bench.dispute(contract, 1_000).units
    found["attest"] = bench.attest(contract, bench.receipt(contract, 1_500, final=False)).units
    found["resolve"] = bench.resolve(contract, 2_000).units
    contract = _contract(bench)
    _claim(bench, contract)
    bench.dispute(contract, 1_000)
    bench.wait(TIMEOUT_S)
    found["timeout"] = bench.timeout(contract).units
    contract = _contract(bench)
    _claim(bench, contract)
    found["settle_claimed"] = bench.settle(contract, bench.receipt(contract), rent_payer=bench.relay.pubkey()).units
    return found


def _of_money(bench: Bench) -> dict[str, int]:
    found = {
        "deposit": bench.by_buyer("deposit", amount=1).units,
        "withdraw": bench.by_buyer("withdraw", amount=1, destination=bench.purse).units,
        "allot": bench.by_buyer("allot", amount=1).units,
        "request_release": bench.by_buyer("request_release", amount=ON_LINE // 2).units,
        "void": bench.send(
            bench.call("void", contract_no=bench.line_account().base_no), signers=[bench.battery.wallet]
        ).units,
    }
    bench.wait(RELEASE_DELAY_S)
    found["release"] = bench.by_buyer("release").units
    fees = bench.set_token(token_account(bench.treasury, bench.mint), bench.treasury)
    found["sweep_fees"] = bench.send(bench.call("sweep_fees", destination=fees)).units
    bench.set(bench.payee, SYSTEM, b"", 0)
    contract = _contract(bench)
    found["settle_unpaid"] = bench.settle(contract, bench.receipt(contract)).units
    bench.set_token(bench.payee, bench.battery.key)
    found["collect"] = bench.send(bench.call("collect", destination=bench.payee)).units
    return found


def _steps_p99(program: Pubkey, count: int = 2_000) -> int:
    """Return how many bumps below the first the addresses of all but one trade in a hundred are."""
    ids = (sha256(number.to_bytes(4, "big")).digest() for number in range(count))
    steps = sorted(255 - Pubkey.find_program_address([b"trade", each], program)[1] for each in ids)
    return steps[count * 99 // 100]


def record(elf: bytes, compilers: dict[str, str]) -> dict[str, object]:
    """Return the build record of an ELF."""
    return {
        "elf": {"sha256": sha256(elf).hexdigest(), "bytes": len(elf)},
        "compilers": compilers,
        "units": dict(sorted(measure().items())),
    }


def _main() -> None:
    target, elf, *compilers = sys.argv[1:]
    found = record(Path(elf).read_bytes(), dict(each.split("=", 1) for each in compilers))
    Path(target).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    _main()

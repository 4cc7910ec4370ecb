"""Who runs the program: initialize, set_config, propose_admin, accept_admin, set_pause, set_mint_rule."""

from __future__ import annotations

from typing import Any

import pytest

from settlement.program.events import ConfigChanged, MintRuleSet
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import (
    GENESIS,
    MIN_BOND,
    SYSTEM,
    TIMEOUT_S,
    TOKEN,
    TOKEN_2022,
    keypair,
    mint_bytes,
)

NATIVE_MINT = "So11111111111111111111111111111111111111112"


@pytest.fixture
def bench() -> Bench:
    return Bench.initialized()


def test_initialize_writes_the_config_once() -> None:
    bench = Bench()
    sent = bench.initialize()
    config = bench.config_account()
    assert (config.admin, config.treasury) == (bytes(bench.admin.pubkey()), bytes(bench.treasury))
    assert (config.fee_bps, config.min_bond, config.timeout_s) == (50, MIN_BOND, TIMEOUT_S)
    assert (config.genesis, config.pending_admin, config.paused) == (GENESIS, bytes(32), False)
    told = ConfigChanged(config.admin, bytes(32), config.treasury, MIN_BOND, 50, False)
    assert sent.events == (told,)
    with refused(Failure.BAD_STATE):
        bench.initialize()


@pytest.mark.parametrize("authority", ["another", "nobody"])
def test_initialize_is_for_the_upgrade_authority(authority: str) -> None:
    bench = Bench()
    bench.set_upgrade_authority(bench.stranger.pubkey() if authority == "another" else None)
    with refused(Failure.NOT_ADMIN):
        bench.initialize()


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        ({"fee_bps": 501}, Failure.BAD_AMOUNT),
        ({"timeout_s": 0}, Failure.BAD_AMOUNT),
        ({"genesis": bytes(32)}, Failure.BAD_AMOUNT),
        ({"treasury": bytes(32)}, Failure.BAD_AMOUNT),
        ({"config": keypair("elsewhere").pubkey()}, Failure.WRONG_ADDRESS),
        ({"program_data": keypair("elsewhere").pubkey()}, Failure.WRONG_ADDRESS),
    ],
)
def test_initialize_refuses(given: dict[str, Any], failure: Failure) -> None:
    with refused(failure):
        Bench().initialize(**given)


def test_set_config_changes_what_later_contracts_are_asked(bench: Bench) -> None:
    before = bench.config_account()
    treasury = bytes(bench.stranger.pubkey())
    bench.send(bench.call("set_config", treasury=treasury, fee_bps=500, min_bond=7), signers=[bench.admin])
    after = bench.config_account()
    assert (after.treasury, after.fee_bps, after.min_bond) == (treasury, 500, 7)
    assert (after.genesis, after.timeout_s, after.admin) == (before.genesis, before.timeout_s, before.admin)


@pytest.mark.parametrize("given", [{"fee_bps": 501}, {"treasury": bytes(32)}])
def test_set_config_refuses(bench: Bench, given: dict[str, Any]) -> None:
    values = {"treasury": bytes(bench.treasury), "fee_bps": 50, "min_bond": 1, **given}
    with refused(Failure.BAD_AMOUNT):
        bench.send(bench.call("set_config", **values), signers=[bench.admin])


_OPERATORS: list[tuple[str, dict[str, Any]]] = [
    ("set_config", {"treasury": bytes([1]) * 32, "fee_bps": 50, "min_bond": 1}),
    ("propose_admin", {"new_admin": bytes([1]) * 32}),
    ("set_pause", {"paused": True}),
    ("set_mint_rule", {"allowed": True, "base_units_per_cent": 1}),
]


@pytest.mark.parametrize(("name", "values"), _OPERATORS)
def test_only_the_admin_operates(bench: Bench, name: str, values: dict[str, Any]) -> None:
    with refused(Failure.NOT_ADMIN):
        bench.send(bench.call(name, admin=bench.stranger.pubkey(), **values), signers=[bench.stranger])


def test_another_becomes_admin_by_accepting_it(bench: Bench) -> None:
    heir = bench.stranger
    bench.send(bench.call("propose_admin", new_admin=bytes(heir.pubkey())), signers=[bench.admin])
    assert bench.config_account().admin == bytes(bench.admin.pubkey())
    with refused(Failure.NOT_ADMIN):
        bench.send(bench.call("accept_admin", new_admin=bench.relay.pubkey()), signers=[bench.relay])
    bench.send(bench.call("accept_admin", new_admin=heir.pubkey()), signers=[heir])
    config = bench.config_account()
    assert (config.admin, config.pending_admin) == (bytes(heir.pubkey()), bytes(32))
    with refused(Failure.NOT_ADMIN):
        bench.send(bench.call("accept_admin", new_admin=heir.pubkey()), signers=[heir])


def test_a_proposal_is_taken_back_by_naming_nobody(bench: Bench) -> None:
    bench.send(bench.call("propose_admin", new_admin=bytes(bench.stranger.pubkey())), signers=[bench.admin])
    bench.send(bench.call("propose_admin", new_admin=bytes(32)), signers=[bench.admin])
    with refused(Failure.NOT_ADMIN):
        bench.send(bench.call("accept_admin", new_admin=bench.stranger.pubkey()), signers=[bench.stranger])


def test_pause_is_on_or_off(bench: Bench) -> None:
    for paused in (True, False):
        bench.send(bench.call("set_pause", paused=paused), signers=[bench.admin])
        assert bench.config_account().paused is paused
    instruction = bench.call("set_pause", paused=True)
    neither = type(instruction)(bench.program, bytes(instruction.data[:8]) + b"\x02", instruction.accounts)
    with refused(Failure.BAD_AMOUNT):
        bench.send(neither, signers=[bench.admin])


def test_a_mint_rule_is_made_and_changed(bench: Bench) -> None:
    rule = bench.rule_account()
    assert (rule.mint, rule.decimals, rule.allowed, rule.base_units_per_cent) == (bytes(bench.mint), 6, True, 10_000)
    sent = bench.set_mint_rule(allowed=False, base_units_per_cent=10_000_000)
    assert sent.events == (MintRuleSet(bytes(bench.mint), 10_000_000, False),)
    rule = bench.rule_account()
    assert (rule.allowed, rule.base_units_per_cent) == (False, 10_000_000)


@pytest.mark.parametrize("rate", [0, 10_000_001])
def test_a_rate_is_in_range(bench: Bench, rate: int) -> None:
    with refused(Failure.BAD_AMOUNT):
        bench.set_mint_rule(base_units_per_cent=rate)


@pytest.mark.parametrize("kind", ["token 2022", "nothing", "not initialized", "native"])
def test_mints_of_other_kinds_are_refused(bench: Bench, kind: str) -> None:
    mint = keypair("other mint").pubkey()
    if kind == "token 2022":
        bench.set(mint, TOKEN_2022, mint_bytes())
    elif kind == "nothing":
        bench.set(mint, SYSTEM, b"")
    elif kind == "not initialized":
        bench.set(mint, TOKEN, mint_bytes(initialized=0))
    else:
        mint = type(mint).from_string(NATIVE_MINT)
        bench.set(mint, TOKEN, mint_bytes(9))
    with refused(Failure.MINT_NOT_ALLOWED):
        bench.set_mint_rule(mint=mint, mint_rule=bench.at.mint_rule(mint))


def test_the_rule_of_one_mint_is_not_written_for_another(bench: Bench) -> None:
    other = keypair("other mint").pubkey()
    bench.set(other, TOKEN, mint_bytes())
    for place in (bench.at.mint_rule(bench.mint), bench.at.config(), keypair("elsewhere").pubkey()):
        with refused(Failure.WRONG_ADDRESS):
            bench.set_mint_rule(mint=other, mint_rule=place)

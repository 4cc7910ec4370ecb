"""Participants: register and rotate_key."""

from __future__ import annotations

from typing import Any

import pytest

from settlement import IdentityKey
from settlement.program.events import KeyRotated, Registered
from settlement.program.failures import Failure
from settlement.signing import SignatureKind
from settlement.statements import Registration
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import GENESIS, RELEASE_DELAY_S, ed25519, entry, keypair, party

NEXT_KEY = IdentityKey(bytes([21]) * 32)
LATER_KEY = IdentityKey(bytes([22]) * 32)


@pytest.fixture
def bench() -> Bench:
    return Bench.initialized()


@pytest.mark.parametrize("role", [1, 2, 3])
def test_register(bench: Bench, role: int) -> None:
    who = bench.battery
    sent = bench.register(who, role)
    participant = bench.participant(who)
    assert (participant.role, participant.wallet) == (role, bytes(who.key))
    assert (participant.signing_key, participant.previous_key) == (who.identity.public_key, bytes(32))
    assert (participant.sequence, participant.trades_settled) == (0, 0)
    assert sent.events == (Registered(bytes(who.key), who.identity.public_key, role),)


@pytest.mark.parametrize("role", [0, 4])
def test_a_role_is_one_of_three(bench: Bench, role: int) -> None:
    with refused(Failure.BAD_AMOUNT):
        bench.register(bench.battery, role)


def test_a_wallet_registers_once(bench: Bench) -> None:
    bench.register(bench.battery)
    with refused(Failure.BAD_STATE):
        bench.register(bench.battery)


def test_not_while_paused(bench: Bench) -> None:
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    with refused(Failure.PAUSED):
        bench.register(bench.battery)


@pytest.mark.parametrize("key", ["zero", "wallet"])
def test_a_signing_key_is_one_of_its_own(bench: Bench, key: str) -> None:
    signing_key = bytes(32) if key == "zero" else bytes(bench.battery.key)
    with refused(Failure.BAD_KEY):
        bench.register(bench.battery, signing_key=signing_key)


def _register(bench: Bench, statement: dict[str, Any], signer: IdentityKey | None = None) -> None:
    who = bench.battery
    told = {"program_id": bytes(bench.program), "genesis_hash": GENESIS, "wallet": bytes(who.key)}
    told |= {"key": who.identity.public_key, **statement}
    proof = entry(SignatureKind.REGISTRATION, Registration(**told).digest, signer or who.identity)
    call = bench.call(
        "register",
        wallet=who.key,
        participant=bench.at.participant(who.key),
        role=1,
        signing_key=who.identity.public_key,
    )
    bench.send(ed25519(proof), call, signers=[who.wallet])


@pytest.mark.parametrize("name", ["program_id", "genesis_hash", "wallet", "key"])
def test_the_proof_is_for_this_wallet_program_and_cluster(bench: Bench, name: str) -> None:
    with refused(Failure.DIGEST_MISMATCH):
        _register(bench, {name: bytes(keypair("another").pubkey())})


def test_nobody_registers_a_key_that_he_does_not_hold(bench: Bench) -> None:
    _register(Bench.initialized(), {})
    with refused(Failure.DIGEST_MISMATCH):
        _register(bench, {}, party("stranger").identity)


def test_a_rotated_key_signs_and_the_old_one_still_counts_for_a_while() -> None:
    bench = Bench.ready()
    old = bench.battery
    new = bench.rotate_key(old, NEXT_KEY)
    participant = bench.participant(old)
    assert (participant.signing_key, participant.previous_key) == (NEXT_KEY.public_key, old.identity.public_key)
    assert participant.previous_until == bench.now + RELEASE_DELAY_S
    for battery in (new, old):
        bench.battery = battery
        contract = bench.contract()
        bench.settle(contract, bench.receipt(contract))
    bench.wait(RELEASE_DELAY_S)
    contract = bench.contract()
    with refused(Failure.DIGEST_MISMATCH):
        bench.settle(contract, bench.receipt(contract))
    bench.battery = new
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))


def test_rotation_is_told(bench: Bench) -> None:
    who = bench.battery
    bench.register(who)
    call = bench.call(
        "rotate_key", wallet=who.key, participant=bench.at.participant(who.key), new_key=NEXT_KEY.public_key
    )
    sent = bench.send(bench.registration(who, NEXT_KEY), call, signers=[who.wallet])
    assert sent.events == (KeyRotated(bytes(who.key), NEXT_KEY.public_key, bench.now + RELEASE_DELAY_S),)


def test_no_second_rotation_while_the_first_key_counts(bench: Bench) -> None:
    bench.register(bench.battery)
    who = bench.rotate_key(bench.battery, NEXT_KEY)
    bench.wait(RELEASE_DELAY_S - 1)
    with refused(Failure.KEY_TOO_YOUNG):
        bench.rotate_key(who, LATER_KEY)
    bench.wait(1)
    bench.rotate_key(who, LATER_KEY)
    assert bench.participant(who).previous_key == NEXT_KEY.public_key


@pytest.mark.parametrize("key", ["zero", "wallet", "in force"])
def test_a_new_key_is_another_one(bench: Bench, key: str) -> None:
    who = bench.battery
    bench.register(who)
    keys = {"zero": bytes(32), "wallet": bytes(who.key), "in force": who.identity.public_key}
    with refused(Failure.BAD_KEY):
        bench.rotate_key(who, NEXT_KEY, new_key=keys[key])


def test_rotation_needs_the_new_key_and_the_wallet(bench: Bench) -> None:
    who = bench.battery
    bench.register(who)
    with refused(Failure.DIGEST_MISMATCH):
        bench.rotate_key(who, NEXT_KEY, new_key=LATER_KEY.public_key)
    thief = bench.stranger
    call = bench.call(
        "rotate_key", wallet=thief.pubkey(), participant=bench.at.participant(who.key), new_key=NEXT_KEY.public_key
    )
    with refused(Failure.BAD_ACCOUNT):
        bench.send(bench.registration(who, NEXT_KEY), call, signers=[thief])

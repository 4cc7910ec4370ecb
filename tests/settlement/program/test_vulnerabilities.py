"""The known ways in which programs lose money: one account of an instruction is not what it must be.

A test's name or docstring says which line of the list it is; the others are in `test_known_attacks`, and those about
signatures in `test_consent`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from settlement.program import schema
from settlement.program.accounts import ACCOUNTS, Config, Escrow, Line, MintRule, Participant, Unpaid
from settlement.program.failures import Failure
from settlement.program.layout import EVENT_TAG
from tests.settlement.program.bench import Bench, RefusedError, refused
from tests.settlement.program.pieces import (
    SYSTEM,
    keypair,
)
from tests.settlement.program.rehearsal import CALLER, CALLS, NAMES, NEW, Scene, index_of

if TYPE_CHECKING:
    from settlement.program.codec import Record


pytestmark = pytest.mark.slow
"""Each case has a ledger of its own, and there are hundreds."""


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


_OWN: dict[str, type[Record]] = {
    "config": Config,
    "mint_rule": MintRule,
    "battery": Participant,
    "buyer": Participant,
    "participant": Participant,
    "escrow": Escrow,
    "line": Line,
    "unpaid": Unpaid,
}
_MADE = {
    ("initialize", "config"),
    ("set_mint_rule", "mint_rule"),
    ("register", "participant"),
    ("open_escrow", "escrow"),
    ("open_line", "line"),
    ("open_line", "unpaid"),
}
OWN_SLOTS = [
    (call.name, index)
    for call in schema.CALLS
    for index, slot in enumerate(call.accounts)
    if slot.name in _OWN and (call.name, slot.name) not in _MADE
]


@pytest.mark.parametrize("name", NAMES)
def test_every_scene_goes_through(name: str) -> None:
    """Or the refusals below would prove nothing."""
    scene = Scene(name)
    scene.send(scene.call)


@pytest.mark.parametrize("name", NAMES)
def test_missing_signer(name: str) -> None:
    scene = Scene(name)
    for index, slot in enumerate(CALLS[name].accounts):
        if slot.signer:
            with refused(Failure.NOT_SIGNER):
                scene.send(scene.with_account(index, is_signer=False))


@pytest.mark.parametrize(("name", "index"), OWN_SLOTS)
def test_missing_owner_wrong_type_other_size_and_other_version(name: str, index: int) -> None:
    """The very bytes under another program's ownership, and our own accounts of another kind, are refused."""
    scene = Scene(name)
    bench, slot = scene.bench, CALLS[name].accounts[index]
    place = scene.call.accounts[index].pubkey
    data = bench.data(place)
    assert data is not None
    twin = keypair("twin").pubkey()
    wrongs: list[tuple[Pubkey, bytes, Failure]] = [
        (bench.stranger.pubkey(), data, Failure.WRONG_OWNER),
        (bench.program, data + b"\0", Failure.BAD_ACCOUNT),
        (bench.program, data[:-8], Failure.BAD_ACCOUNT),
        (bench.program, data[:8] + b"\x02" + data[9:], Failure.BAD_ACCOUNT),
    ]
    for kind in ACCOUNTS:
        if kind is not _OWN[slot.name]:
            wrongs.append((bench.program, kind.DISCRIMINATOR + b"\x01" + bytes(kind.SIZE - 9), Failure.BAD_ACCOUNT))
            wrongs.append((bench.program, kind.DISCRIMINATOR + data[8:], Failure.BAD_ACCOUNT))
    for owner, content, failure in wrongs:
        bench.set(twin, owner, content)
        with refused(failure):
            scene.send(scene.with_account(index, pubkey=twin))


@pytest.mark.parametrize(("name", "index"), OWN_SLOTS)
def test_account_data_mismatch(name: str, index: int) -> None:
    """Good accounts of other people, where the instruction names one relation to them, are refused."""
    scene = Scene(name)
    bench, slot = scene.bench, CALLS[name].accounts[index]
    if slot.name in ("config", "mint_rule"):
        return
    data = bench.data(scene.call.accounts[index].pubkey)
    assert data is not None
    strange = bytes(keypair("nobody").pubkey())
    record = _OWN[slot.name].decode(data)
    changes = {
        "battery": {"wallet": strange},
        "buyer": {"wallet": strange},
        "participant": {"wallet": strange},
        "escrow": {"buyer_wallet": strange, "vault": strange},
        "line": {"buyer_wallet": strange, "battery_wallet": strange, "escrow": strange},
        "unpaid": {"wallet": strange},
    }[slot.name]
    twin = keypair("twin").pubkey()
    bench.set(twin, bench.program, _replaced(record, changes))
    failures = (Failure.BAD_ACCOUNT, Failure.WRONG_ADDRESS, Failure.NOT_EMPTY)
    with pytest.raises(RefusedError) as caught:
        scene.send(scene.with_account(index, pubkey=twin))
    assert caught.value.failure in failures


def _replaced(record: Any, changes: dict[str, bytes]) -> bytes:
    data: bytes = replace(record, **changes).encode()
    return data


@pytest.mark.parametrize("name", NAMES)
def test_same_account_passed_twice(name: str) -> None:
    writable = [index for index, slot in enumerate(CALLS[name].accounts) if slot.writable and not slot.optional]
    scene = Scene(name)
    for one in writable:
        for other in writable:
            if one != other and not CALLS[name].accounts[other].signer:
                same = scene.with_account(other, pubkey=scene.call.accounts[one].pubkey)
                with refused(Failure.DUPLICATE_ACCOUNT):
                    scene.send(same)


@pytest.mark.parametrize("name", [name for name in NAMES if any(s.address for s in CALLS[name].accounts)])
def test_unchecked_program_id_in_cpi_and_signer_forwarding(name: str) -> None:
    """A program of the attacker in the place of another would get our signatures, and the wallets'."""
    scene = Scene(name)
    evil = keypair("evil").pubkey()
    scene.bench.svm.add_program(evil, CALLER.read_bytes())
    for index, slot in enumerate(CALLS[name].accounts):
        if slot.address:
            with refused(Failure.BAD_ACCOUNT):
                scene.send(scene.with_account(index, pubkey=evil))


@pytest.mark.parametrize("name", [name for name in NAMES if any(s.name == "program" for s in CALLS[name].accounts)])
def test_the_program_slot_is_the_program(name: str) -> None:
    index = next(i for i, slot in enumerate(CALLS[name].accounts) if slot.name == "program")
    scene = Scene(name)
    evil = keypair("evil").pubkey()
    scene.bench.svm.add_program(evil, CALLER.read_bytes())
    with refused(Failure.BAD_ACCOUNT):
        scene.send(scene.with_account(index, pubkey=evil))


@pytest.mark.parametrize("name", [n for n in NAMES if any(s.name == "event_authority" for s in CALLS[n].accounts)])
def test_a_forged_event_authority(name: str) -> None:
    index = next(i for i, slot in enumerate(CALLS[name].accounts) if slot.name == "event_authority")
    scene = Scene(name)
    for forged in (scene.bench.stranger.pubkey(), scene.bench.at.config()):
        with refused(Failure.WRONG_ADDRESS):
            scene.send(scene.with_account(index, pubkey=forged))


def test_nobody_else_tells_our_events(bench: Bench) -> None:
    bench.svm.add_program(keypair("caller").pubkey(), CALLER.read_bytes())
    authority, data = bench.at.event_authority(), EVENT_TAG + bytes(40)

    def told(address: Pubkey, *, signer: bool) -> Instruction:
        return Instruction(bench.program, data, [AccountMeta(address, is_signer=signer, is_writable=False)])

    with refused(Failure.NOT_SIGNER):
        bench.send(told(authority, signer=False))
    with refused(Failure.WRONG_ADDRESS):
        bench.send(told(bench.stranger.pubkey(), signer=True), signers=[bench.stranger])
    with refused(Failure.NOT_SIGNER):
        bench.send(_by_caller(told(authority, signer=False)))
    with refused(Failure.BAD_ACCOUNT):
        bench.send(Instruction(bench.program, data, []))


def test_an_event_authority_by_another_bump(bench: Bench) -> None:
    """Non-canonical bump: an address of ours by another bump is recognised, and gains nobody anything."""
    for bump in range(255, 200, -1):
        try:
            other = Pubkey.create_program_address([b"__event_authority", bytes([bump])], bench.program)
        except BaseException:  # noqa: BLE001 - solders has no class for a point on the curve
            continue
        if other != bench.at.event_authority():
            break
    told = Instruction(bench.program, EVENT_TAG, [AccountMeta(other, is_signer=False, is_writable=False)])
    with refused(Failure.NOT_SIGNER):
        bench.send(told)


def _by_caller(call: Instruction) -> Instruction:
    """Return the instruction as another program would make it."""
    target = AccountMeta(call.program_id, is_signer=False, is_writable=False)
    return Instruction(keypair("caller").pubkey(), bytes(call.data), [target, *call.accounts])


@pytest.mark.parametrize("name", ["settle", "claim", "attest", "register", "rotate_key"])
def test_consent_is_not_taken_from_inside_another_program(name: str) -> None:
    scene = Scene(name)
    scene.bench.svm.add_program(keypair("caller").pubkey(), CALLER.read_bytes())
    with refused(Failure.INSIDE_CPI):
        scene.send(_by_caller(scene.call))


@pytest.mark.parametrize("name", ["deposit", "withdraw", "allot", "dispute", "finalize"])
def test_what_wallets_sign_may_come_from_inside_another_program(name: str) -> None:
    scene = Scene(name)
    scene.bench.svm.add_program(keypair("caller").pubkey(), CALLER.read_bytes())
    scene.send(_by_caller(scene.call))


def test_spoofed_sysvar(bench: Bench) -> None:
    """Clock and rent are read by syscall; the instructions sysvar by its address (see test_consent)."""
    for call in schema.CALLS:
        assert not any(slot.name in ("clock", "rent") for slot in call.accounts)


@pytest.mark.parametrize(("name", "slot"), NEW)
def test_non_canonical_bump(name: str, slot: str) -> None:
    """An address of the same seeds by another bump is refused."""
    scene = Scene(name)
    if name == "set_mint_rule":
        scene.bench.set(scene.bench.at.mint_rule(scene.bench.mint), SYSTEM, b"", 0)
    elsewhere = Pubkey.create_with_seed(scene.bench.relay.pubkey(), slot, scene.bench.program)
    for other in (elsewhere, *_other_bumps(scene, slot)):
        with refused(Failure.WRONG_ADDRESS):
            scene.send(scene.with_account(index_of(name, slot), pubkey=other))


def _other_bumps(scene: Scene, slot: str) -> list[Pubkey]:
    bench = scene.bench
    seeds = {
        "config": [b"config"],
        "mint_rule": [b"mint", bytes(bench.mint)],
        "escrow": [b"escrow", bytes(bench.buyer.key), bytes(bench.mint)],
        "vault": [b"vault", bytes(bench.escrow)],
        "line": [b"line", bytes(bench.escrow), bytes(bench.battery.key)],
        "unpaid": [b"unpaid", bytes(bench.battery.key), bytes(bench.escrow)],
    }.get(slot)
    if seeds is None:
        return []
    canonical = Pubkey.find_program_address(seeds, bench.program)[1]
    found = []
    for bump in range(canonical - 1, 0, -1):
        try:
            found.append(Pubkey.create_program_address([*seeds, bytes([bump])], bench.program))
        except BaseException:  # noqa: BLE001 - solders has no class for a point on the curve
            continue
        return found
    return found


def test_shared_pda_seeds() -> None:
    """No two kinds begin alike, and all seeds but the first have 32 bytes: no two accounts share an address."""
    firsts = [account.seeds[0] for account in schema.ACCOUNTS]
    assert len(set(firsts)) == len(firsts)
    for one in (*firsts, '"vault"', '"__event_authority"'):
        for other in (*firsts, '"vault"'):
            assert one == other or not other.strip('"').startswith(one.strip('"'))

"""Durable nonces as on a cluster, which LiteSVM alone does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import (
    AdvanceNonceAccountParams,
    WithdrawNonceAccountParams,
    advance_nonce_account,
    create_nonce_account,
    withdraw_nonce_account,
)

from settlement.ledger.nonce import read_nonce, value_after
from tests.settlement.ledger.world import SOL, World, pay

if TYPE_CHECKING:
    from solders.keypair import Keypair

    from settlement.ledger.wire import Received

NONCE_RENT = 1_447_680


class Nonces(World):
    """A world with a payer and its nonce account."""

    def __init__(self) -> None:
        super().__init__()
        self.payer = self.funded()
        self.nonce = self.key()
        made = create_nonce_account(self.payer.pubkey(), self.nonce.pubkey(), self.payer.pubkey(), NONCE_RENT)
        assert self.submit(made, self.payer, self.nonce) is None

    def value(self) -> bytes:
        found = read_nonce(self.ledger.account_at(self.nonce.pubkey(), self.ledger.height("processed")))
        assert found is not None
        return found.value

    def advance(self, authority: Keypair | None = None) -> Instruction:
        key = (authority or self.payer).pubkey()
        return advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=self.nonce.pubkey(), authorized_pubkey=key))

    def durable(self, *instructions: Instruction, value: bytes | None = None) -> Received:
        blockhash = Hash.from_bytes(self.value() if value is None else value)
        return self.signed([self.advance(), *instructions], self.payer, blockhash=blockhash)


def test_a_nonce_comes_from_the_ledgers_own_blockhashes() -> None:
    world = Nonces()
    blocks = world.ledger.blocks
    assert world.value() == value_after(blocks.latest_hash(blocks.height))
    assert Nonces().value() != World(seed=1).ledger.blocks.latest_hash(1)


def test_a_durable_transaction_outlives_every_blockhash() -> None:
    world = Nonces()
    to = world.key().pubkey()
    paid, before = world.durable(pay(world.payer, to, SOL)), world.value()
    world.wait(10_000)
    assert world.ledger.submit(paid) is None
    assert world.lamports(to) == SOL
    assert world.value() == value_after(world.ledger.blocks.latest_hash(world.ledger.blocks.height)) != before
    assert world.ledger.submit(paid) == "BlockhashNotFound"
    world.wait(5)
    assert world.ledger.submit(paid) == "BlockhashNotFound"
    assert world.lamports(to) == SOL


def test_a_failure_burns_the_nonce_and_costs_its_fee() -> None:
    world = Nonces()
    world.wait(1)
    paid, before, lamports = (
        world.durable(pay(world.payer, world.payer.pubkey(), 500 * SOL)),
        world.value(),
        world.lamports(world.payer.pubkey()),
    )
    assert world.ledger.submit(paid) is None
    landing = world.ledger.landing(bytes(paid.signature))
    assert landing is not None
    assert landing.err is not None
    assert world.value() == value_after(world.ledger.blocks.latest_hash(world.ledger.blocks.height)) != before
    assert world.lamports(world.payer.pubkey()) == lamports - 5_000
    world.wait(1)
    assert world.ledger.submit(paid) == "BlockhashNotFound"


def test_a_burnt_nonce_is_burnt_on_disk_and_at_its_own_height() -> None:
    world = Nonces()
    world.wait(1)
    old, height = world.value(), world.ledger.height("processed")
    assert world.ledger.submit(world.durable(pay(world.payer, world.payer.pubkey(), 500 * SOL))) is None
    world.wait(40)
    assert read_nonce(world.ledger.account_at(world.nonce.pubkey(), height - 1)).value == old  # type: ignore[union-attr]
    assert world.value() != old


def test_a_program_that_does_not_exist_burns_the_nonce_too() -> None:
    world = Nonces()
    world.wait(1)
    sent, before = world.durable(Instruction(Pubkey.new_unique(), b"", [])), world.value()
    assert world.ledger.submit(sent) is None
    landing = world.ledger.landing(bytes(sent.signature))
    assert landing is not None
    assert landing.err == "ProgramAccountNotFound"
    assert world.value() != before


def test_a_nonce_is_not_used_in_the_block_that_gave_it_out() -> None:
    world = Nonces()
    assert world.ledger.submit(world.durable()) == "BlockhashNotFound"
    world.wait(1)
    assert world.ledger.submit(world.durable()) is None
    assert world.ledger.submit(world.durable()) == "BlockhashNotFound"


def test_an_ordinary_advance_works_once_a_block() -> None:
    world = Nonces()
    twice = [
        world.signed([world.advance()], world.payer),
        world.signed([world.advance(), world.advance()], world.payer),
    ]
    world.wait(1)
    before = world.value()
    assert world.ledger.submit(twice[0]) is None
    assert world.value() != before
    assert world.ledger.submit(twice[1]) is None
    landing = world.ledger.landing(bytes(twice[1].signature))
    assert landing is not None
    assert landing.err == {"InstructionError": [0, {"Custom": 7}]}  # the nonce was moved on in this block already


@pytest.mark.parametrize("spoiled", ["value", "authority", "second", "gone"])
def test_what_stands_on_no_nonce_is_not_admitted(spoiled: str) -> None:
    world = Nonces()
    world.wait(1)
    value = Hash.from_bytes(world.value())
    other = world.funded()
    moved = pay(world.payer, other.pubkey(), 1)
    if spoiled == "value":
        sent = world.durable(moved, value=bytes(31) + b"\x01")
    elif spoiled == "authority":
        sent = world.signed([world.advance(other), moved], world.payer, other, blockhash=value)
    elif spoiled == "second":
        sent = world.signed([moved, world.advance()], world.payer, blockhash=value)
    else:
        key = world.payer.pubkey()
        taken = withdraw_nonce_account(
            WithdrawNonceAccountParams(
                nonce_pubkey=world.nonce.pubkey(), authorized_pubkey=key, to_pubkey=key, lamports=NONCE_RENT
            )
        )
        sent = world.durable(moved)
        assert world.submit([taken], world.payer) is None
    assert world.ledger.submit(sent) == "BlockhashNotFound"


def test_simulating_a_durable_transaction_leaves_the_nonce_alone() -> None:
    world = Nonces()
    before = world.value()
    world.wait(1)
    sent = world.durable()
    found = world.ledger.simulate(sent, world.ledger.height("processed"))
    assert not isinstance(found, str)
    assert found.err is None
    assert world.value() == before
    index = found.keys.index(world.nonce.pubkey())
    after = read_nonce(found.after[index])
    assert after is not None
    assert after.value == value_after(world.ledger.blocks.latest_hash(world.ledger.blocks.height))

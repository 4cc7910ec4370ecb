"""The same bytes and the same money on the host and on the chain: every vector goes through the real ELF."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from settlement import Contract
from settlement.program import instructions
from settlement.program.accounts import Line
from settlement.program.events import Settled
from settlement.program.failures import Failure
from settlement.values import U64_MAX, ZERO
from tests.settlement.program import cheques
from tests.settlement.program.chain import PAYER, Chain
from tests.settlement.program.model import execute
from tests.settlement.program.model_money import is_spent, spend
from tests.settlement.program.model_terms import CONTRACT_TERMS
from tests.settlement.program.model_world import Clock, Refused
from tests.settlement.program.scene import BEGIN, keypair
from tests.settlement.terms import CONTRACT, contracts

if TYPE_CHECKING:
    from settlement.receipt import Receipt

_DOCUMENT: Final = json.loads((Path(__file__).parents[3] / "docs" / "contract-vectors.json").read_text())
_VECTORS: Final[list[dict[str, Any]]] = _DOCUMENT["vectors"]
_CONTRACTS: Final = {
    vector["name"]: Contract.decode(bytes.fromhex(vector["hex"]))
    for vector in _VECTORS
    if vector["layer"] == "contract" and vector["accept"]
}
_SPLITS: Final = [vector for vector in _VECTORS if vector["layer"] == "split"]
_REFUSED: Final = [
    vector
    for vector in _VECTORS
    if vector["layer"] == "contract" and not vector["accept"] and vector["field"] in CONTRACT_TERMS
]
_ARGUMENTS: Final = struct.Struct("<QQQQIIQqqqHI32s32s")
_BEFORE_ARGUMENTS: Final = 18 + 5 * 32 + 8


def chain_of(contract: Contract, **line_fields: Any) -> Chain:
    world = cheques.world_of(contract, **line_fields)
    return Chain(world, BEGIN, Pubkey.from_bytes(contract.venue.program_id))


def settled(chain: Chain, contract: Contract, receipt: Receipt) -> Settled:
    sent = chain.send(cheques.settle(contract, receipt))
    assert sent.failure is None, sent.said
    event = sent.events[-1]
    assert isinstance(event, Settled)
    return event


@pytest.mark.parametrize("vector", _SPLITS, ids=lambda vector: vector["name"])
def test_the_chain_splits_a_reserve_like_the_vectors(vector: dict[str, Any]) -> None:
    contract = _CONTRACTS[vector["contract"]]
    receipt = cheques.final_receipt(contract, int(vector["delivered_wh"]))
    chain = chain_of(contract)
    if contract.meter_key != ZERO:
        assert chain.send(cheques.settle(contract, receipt)).failure == (1, Failure.BAD_TERMS)
        return
    event = settled(chain, contract, receipt)
    assert event.trade_id == contract.trade_id
    split = {name: str(getattr(event, name)) for name in ("payout", "fee", "returned")}
    assert split == {name: vector[name] for name in split}
    assert str(event.reserved) == vector["reserve"]


@pytest.mark.parametrize("vector", _REFUSED, ids=lambda vector: vector["name"])
def test_the_chain_refuses_the_terms_that_the_host_refuses(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["hex"])
    if len(raw) != 328:
        pytest.skip("no contract has so many bytes, and no instruction so many arguments")
    terms = dict(zip(CONTRACT_TERMS, _ARGUMENTS.unpack_from(raw, _BEFORE_ARGUMENTS), strict=True))
    transaction = cheques.settle(CONTRACT, cheques.final_receipt(CONTRACT, 100), **terms)
    with pytest.raises(Refused) as refused:
        execute(cheques.world_of(CONTRACT), BEGIN, cheques.call_of(transaction))
    sent = chain_of(CONTRACT).send(transaction)
    assert sent.failure is not None
    assert sent.failure[0] == 1
    assert sent.failure[1] in refused.value.failures
    assert Failure.DIGEST_MISMATCH not in refused.value.failures


OTHER: Final[dict[str, Any]] = {
    "contract_no": CONTRACT.contract_no + 1,
    "battery_device_id": 5,
    "buyer_device_id": 6,
    "message_id": 7,
    "price_e4": 300_000,
    "energy_wh": 2_600,
    "base_units_per_cent": 10_001,
    "starts_at_s": CONTRACT.starts_at_s + 1,
    "ends_at_s": CONTRACT.ends_at_s + 1,
    "valid_until_s": CONTRACT.valid_until_s + 1,
    "fee_bps": 49,
    "dispute_window_s": 1,
    "resolver": bytes([77]) * 32,
    "delivered_wh": 1,
    "started_at_s": CONTRACT.starts_at_s + 1,
    "ended_at_s": CONTRACT.ends_at_s + 1,
    "evidence": bytes(32),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_was_not_signed_is_not_settled(name: str) -> None:
    receipt = cheques.final_receipt(CONTRACT, 1_000)
    sent = chain_of(CONTRACT).send(cheques.settle(CONTRACT, receipt, **{name: OTHER[name]}))
    assert sent.failure == (1, Failure.DIGEST_MISMATCH)


def test_a_line_opened_again_takes_no_old_receipt() -> None:
    receipt = cheques.final_receipt(CONTRACT, 1_000)
    chain = chain_of(CONTRACT, generation=CONTRACT.generation + 1)
    assert chain.send(cheques.settle(CONTRACT, receipt)).failure == (1, Failure.DIGEST_MISMATCH)


def test_another_cluster_takes_no_receipt() -> None:
    world = cheques.world_of(CONTRACT)
    config = bytes(cheques.accounts_of(CONTRACT)["config"])
    there = world.at(config)
    foreign = bytearray(there.data.encode())
    foreign[-1] ^= 1
    kind = type(there.data)
    world = world.with_account(config, there._replace(data=kind.decode(bytes(foreign))))  # type: ignore[union-attr]
    chain = Chain(world, BEGIN, Pubkey.from_bytes(CONTRACT.venue.program_id))
    receipt = cheques.final_receipt(CONTRACT, 1_000)
    assert chain.send(cheques.settle(CONTRACT, receipt)).failure == (1, Failure.DIGEST_MISMATCH)


@settings(max_examples=60, deadline=None)
@given(contract=contracts().filter(lambda contract: contract.meter_key == ZERO), delivered=st.integers(0, U64_MAX))
def test_any_contract_is_settled_to_the_base_unit(contract: Contract, delivered: int) -> None:
    venue = contract.venue
    assume(len({venue.program_id, venue.mint, contract.battery_wallet, contract.buyer_wallet}) == 4)
    receipt = cheques.final_receipt(contract, delivered)
    event = settled(chain_of(contract), contract, receipt)
    assert (event.payout, event.fee, event.returned) == tuple(contract.split(delivered))
    assert event.delivered_wh == min(delivered, contract.energy_wh)


@settings(max_examples=40, deadline=None)
@given(
    base_no=st.integers(0, U64_MAX - 600),
    free=st.sets(st.integers(0, 255), max_size=6),
    dense=st.booleans(),
    offset=st.integers(-2, 258),
)
def test_the_window_of_numbers_moves_alike(base_no: int, free: set[int], dense: bool, offset: int) -> None:
    bits = sum(1 << place for place in free)
    used = (((1 << 256) - 1) ^ bits if dense else bits) & ~1
    battery = keypair("wallet", 3)
    contract = Contract(**{**_terms(CONTRACT), "battery_wallet": bytes(battery.pubkey())})
    fields: dict[str, Any] = {"base_no": base_no, "used": used.to_bytes(32, "little")}
    world = cheques.world_of(contract, **fields)
    where = cheques.accounts_of(contract)["line"]
    line = world.at(bytes(where)).data
    assert isinstance(line, Line)
    chain = Chain(world, BEGIN, Pubkey.from_bytes(contract.venue.program_id))
    number = max(0, base_no + offset)
    void = instructions.void(chain.program, battery_wallet=battery.pubkey(), line=where, contract_no=number)
    sent = chain.send([void], [battery])
    try:
        expected = None if is_spent(line, number) else spend(line, number)
    except Refused:
        assert sent.failure == (0, Failure.NUMBER_OUT_OF_WINDOW)
        return
    assert sent.failure == (None if expected else (0, Failure.NUMBER_USED))
    there = chain.svm.get_account(where)
    assert there is not None
    assert Line.decode(there.data) == (expected or line)


@pytest.mark.parametrize("name", ["settle", "claim"])
def test_a_relayed_transaction_fits_into_a_packet_with_its_budget(name: str) -> None:
    """Two signatures by precompile, a payer who is no party, limit and price of compute units, no lookup table."""
    receipt = cheques.final_receipt(CONTRACT, 1_000)
    of_trade = cheques.settle(CONTRACT, receipt)
    if name == "claim":
        of_trade = cheques.claim(CONTRACT, receipt, PAYER.pubkey())
    transaction = [set_compute_unit_limit(30_000), set_compute_unit_price(10_000), *of_trade]
    message = MessageV0.try_compile(PAYER.pubkey(), transaction, [], Hash.default())
    assert len(bytes(VersionedTransaction(message, [PAYER]))) <= 1_232
    chain = chain_of(CONTRACT)
    chain.set_clock(Clock(CONTRACT.ends_at_s, BEGIN.slot))
    assert chain.send(transaction).failure is None


def test_a_claim_of_the_vectors_is_paid_after_its_window() -> None:
    receipt = cheques.final_receipt(CONTRACT, 1_234)
    chain = chain_of(CONTRACT)
    chain.set_clock(Clock(CONTRACT.ends_at_s, BEGIN.slot))
    claimed = chain.send(cheques.claim(CONTRACT, receipt, PAYER.pubkey()))
    assert claimed.failure is None, claimed.said
    chain.set_clock(Clock(CONTRACT.ends_at_s + CONTRACT.dispute_window_s, BEGIN.slot))
    final = instructions.finalize(chain.program, **_ending(), rent_payer=PAYER.pubkey())
    event = chain.send([final]).events[-1]
    assert isinstance(event, Settled)
    assert (event.payout, event.fee, event.returned) == tuple(CONTRACT.split(1_234))


def _ending() -> dict[str, Pubkey]:
    return {name: key for name, key in cheques.accounts_of(CONTRACT).items() if name != "config"}


def _terms(contract: Contract) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in contract.__dataclass_fields__}

"""Consent by precompile: nothing counts but the one layout, the right keys and the right bytes (reference B.3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction

from settlement import IdentityKey
from settlement.program.failures import Failure
from settlement.signing import SignatureKind, signed_bytes
from tests.settlement.program.bench import Bench, RefusedError, refused
from tests.settlement.program.pieces import ED25519, INSTRUCTIONS, Entry, ed25519, ed25519_data, entry, keypair

if TYPE_CHECKING:
    from settlement import Contract, Receipt

STRANGER = IdentityKey(bytes([33]) * 32)


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


class Deal:
    """A contract, its final receipt, and what both sign."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.contract: Contract = bench.contract()
        self.receipt: Receipt = bench.receipt(self.contract)
        self.battery = entry(SignatureKind.RECEIPT, self.receipt.digest, bench.battery.identity)
        self.buyer = entry(SignatureKind.RECEIPT, self.receipt.digest, bench.buyer.identity)

    def settle(self, *before: Instruction, present: tuple[str, ...] = (), **passed: Any) -> None:
        call = self.bench.settle_call(self.contract, self.receipt, present, **passed)
        self.bench.send(*before, call, signers=[each.wallet for each in self.bench.parties(present)])


@pytest.fixture
def deal(bench: Bench) -> Deal:
    return Deal(bench)


def _signed(bench: Bench, receipt: Receipt) -> list[Entry]:
    return [entry(SignatureKind.RECEIPT, receipt.digest, each.identity) for each in (bench.battery, bench.buyer)]


def _raw(data: bytes, accounts: list[AccountMeta] | None = None) -> Instruction:
    return Instruction(ED25519, data, accounts or [])


def test_the_one_layout_is_taken(deal: Deal) -> None:
    deal.settle(ed25519(deal.battery, deal.buyer))


@pytest.mark.parametrize("count", [1, 2])
def test_no_signature_at_all(deal: Deal, count: int) -> None:
    with refused(Failure.SIGNATURE_MISSING):
        deal.settle(present=("buyer",) if count == 1 else ())


def test_another_instruction_before(deal: Deal) -> None:
    void = deal.bench.call("void", contract_no=9)
    with refused(Failure.SIGNATURE_MISSING):
        deal.bench.send(
            ed25519(deal.battery, deal.buyer),
            void,
            deal.bench.settle_call(deal.contract, deal.receipt),
            signers=[deal.bench.battery.wallet],
        )


def test_the_precompile_after_instead_of_before(deal: Deal) -> None:
    with refused(Failure.SIGNATURE_MISSING):
        deal.bench.send(deal.bench.settle_call(deal.contract, deal.receipt), ed25519(deal.battery, deal.buyer))


def test_it_is_the_instruction_before_and_not_the_first(deal: Deal) -> None:
    """Two trades in one transaction: each has its own precompile instruction right before it."""
    other = Deal(deal.bench)
    other.contract = deal.bench.contract(contract_no=1)
    other.receipt = deal.bench.receipt(other.contract)
    proofs = [
        entry(SignatureKind.RECEIPT, other.receipt.digest, each.identity)
        for each in (deal.bench.battery, deal.bench.buyer)
    ]
    calls = [deal.bench.settle_call(each.contract, each.receipt, ["buyer"]) for each in (deal, other)]
    deal.bench.send(ed25519(deal.battery), calls[0], ed25519(proofs[0]), calls[1], signers=[deal.bench.buyer.wallet])
    with refused(Failure.DIGEST_MISMATCH):
        deal.bench.send(ed25519(proofs[0]), calls[1], ed25519(proofs[0]), calls[0], signers=[deal.bench.buyer.wallet])


def test_one_signature_where_two_are_needed(deal: Deal) -> None:
    for only in (deal.battery, deal.buyer):
        with refused(Failure.SIGNATURE_LAYOUT):
            deal.settle(ed25519(only))


def test_two_signatures_where_one_is_needed(deal: Deal) -> None:
    with refused(Failure.SIGNATURE_LAYOUT):
        deal.settle(ed25519(deal.battery, deal.buyer), present=("buyer",))


def test_the_parties_in_the_other_order(deal: Deal) -> None:
    with refused(Failure.DIGEST_MISMATCH):
        deal.settle(ed25519(deal.buyer, deal.battery))


def test_one_party_twice(deal: Deal) -> None:
    for each in (deal.battery, deal.buyer):
        with refused(Failure.DIGEST_MISMATCH):
            deal.settle(ed25519(each, each))


def test_a_strangers_signature(deal: Deal) -> None:
    forged = entry(SignatureKind.RECEIPT, deal.receipt.digest, STRANGER)
    for pair in ((deal.battery, forged), (forged, deal.buyer)):
        with refused(Failure.DIGEST_MISMATCH):
            deal.settle(ed25519(*pair))


def test_the_wallets_signature_is_not_the_signing_keys(deal: Deal) -> None:
    wallet = deal.bench.battery.wallet
    message = signed_bytes(SignatureKind.RECEIPT, deal.receipt.digest)
    by_wallet = Entry(bytes(wallet.pubkey()), bytes(wallet.sign_message(message)), message)
    with refused(Failure.DIGEST_MISMATCH):
        deal.settle(ed25519(by_wallet, deal.buyer))


@pytest.mark.parametrize("kind", [SignatureKind.CONTRACT, SignatureKind.REGISTRATION, SignatureKind.BINDING])
def test_signatures_of_another_kind(deal: Deal, kind: SignatureKind) -> None:
    proofs = [entry(kind, deal.receipt.digest, each.identity) for each in (deal.bench.battery, deal.bench.buyer)]
    with refused(Failure.DIGEST_MISMATCH):
        deal.settle(ed25519(*proofs))


def test_signatures_over_another_delivery(deal: Deal) -> None:
    less = deal.bench.receipt(deal.contract, 1)
    proofs = [
        entry(SignatureKind.RECEIPT, less.digest, each.identity) for each in (deal.bench.battery, deal.bench.buyer)
    ]
    with refused(Failure.DIGEST_MISMATCH):
        deal.settle(ed25519(*proofs))


def test_a_signature_that_does_not_hold_fails_in_the_precompile(deal: Deal) -> None:
    wrong = deal.buyer._replace(signature=bytes(64))
    with refused(None):
        deal.settle(ed25519(deal.battery, wrong))


def test_an_empty_precompile_instruction(deal: Deal) -> None:
    """The precompile accepts a count of 0."""
    for data in (b"\0\0", b"\0\0" + ed25519_data([deal.battery, deal.buyer])[2:]):
        with pytest.raises(RefusedError):
            deal.settle(_raw(data))


def test_padding_says_nothing(deal: Deal) -> None:
    data = bytearray(ed25519_data([deal.battery, deal.buyer]))
    data[1] = 1
    with refused(Failure.SIGNATURE_LAYOUT):
        deal.settle(_raw(bytes(data)))


def test_bytes_too_many(deal: Deal) -> None:
    with refused(Failure.SIGNATURE_LAYOUT):
        deal.settle(_raw(ed25519_data([deal.battery, deal.buyer]) + b"\0"))


def test_accounts_of_the_precompile_instruction(deal: Deal) -> None:
    """They would move what follows them in the sysvar."""
    extra = [AccountMeta(deal.bench.battery.key, is_signer=False, is_writable=False)]
    with refused(Failure.SIGNATURE_LAYOUT):
        deal.settle(_raw(ed25519_data([deal.battery, deal.buyer]), extra))


@pytest.mark.parametrize("field", range(7))
@pytest.mark.parametrize("at", [0, 1])
def test_every_offset_is_the_canonical_one(deal: Deal, at: int, field: int) -> None:
    """The same bytes stand twice in the data, so the precompile is content with either place; the program is not."""
    data = ed25519_data([deal.battery, deal.buyer])
    head = [list(struct.unpack_from("<HHHHHHH", data, 2 + 14 * index)) for index in (0, 1)]
    moved = len(data)
    if field in (1, 3, 6):
        head[at][field] = 0
    elif field == 5:
        head[at][field] = 46
    else:
        head[at][field] += moved - 30
    packed = data[:2] + b"".join(struct.pack("<HHHHHHH", *each) for each in head) + data[30:]
    with pytest.raises(RefusedError) as caught:
        deal.settle(_raw(packed + data[30:]))
    assert caught.value.failure in (Failure.SIGNATURE_LAYOUT, None)


@pytest.mark.parametrize("field", [1, 3, 6])
def test_an_index_of_the_same_instruction_is_not_the_same(deal: Deal, field: int) -> None:
    """0xFFFF means this instruction, and so does its own number; only the first can never mean another one."""
    data = ed25519_data([deal.battery, deal.buyer])
    own = data[: 2 + 2 * field] + struct.pack("<H", 0) + data[4 + 2 * field :]
    with refused(Failure.SIGNATURE_LAYOUT):
        deal.settle(_raw(own))


def test_offsets_into_another_instruction(deal: Deal) -> None:
    """The redirect: good signatures elsewhere, and in the place that we read what was never signed."""
    good = ed25519_data([deal.battery, deal.buyer])
    lie = deal.bench.receipt(deal.contract, 1)
    unsigned = signed_bytes(SignatureKind.RECEIPT, lie.digest)
    head = good[:2]
    for index in (0, 1):
        sig, _, key, _, text, size, _ = struct.unpack_from("<HHHHHHH", good, 2 + 14 * index)
        head += struct.pack("<HHHHHHH", sig, 0, key, 0, text, size, 0)
    forged = head + good[30 : 30 + 192] + unsigned
    call = deal.bench.settle_call(deal.contract, lie)
    with refused(Failure.SIGNATURE_LAYOUT):
        deal.bench.send(_raw(good), _raw(forged), call)


def test_a_spoofed_instructions_sysvar(deal: Deal) -> None:
    fake = keypair("fake sysvar").pubkey()
    real = ed25519_data([deal.battery, deal.buyer])
    body = struct.pack("<H", 0) + bytes(ED25519) + struct.pack("<H", len(real)) + real
    deal.bench.set(fake, ED25519, struct.pack("<HHH", 2, 6, 6) + body + struct.pack("<H", 1))
    with refused(Failure.BAD_ACCOUNT):
        deal.settle(instructions=fake)


def test_the_instructions_sysvar_may_be_absent_only_when_both_are_there(deal: Deal) -> None:
    with refused(Failure.BAD_ACCOUNT):
        deal.settle(ed25519(deal.battery, deal.buyer), instructions=None)
    deal.settle(present=("battery", "buyer"), instructions=None)


def test_wallets_that_sign_need_no_precompile(deal: Deal) -> None:
    deal.settle(ed25519(deal.battery), present=("buyer",))


def test_a_claim_needs_the_buyers_contract_signature_always(bench: Bench) -> None:
    deal = Deal(bench)
    bench.wait(3_600)
    said = entry(SignatureKind.RECEIPT, deal.receipt.digest, bench.battery.identity)
    agreed = entry(SignatureKind.CONTRACT, deal.contract.trade_id, bench.buyer.identity)
    receipt_by_buyer = entry(SignatureKind.RECEIPT, deal.receipt.digest, bench.buyer.identity)
    by_battery = entry(SignatureKind.CONTRACT, deal.contract.trade_id, bench.battery.identity)
    call = bench.claim_call(deal.contract, deal.receipt)
    for proofs, failure in (
        ((said,), Failure.SIGNATURE_LAYOUT),
        ((agreed,), Failure.SIGNATURE_LAYOUT),
        ((agreed, said), Failure.DIGEST_MISMATCH),
        ((said, receipt_by_buyer), Failure.SIGNATURE_LAYOUT),
        ((by_battery, agreed), Failure.SIGNATURE_LAYOUT),
        ((said, by_battery), Failure.DIGEST_MISMATCH),
    ):
        with refused(failure):
            bench.send(ed25519(*proofs), call)
    wallet = bench.claim_call(deal.contract, deal.receipt, ["battery"])
    with refused(Failure.SIGNATURE_MISSING):
        bench.send(wallet, signers=[bench.battery.wallet])
    bench.send(ed25519(agreed), wallet, signers=[bench.battery.wallet])


def test_a_claim_whose_receipt_another_signed(bench: Bench) -> None:
    """Nobody but the battery says what is claimed: the contract's signature alone locks nothing."""
    deal = Deal(bench)
    bench.wait(3_600)
    forged = entry(SignatureKind.RECEIPT, deal.receipt.digest, STRANGER)
    agreed = entry(SignatureKind.CONTRACT, deal.contract.trade_id, bench.buyer.identity)
    with refused(Failure.DIGEST_MISMATCH):
        bench.send(ed25519(forged, agreed), bench.claim_call(deal.contract, deal.receipt))


_SHARED: list[Bench] = []


def _shared() -> Bench:
    if not _SHARED:
        _SHARED.append(Bench.ready())
    return _SHARED[0]


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, 268), bit=st.integers(0, 7))
def test_no_single_bit_may_differ(at: int, bit: int) -> None:
    bench = _shared()
    deal = Deal(bench)
    data = bytearray(ed25519_data([deal.battery, deal.buyer]))
    assert len(data) == 269
    data[at] ^= 1 << bit
    with pytest.raises(RefusedError):
        bench.send(_raw(bytes(data)), bench.settle_call(deal.contract, deal.receipt, instructions=INSTRUCTIONS))
    assert bench.line_account().base_no == 0


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(at=st.integers(8, 205), bit=st.integers(0, 7))
def test_no_bit_of_what_was_agreed_may_differ(at: int, bit: int) -> None:
    """Every bit of terms and delivery is under both signatures."""
    bench = _shared()
    deal = Deal(bench)
    call = bench.settle_call(deal.contract, deal.receipt)
    data = bytearray(call.data)
    data[at] ^= 1 << bit
    with pytest.raises(RefusedError):
        bench.send(ed25519(deal.battery, deal.buyer), Instruction(bench.program, bytes(data), call.accounts))
    assert bench.line_account().base_no == 0

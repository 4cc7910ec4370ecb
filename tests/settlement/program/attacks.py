"""What a hostile sender does to a good transaction. An attack is a value: its name and two numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from tests.settlement.program.model_consent import ENTRY, ed25519_data
from tests.settlement.program.model_world import ED25519, INSTRUCTIONS, SYSTEM, TOKEN
from tests.settlement.program.scene import AT, PROGRAM, keypair
from tests.settlement.program.steps import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.settlement.program.model_world import World

Proofs: TypeAlias = list[tuple[bytes, bytes, bytes]]
"""Key, signature and message of each entry of an Ed25519 instruction."""
_FIXED: Final = (INSTRUCTIONS, SYSTEM, TOKEN, bytes(PROGRAM), bytes(AT.event_authority()), ED25519)


def apply(attack: tuple[str, int, int] | None, instructions: list[Instruction], world: World) -> list[Instruction]:
    """Return the transaction after an attack; None leaves it as it is."""
    if attack is None:
        return instructions
    name, one, other = attack
    return ATTACKS[name](list(instructions), one, other, world)


def _with_accounts(instructions: list[Instruction], metas: list[AccountMeta]) -> list[Instruction]:
    last = instructions[-1]
    return [*instructions[:-1], Instruction(last.program_id, bytes(last.data), metas)]


def _with_data(instructions: list[Instruction], index: int, data: bytes) -> list[Instruction]:
    there = instructions[index]
    instructions[index] = Instruction(there.program_id, data, there.accounts)
    return instructions


def _swap(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """Another account in one place."""
    pool = sorted({*world.accounts, *_FIXED})
    metas = list(instructions[-1].accounts)
    at = one % len(metas)
    key = Pubkey.from_bytes(pool[other % len(pool)])
    metas[at] = AccountMeta(key, is_signer=False, is_writable=metas[at].is_writable)
    return _with_accounts(instructions, metas)


def _same_kind(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """Another account of the same kind in one place: somebody else's Line, vault, Participant."""
    metas = list(instructions[-1].accounts)
    at = one % len(metas)
    kind = type(world.at(bytes(metas[at].pubkey)).data)
    pool = sorted(key for key, account in world.accounts.items() if type(account.data) is kind)
    if pool:
        key = Pubkey.from_bytes(pool[other % len(pool)])
        metas[at] = AccountMeta(key, is_signer=False, is_writable=metas[at].is_writable)
    return _with_accounts(instructions, metas)


def _exchange(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """Two accounts in each other's place."""
    metas = list(instructions[-1].accounts)
    first, second = one % len(metas), other % len(metas)
    metas[first], metas[second] = (
        AccountMeta(metas[second].pubkey, metas[second].is_signer, metas[first].is_writable),
        AccountMeta(metas[first].pubkey, metas[first].is_signer, metas[second].is_writable),
    )
    return _with_accounts(instructions, metas)


def _twice(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """One account in two places."""
    metas = list(instructions[-1].accounts)
    source, target = metas[one % len(metas)], other % len(metas)
    metas[target] = AccountMeta(source.pubkey, source.is_signer, metas[target].is_writable)
    return _with_accounts(instructions, metas)


def _unsigned(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """Nobody signs."""
    metas = [AccountMeta(meta.pubkey, False, meta.is_writable) for meta in instructions[-1].accounts]
    return _with_accounts(instructions, metas)


def _stranger(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """A stranger signs where a wallet must."""
    key = keypair("stranger").pubkey()
    metas = [AccountMeta(key, True, m.is_writable) if m.is_signer else m for m in instructions[-1].accounts]
    return _with_accounts(instructions, metas)


def _fewer(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The last accounts are missing."""
    metas = list(instructions[-1].accounts)
    return _with_accounts(instructions, metas[: one % len(metas)])


def _bit(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """One bit of the arguments is another."""
    data = bytearray(instructions[-1].data)
    data[one % len(data)] ^= 1 << other % 8
    return _with_data(instructions, -1, bytes(data))


def _length(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The arguments are longer or shorter."""
    data = bytes(instructions[-1].data)
    longer = data + bytes(1 + one % 40)
    return _with_data(instructions, -1, longer if other % 2 else data[: one % len(data)])


def _proof_bit(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """One bit of the Ed25519 instruction is another."""
    if len(instructions) < 2:
        return instructions
    data = bytearray(instructions[0].data)
    data[one % len(data)] ^= 1 << other % 8
    return _with_data(instructions, 0, bytes(data))


def _proof_moved(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The Ed25519 instruction is longer than it must be; what it refers to has moved with it."""
    if len(instructions) < 2:
        return instructions
    return _with_data(instructions, 0, bytes(instructions[0].data) + bytes(1 + one % 50))


def _proofs(data: bytes) -> Proofs:
    """Return key, signature and message of each entry of an Ed25519 instruction as we write it."""
    found = []
    for index in range(data[0]):
        signature, _, key, _, message, size, _ = ENTRY.unpack_from(data, 2 + ENTRY.size * index)
        found.append((data[key : key + 32], data[signature : signature + 64], data[message : message + size]))
    return found


def _other_proofs(instructions: list[Instruction], change: Callable[[Proofs], Proofs]) -> list[Instruction]:
    if len(instructions) < 2:
        return instructions
    return _with_data(instructions, 0, ed25519_data(change(_proofs(bytes(instructions[0].data)))))


def _proof_order(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The proofs stand in the other order."""
    return _other_proofs(instructions, lambda proofs: proofs[::-1])


def _proof_doubled(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """One proof stands there twice: a count that fits, and one party missing."""
    return _other_proofs(instructions, lambda proofs: [proofs[one % len(proofs)]] * (1 + other % 2) + proofs[1:])


def _proof_fewer(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """One proof of two, and it holds."""
    return _other_proofs(instructions, lambda proofs: [proofs[one % len(proofs)]])


def _proof_of_else(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The right key has signed, in earnest, something of another kind, version or domain."""

    def change(proofs: Proofs) -> Proofs:
        changed = []
        for key, signature, message in proofs:
            said = bytearray(message)
            said[(13, 14, 0, 46)[one % 4]] ^= 1 + other % 3
            signer = KEYS.get(key)
            held = (key, bytes(signer.sign_message(bytes(said))), bytes(said)) if signer else (key, signature, message)
            changed.append(held)
        return changed

    return _other_proofs(instructions, change)


def _proof_by_index(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The entries refer to their own instruction by its index, which the precompile takes."""
    if len(instructions) < 2:
        return instructions
    data = bytearray(instructions[0].data)
    fields = (1, 3, 6) if other % 2 else ((1, 3, 6)[one % 3],)
    for index in range(data[0]):
        for place in fields:
            at = 2 + ENTRY.size * index + 2 * place
            data[at : at + 2] = bytes(2)
    return _with_data(instructions, 0, bytes(data))


def _no_proof(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """There is no Ed25519 instruction."""
    return instructions[-1:]


def _empty_proof(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The Ed25519 instruction proves nothing: count 0, which the precompile takes."""
    return [Instruction(Pubkey.from_bytes(ED25519), bytes(2), []), instructions[-1]]


def _proof_elsewhere(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """Something stands between the proof and the instruction."""
    payer = keypair("payer of fees").pubkey()
    nothing = transfer(TransferParams(from_pubkey=payer, to_pubkey=payer, lamports=0))
    return [*instructions[:-1], nothing, instructions[-1]]


def _again(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The same twice in one transaction."""
    return [*instructions, *instructions]


def _proof_shared(instructions: list[Instruction], one: int, other: int, world: World) -> list[Instruction]:
    """The same twice, the second time without a proof of its own."""
    return [*instructions, instructions[-1]]


ATTACKS: Final[dict[str, Callable[[list[Instruction], int, int, World], list[Instruction]]]] = {
    "swap": _swap,
    "same kind": _same_kind,
    "exchange": _exchange,
    "twice": _twice,
    "unsigned": _unsigned,
    "stranger": _stranger,
    "fewer": _fewer,
    "bit": _bit,
    "length": _length,
    "proof bit": _proof_bit,
    "proof moved": _proof_moved,
    "proof order": _proof_order,
    "proof doubled": _proof_doubled,
    "proof fewer": _proof_fewer,
    "proof of else": _proof_of_else,
    "proof by index": _proof_by_index,
    "no proof": _no_proof,
    "empty proof": _empty_proof,
    "proof elsewhere": _proof_elsewhere,
    "again": _again,
    "proof shared": _proof_shared,
}

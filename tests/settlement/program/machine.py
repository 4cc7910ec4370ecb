"""The walk's machine: it takes steps, asks the model what must come of each, and holds the real program to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from settlement.program.codec import Record
from settlement.program.events import Settled
from settlement.program.failures import Failure
from settlement.program.schema import CALLS
from tests.settlement.program.attacks import apply
from tests.settlement.program.drafts import BUILDERS
from tests.settlement.program.invariants import History
from tests.settlement.program.model import execute, is_money
from tests.settlement.program.model_consent import ed25519_data, precompile_takes
from tests.settlement.program.model_world import ED25519, NOTHING, Call, Meta, Plain, Refused, Token, World
from tests.settlement.program.scene import AT, BEGIN, PROGRAM, before, keypair, mint_account, payee, token, wallet
from tests.settlement.program.steps import KEYS, State, Step, agree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solders.keypair import Keypair

    from tests.settlement.program.chain import Chain, Sent
    from tests.settlement.program.steps import Draft

_NAME_BY_TAG: Final = {shape.discriminator: shape.name for shape in CALLS}
_OURS: Final = range(min(Failure), max(Failure) + 1)
_NAMES: Final = [("wallet", n) for n in range(6)] + [("resolver", 0), ("resolver", 1), ("admin", 0), ("admin", 1)]
SIGNERS: Final = {
    bytes(pair.pubkey()): pair
    for pair in [keypair(*name) for name in (*_NAMES, ("stranger", 0), ("relay", 0))] + list(KEYS.values())
}
PAYER: Final = keypair("payer of fees")


class Expected(NamedTuple):
    """What the model says of a transaction."""

    world: World
    events: tuple[Record, ...] = ()
    failure: tuple[int, frozenset[Failure | None]] | None = None


class Machine:
    """A world and, when there is one, the chain that must hold the same."""

    def __init__(self, chain: Chain | None) -> None:
        self.state = State(before(), BEGIN)
        self.chain = chain
        self.history = History()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.steps = 0
        self.ended: Settled | None = None
        """The last end of a trade."""

    def take(self, step: Step) -> None:
        """Take one step. Raises AssertionError where model, chain and invariants disagree."""
        self.steps += 1
        if step.name in _HAPPENINGS:
            _HAPPENINGS[step.name](self, step.values)
            return
        if step.name == "agree":
            agree(self.state, step.values)
            return
        transaction = []
        for each in step.values["steps"] if step.name == "together" else [step]:
            draft = BUILDERS[each.name](self.state, each.values)
            if draft is not None:
                attack = each.values.get("attack")
                transaction += apply(attack, instructions_of(draft), self.state.world)
        if transaction:
            self._send(step, transaction)

    def _send(self, step: Step, instructions: list[Instruction]) -> None:
        signers = signers_of(instructions)
        expected = self._expect(instructions)
        if self.chain is not None:
            self._compare(expected, self.chain.send(instructions, signers))
        self.outcomes[step.name, _said(expected)] += 1
        names = [name_of(each) for each in instructions if each.program_id == PROGRAM]
        self.history.check(self.state.world, expected.world, names, expected.events, self.state.book.values())
        self.state.world = expected.world
        self.ended = next((event for event in expected.events if isinstance(event, Settled)), self.ended)

    def _expect(self, instructions: list[Instruction]) -> Expected:
        world, events = self.state.world, list[Record]()
        datas = [bytes(each.data) for each in instructions]
        for index, each in enumerate(instructions):
            if bytes(each.program_id) == ED25519 and not precompile_takes(datas, index):
                return Expected(self.state.world, failure=(index, frozenset((None,))))
            if each.program_id != PROGRAM:
                continue
            before_ours = instructions[index - 1] if index else None
            proof = (bytes(before_ours.program_id), bytes(before_ours.data)) if before_ours else None
            call = Call(
                metas=metas_of(each, instructions),
                data=bytes(each.data),
                before=proof,
            )
            try:
                done = execute(world, self.state.clock, call)
            except Refused as refused:
                return Expected(self.state.world, failure=(index, refused.failures))
            world = done.world
            events += done.events
        return Expected(world, tuple(events))

    def _compare(self, expected: Expected, sent: Sent) -> None:
        assert self.chain is not None
        if expected.failure is None:
            assert sent.failure is None, f"the chain refused ({sent.said}) what the model does"
        else:
            assert sent.failure is not None, f"the chain did what the model refuses ({_said(expected)})"
            index, number = sent.failure
            got = Failure(number) if number is not None and number in _OURS else None
            said = f"the chain refused with {sent.said}, the model with {_said(expected)} at {expected.failure[0]}"
            assert index == expected.failure[0], said
            assert got in expected.failure[1], said
        # Those by instruction come first on both sides, then those of the log.
        events = sorted(expected.events, key=lambda event: not is_money(event))
        assert list(sent.events) == events, f"the chain told {sent.events}, the model {events}"
        differences = self.chain.differences(expected.world)
        assert not differences, "\n".join(differences)

    def put(self, address: bytes, world: World) -> None:
        """Let the world be another one at an address, on the chain too."""
        self.state.world = world
        if self.chain is not None:
            self.chain.put(address, world.at(address))


def instructions_of(draft: Draft) -> list[Instruction]:
    """Return what goes into the transaction: the proofs, if there are any, right before the instruction."""
    if not draft.proofs:
        return [draft.instruction]
    data = ed25519_data([(bytes(k.pubkey()), bytes(k.sign_message(m)), m) for k, m in draft.proofs])
    return [Instruction(Pubkey.from_bytes(ED25519), data, []), draft.instruction]


def signers_of(instructions: Sequence[Instruction]) -> list[Keypair]:
    """Return the keys of all accounts that are said to sign."""
    names = {bytes(meta.pubkey) for each in instructions for meta in each.accounts if meta.is_signer}
    return [SIGNERS[name] for name in sorted(names - {bytes(PAYER.pubkey())})]


def metas_of(one: Instruction, instructions: Sequence[Instruction]) -> tuple[Meta, ...]:
    """Return an instruction's accounts as the runtime passes them: what signs or is writable is so in all places."""
    everywhere = [meta for each in instructions for meta in each.accounts]
    signed = {meta.pubkey for meta in everywhere if meta.is_signer} | {PAYER.pubkey()}
    written = {meta.pubkey for meta in everywhere if meta.is_writable}
    return tuple(Meta(bytes(m.pubkey), m.pubkey in signed, m.pubkey in written) for m in one.accounts)


def name_of(one: Instruction) -> str:
    """Return the name of an instruction of the program, empty for one that it does not have."""
    tag = bytes(one.data)[:8]
    return _NAME_BY_TAG.get(tag, "")


def _said(expected: Expected) -> str:
    if expected.failure is None:
        return "done" if expected.events else "done without events"
    return "/".join(sorted("elsewhere" if each is None else each.name for each in expected.failure[1]))


# What happens beside the program


def _tick(machine: Machine, values: dict[str, Any]) -> None:
    clock = machine.state.clock
    machine.state.clock = clock._replace(now=clock.now + values["s"], slot=clock.slot + values["slots"])
    if machine.chain is not None:
        machine.chain.set_clock(machine.state.clock)


def _disturb(machine: Machine, values: dict[str, Any]) -> None:
    """Freeze, thaw, close or replace a battery's token account, or freeze a vault."""
    person, number, world = values["person"], values["mint"], machine.state.world
    where = bytes(payee(person, number))
    if values["kind"] in ("vault frozen", "vault thawed"):
        where = bytes(AT.vault(AT.escrow(wallet(person), _mint(number))))
    there = world.at(where)
    amount = getattr(there.data, "amount", 0)
    owner, mint_key = bytes(wallet(person)), bytes(_mint(number))
    whole = token(owner, mint_key, amount)
    after = {
        "frozen": token(owner, mint_key, amount, frozen=True),
        "thawed": whole,
        "closed": NOTHING,
        "of another": token(bytes(wallet((person + 1) % 6)), mint_key, amount),
        "of another mint": token(owner, bytes(_mint(1 - number)), amount),
        "a mint": mint_account(0),
        "lamports": NOTHING._replace(lamports=10**9),
    }.get(values["kind"])
    if after is None:
        if not isinstance(there.data, Token):
            return
        after = there._replace(data=there.data._replace(frozen=values["kind"] == "vault frozen"))
    machine.put(where, world.with_account(where, after))
    machine.history.forget_sums()


def _prefund(machine: Machine, values: dict[str, Any]) -> None:
    """Let somebody send lamports to an address of the program before, or while, there is an account."""
    buyer, battery = wallet(values["buyer"]), wallet(values["battery"])
    escrow = AT.escrow(buyer, _mint(values["mint"]))
    agreed = machine.state.book.get(values.get("trade", -1))
    where = {
        "escrow": escrow,
        "vault": AT.vault(escrow),
        "line": AT.line(escrow, battery),
        "unpaid": AT.unpaid(battery, escrow),
        "participant": AT.participant(battery),
        "trade": AT.trade(agreed.contract.trade_id if agreed else bytes(32)),
    }[values["what"]]
    account = machine.state.world.at(bytes(where))
    more = account._replace(lamports=account.lamports + values["lamports"])
    machine.put(bytes(where), machine.state.world.with_account(bytes(where), more))


def _forge(machine: Machine, values: dict[str, Any]) -> None:
    """Let an account with the very bytes of one of ours stand elsewhere, owned by another program."""
    ours = sorted(machine.state.world.accounts.items())
    account = ours[values["of"] % len(ours)][1]
    where = bytes(keypair("forged", values["to"]).pubkey())
    forged = account._replace(owner=bytes(keypair("other program").pubkey()), data=Plain(account.data.encode()))
    if forged.lamports:
        machine.put(where, machine.state.world.with_account(where, forged))


def _mint(number: int) -> Pubkey:
    return keypair("mint", number).pubkey()


_HAPPENINGS: Final = {"tick": _tick, "disturb": _disturb, "prefund": _prefund, "forge": _forge}

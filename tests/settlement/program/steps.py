"""Steps of the random walk: values that say who does what, and the instructions that they become in a given world.

A step names people, mints and agreed contracts by number, never an address, so a list of steps stays meaningful when
some are left out; a step that refers to what is not there does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from settlement.contract import Contract, Venue
from settlement.errors import TermsError
from settlement.keys import device_id
from settlement.program.accounts import Line, Participant, Trade
from tests.settlement.program.scene import (
    AT,
    GENESIS,
    PEOPLE,
    PROGRAM,
    address,
    keypair,
    mint,
    wallet,
)

if TYPE_CHECKING:
    from solders.instruction import Instruction
    from solders.keypair import Keypair

    from tests.settlement.program.model_world import Clock, World

GENERATIONS: Final = 12


class Step(NamedTuple):
    """What somebody does, or what happens."""

    name: str
    values: dict[str, Any]


class Agreed(NamedTuple):
    """A contract that two people have signed."""

    buyer: int
    battery: int
    mint: int
    contract: Contract


class Draft(NamedTuple):
    """An instruction and what must be proved right before it, in order."""

    instruction: Instruction
    proofs: tuple[tuple[Keypair, bytes], ...] = ()


@dataclass
class State:
    """What the walk knows: the chain as the model has it, and the contracts that were agreed beside it."""

    world: World
    clock: Clock
    book: dict[int, Agreed] = field(default_factory=dict)

    def participant(self, person: int) -> Participant | None:
        data = self.world.at(bytes(AT.participant(wallet(person)))).data
        return data if isinstance(data, Participant) else None

    def line(self, buyer: int, battery: int, number: int) -> Line | None:
        data = self.world.at(bytes(AT.line(AT.escrow(wallet(buyer), mint(number)), wallet(battery)))).data
        return data if isinstance(data, Line) else None

    def trade(self, contract: Contract) -> Trade | None:
        data = self.world.at(bytes(AT.trade(contract.trade_id))).data
        return data if isinstance(data, Trade) else None


def signing_key(person: int, generation: int = 0) -> Keypair:
    """Return one of a person's signing keys."""
    return keypair(f"signs{person}", generation)


KEYS: Final = {
    bytes(signing_key(person, generation).pubkey()): signing_key(person, generation)
    for person in range(PEOPLE)
    for generation in range(GENERATIONS)
}


def agree(state: State, values: dict[str, Any]) -> None:
    """Put a contract into the book, unless there is no Line for it or its terms are none."""
    terms = dict(values)
    index, buyer, battery, number = (terms.pop(name) for name in ("index", "buyer", "battery", "mint"))
    line = state.line(buyer, battery, number)
    if line is None:
        return
    terms["contract_no"] = max(0, line.base_no + terms.pop("offset"))
    terms["starts_at_s"] = state.clock.now + terms.pop("starts_in_s")
    terms["ends_at_s"] = terms["starts_at_s"] + terms.pop("lasts_s")
    terms["valid_until_s"] = terms["ends_at_s"] + terms.pop("valid_for_s")
    terms["resolver"] = address("resolver", terms["resolver"])
    try:
        contract = Contract(
            venue=Venue(program_id=bytes(PROGRAM), genesis_hash=GENESIS, mint=bytes(mint(number))),
            battery_wallet=address("wallet", battery),
            buyer_wallet=address("wallet", buyer),
            generation=line.generation,
            battery_device_id=device_id(bytes(signing_key(battery).pubkey())),
            buyer_device_id=device_id(bytes(signing_key(buyer).pubkey())),
            message_id=index,
            **terms,
        )
    except TermsError:
        return
    state.book[index] = Agreed(buyer, battery, number, contract)

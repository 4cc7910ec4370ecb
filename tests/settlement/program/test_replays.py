"""What the walk once found, as the shortest lists of steps."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.settlement.program.chain import Chain
from tests.settlement.program.machine import Machine
from tests.settlement.program.scene import BEGIN, before
from tests.settlement.program.steps import Step

ON: Final = {"buyer": 5, "battery": 3, "mint": 0}
WORLD: Final = (
    Step("initialize", {"admin": 0, "fee_bps": 50, "min_bond": 1_000}),
    Step("set_mint_rule", {"admin": 0, "mint": 0, "allowed": True, "rate": 10_000}),
    Step("register", {"person": 3, "generation": 0, "role": 1}),
    Step("register", {"person": 5, "generation": 0, "role": 3}),
    Step("open_escrow", {"buyer": 5, "mint": 0}),
    Step("deposit", {"buyer": 5, "mint": 0, "amount": 10**9}),
    Step("open_line", ON),
    Step("allot", {**ON, "amount": 10**8}),
)
CONTRACT: Final[dict[str, Any]] = {
    **ON,
    "index": 1,
    "offset": 0,
    "price_e4": 999_900,
    "energy_wh": 100,
    "base_units_per_cent": 10_000,
    "starts_in_s": -4_000,
    "lasts_s": 900,
    "valid_for_s": 259_200,
    "fee_bps": 500,
    "dispute_window_s": 86_400,
    "resolver": 0,
}
CLAIM: Final = Step("claim", {"trade": 1, "wh": 70, "relayed": True, "battery": "key", "buyer": "key"})


def replay(*steps: Step) -> Machine:
    machine = Machine(Chain(before(), BEGIN))
    for step in steps:
        machine.take(step)
    return machine


@pytest.mark.parametrize("lamports", [1, 1_000_000, 2_039_280, 5_000_000])
@pytest.mark.parametrize(
    ("what", "earlier"), [("participant", 2), ("escrow", 4), ("vault", 4), ("line", 6), ("unpaid", 6), ("trade", 8)]
)
def test_lamports_that_somebody_sent_stop_nothing(what: str, earlier: int, lamports: int) -> None:
    """The top-up once asked for a signature of the new account: any stranger could stop a claim with a coin."""
    sent = Step("prefund", {**ON, "what": what, "lamports": lamports, "trade": 1})
    agreed = Step("agree", CONTRACT)
    steps = [*WORLD[:earlier], sent, *WORLD[earlier:], agreed, CLAIM]
    if what == "trade":
        steps = [*WORLD, agreed, sent, CLAIM]
    machine = replay(*steps)
    assert machine.outcomes["claim", "done"] == 1


def test_an_event_authority_is_not_needed_where_nothing_happens() -> None:
    """A number that is spent changes nothing and tells nothing, whoever is said to sign for events."""
    settle = {"trade": 1, "wh": 70, "battery": "key", "buyer": "key"}
    forged = Step("settle", {**settle, "attack": ("same kind", 14, 0)})
    machine = replay(*WORLD, Step("agree", CONTRACT), Step("settle", settle), forged)
    assert machine.outcomes["settle", "done without events"] == 1


def test_a_line_that_is_closed_and_opened_at_once_is_another() -> None:
    empty = Step("open_line", {**ON, "battery": 4})
    people = Step("register", {"person": 4, "generation": 0, "role": 1})
    on = {**ON, "battery": 4}
    at_once = Step("together", {"steps": [Step("close", on), Step("open_line", on)]})
    machine = replay(*WORLD, people, empty, at_once)
    assert machine.outcomes["together", "NOT_EMPTY"] == 1  # in its own slot it cannot be closed
    first = machine.state.line(5, 4, 0)
    machine.take(Step("tick", {"s": 1, "slots": 1}))
    machine.take(at_once)
    after = machine.state.line(5, 4, 0)
    assert first is not None
    assert after is not None
    assert after.generation == first.generation + 1

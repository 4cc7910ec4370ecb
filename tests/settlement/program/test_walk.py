"""Twenty thousand random steps, good and hostile, on the real ELF: after each, the chain holds what the model holds."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settlement.money import amount_of, fee_of
from tests.settlement.program import model_ends, model_money
from tests.settlement.program.attacks import ATTACKS
from tests.settlement.program.chain import Chain
from tests.settlement.program.model import RULES, SHAPES
from tests.settlement.program.model_world import Refused
from tests.settlement.program.scene import BEGIN, before
from tests.settlement.program.steps import Step
from tests.settlement.program.walk import WalkError, fails_on, shortest, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settlement.program.accounts import Line

SEEDS = 20
STEPS = 1_000
ATTACKED = (0.3, 0.1, 0.6)
"""Of the steps, those that are attacks: few of them get deeper, many of them try more."""
QUICK = 3
"""Of the seeds, those that every check runs."""


def new_chain() -> Chain:
    return Chain(before(), BEGIN)


def told(error: WalkError) -> str:
    """Return the shortest replay of a walk that failed."""
    steps = shortest(error.steps, fails_on(new_chain))
    lines = "\n".join(f"    {step!r}," for step in steps)
    return f"{error}\nshortest replay:\n{lines}"


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[] if n < QUICK else pytest.mark.slow) for n in range(SEEDS)])
def test_the_program_does_what_the_model_says(seed: int) -> None:
    chain = new_chain()
    try:
        machine, _ = walk(Random(seed), STEPS, chain, ATTACKED[seed % len(ATTACKED)])
    except WalkError as error:
        pytest.fail(told(error))
    ours = {key for key, account in machine.state.world.accounts.items() if account.owner == bytes(chain.program)}
    assert chain.owned() == ours


def test_the_walk_goes_everywhere() -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    tried = set()
    for seed in range(6):
        machine, steps = walk(Random(seed), STEPS, None)
        outcomes += machine.outcomes
        tried |= {step.values["attack"][0] for step in steps if "attack" in step.values}
    assert tried == set(ATTACKS)
    done = {name for name, outcome in outcomes if outcome.startswith("done")}
    assert done == {*SHAPES, "together"}
    assert all(outcomes[name, "done"] >= 10 for name in ("settle", "claim", "attest", "finalize", "dispute", "resolve"))
    refused = {failure for _, outcome in outcomes for failure in outcome.split("/")}
    assert refused >= {
        "UNKNOWN_INSTRUCTION",
        "BAD_ACCOUNT",
        "NOT_SIGNER",
        "WRONG_OWNER",
        "WRONG_ADDRESS",
        "BAD_STATE",
        "EXPIRED",
        "TOO_EARLY",
        "BAD_AMOUNT",
        "SIGNATURE_MISSING",
        "SIGNATURE_LAYOUT",
        "DIGEST_MISMATCH",
        "MINT_NOT_ALLOWED",
        "PAUSED",
        "DUPLICATE_ACCOUNT",
        "NOT_ENOUGH",
        "NOT_RESOLVER",
        "SAME_PARTY",
        "NUMBER_USED",
        "NUMBER_OUT_OF_WINDOW",
        "BAD_TERMS",
        "NOT_ADMIN",
        "KEY_TOO_YOUNG",
        "BAD_KEY",
        "NOT_EMPTY",
        "elsewhere",
    }


def _dearer_fee(amount: int, fee_bps: int) -> int:
    return fee_of(amount, fee_bps) + 1


def _dearer_amount(price_e4: int, wh: int, rate: int) -> int:
    return amount_of(price_e4, wh, rate) + 1


def _careless_spend(line: Line, number: int) -> Line:
    return line


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (model_ends, "fee_of", _dearer_fee),
        (model_money, "amount_of", _dearer_amount),
    ],
    ids=["fee", "amount"],
)
def test_a_wrong_program_is_found_and_shown(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, wrong: object
) -> None:
    """Where model and program differ in one base unit, the walk finds it, in few steps."""
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(WalkError) as found:
        walk(Random(1), STEPS, new_chain())
    steps = shortest(found.value.steps, fails_on(new_chain))
    assert len(steps) <= 12
    assert steps[0].name == "initialize"


@pytest.mark.parametrize(("module", "name", "wrong"), [("model_trades", "spend", _careless_spend)])
def test_a_wrong_model_breaks_an_invariant(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, wrong: object
) -> None:
    """The invariants stand without the program, too."""
    monkeypatch.setattr(f"tests.settlement.program.{module}.{name}", wrong)
    with pytest.raises(WalkError):
        walk(Random(1), STEPS, None)


def test_the_shortest_replay_keeps_what_matters() -> None:
    steps = [Step("tick", {"s": number}) for number in range(40)]

    def fails(left: Sequence[Step]) -> bool:
        there = {step.values["s"] for step in left}
        return {3, 17, 39} <= there

    assert [step.values["s"] for step in shortest(steps, fails)] == [3, 17, 39]


def test_the_model_has_every_instruction() -> None:
    assert set(RULES) == set(SHAPES)
    assert issubclass(Refused, Exception)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_the_model_alone_keeps_the_invariants(random: Random) -> None:
    machine, _ = walk(random, 60, None, attacks=0.1)
    assert machine.steps > 60

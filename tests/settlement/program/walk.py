"""The random walk: which step comes next, whole runs of them, and the shortest one that still fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from settlement.program.accounts import Escrow
from settlement.program.constants import STATE_CLAIMED, STATE_DISPUTED
from tests.settlement.program.attacks import ATTACKS
from tests.settlement.program.drafts import BUILDERS
from tests.settlement.program.machine import Machine
from tests.settlement.program.model_money import is_spent
from tests.settlement.program.model_world import RELEASE_DELAY_S
from tests.settlement.program.scene import AT, MIN_BOND, PEOPLE, ROLES, TIMEOUT_S, address, mint, wallet
from tests.settlement.program.steps import GENERATIONS, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from tests.settlement.program.chain import Chain
    from tests.settlement.program.steps import State

T = TypeVar("T")
BUYERS: Final = (0, 1, 2, 5)
BATTERIES: Final = (3, 4, 5)


def opening() -> list[Step]:
    """Return the steps after which there is something to trade: operator, people, escrows, Lines with money."""
    steps = [
        Step("initialize", {"admin": 0, "fee_bps": 50, "min_bond": MIN_BOND}),
        *(Step("set_mint_rule", {"admin": 0, "mint": n, "allowed": True, "rate": 10_000}) for n in (0, 1)),
        *(Step("register", {"person": n, "generation": 0, "role": ROLES[n]}) for n in range(PEOPLE) if n != 2),
    ]
    for buyer, number in ((0, 0), (0, 1), (1, 0), (5, 0)):
        steps.append(Step("open_escrow", {"buyer": buyer, "mint": number}))
        steps.append(Step("deposit", {"buyer": buyer, "mint": number, "amount": 10**10}))
    for buyer, battery, number in ((0, 3, 0), (0, 4, 0), (0, 3, 1), (1, 3, 0), (5, 4, 0), (1, 5, 0)):
        on = {"buyer": buyer, "battery": battery, "mint": number}
        steps.append(Step("open_line", on))
        steps.append(Step("allot", {**on, "amount": 10**9}))
    return steps


class Chooser:
    """Draws steps that mostly make sense in the state they are drawn for."""

    def __init__(self, random: Random, attacks: float = 0.3) -> None:
        self._random = random
        self._attacks = attacks
        self._next = 0

    def step(self, state: State) -> Step:
        """Return the next step."""
        name = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if name == "together":
            return self._together(state)
        return self._step(name, state)

    def _together(self, state: State) -> Step:
        """Return two instructions for one transaction, mostly about one Line and one contract."""
        names = self._one(*_PAIRS)
        if self._maybe(0.3):
            names = (self._one(*BUILDERS), self._one(*BUILDERS))
        first, second = (self._step(name, state) for name in names)
        if "attack" not in first.values:
            shared = ("trade",) if "trade" in second.values else ("buyer", "battery", "mint")
            is_alike = "trade" in second.values or "mint" in first.values
            same = {
                key: first.values[key] for key in shared if is_alike and {key} <= {*first.values} & {*second.values}
            }
            second = Step(second.name, {**second.values, **same})
        return Step("together", {"steps": [first, second]})

    def _step(self, name: str, state: State) -> Step:
        """Return a step of this name, or a claim where there is nothing yet for it to be about."""
        if name in _ON_OPEN and self._maybe(0.8) and not self._there(state, _ON_OPEN[name]):
            name = "claim"
        values: dict[str, Any] = getattr(self, f"_{name}", self._on_trade)(state)
        if name not in ("tick", "agree", "disturb", "prefund", "forge") and self._random.random() < self._attacks:
            attack = self._random.choice(list(ATTACKS))
            values["attack"] = (attack, self._random.randrange(2**16), self._random.randrange(2**16))
        return Step(name, values)

    def _one(self, *choices: T) -> T:
        return self._random.choice(choices)

    def _maybe(self, chance: float) -> bool:
        return self._random.random() < chance

    def _whose(self, state: State) -> dict[str, int]:
        """Return a Line, mostly one that there is."""
        for _ in range(4):
            on = {"buyer": self._one(*BUYERS), "battery": self._one(*BATTERIES), "mint": self._one(0, 0, 1)}
            if state.line(buyer=on["buyer"], battery=on["battery"], number=on["mint"]):
                break
        return on

    def _some(self, most: int) -> int:
        """Return an amount around what there is: nothing, a little, half, all, too much."""
        return self._one(0, 1, most // 3, most // 2, most, most, most + 1, 2**64 - 1 if self._maybe(0.1) else most // 5)

    # Beside the program

    def _tick(self, state: State) -> dict[str, int]:
        jump = self._one(0, 1, 1, 30, 59, 60, 600, 900)
        if self._maybe(0.2):
            jump = self._one(3_600, 86_400, 86_400, RELEASE_DELAY_S - 1, RELEASE_DELAY_S, TIMEOUT_S)
        return {"s": jump, "slots": self._one(0, 1, 1, 150)}

    def _agree(self, state: State) -> dict[str, Any]:
        self._next += 1
        return {
            **self._whose(state),
            "index": self._next,
            "offset": self._one(0, 0, 0, 1, 2, 5, 30, 255, 255, 256, -1),
            "price_e4": self._one(0, 100, 33_300, 251_300, 251_300, 999_900, 4_294_967_200 * self._maybe(0.1)),
            "energy_wh": self._one(100, 2_500, 2_500, 5_000, 33_300, 4_294_967_200 if self._maybe(0.05) else 700),
            "base_units_per_cent": self._one(1, 7, 10_000, 10_000, 10_000, 10_000_000),
            "starts_in_s": self._one(-4_000, -4_000, -1_000, -1, 30),
            "lasts_s": self._one(1, 900, 2_310),
            "valid_for_s": self._one(86_400, 259_200, 604_800),
            "fee_bps": self._one(0, 1, 50, 50, 500),
            "dispute_window_s": self._one(1, 60, 600, 3_600, 86_400, 86_400),
            "resolver": self._one(0, 1),
        }

    def _disturb(self, state: State) -> dict[str, Any]:
        kinds = ("frozen", "closed", "of another", "of another mint", "a mint", "lamports", "vault frozen")
        healed = ("thawed", "thawed", "vault thawed")
        kind = self._one(*kinds) if self._maybe(0.4) else self._one(*healed)
        return {
            "person": self._one(*(BUYERS if "vault" in kind else BATTERIES)),
            "mint": self._one(0, 0, 1),
            "kind": kind,
        }

    def _prefund(self, state: State) -> dict[str, Any]:
        what = self._one("escrow", "vault", "line", "unpaid", "participant", "trade", "trade")
        lamports = self._one(1_000_000, 2_951_040, 5_000_000)
        return {**self._whose(state), "what": what, "trade": self._recent(state), "lamports": lamports}

    def _forge(self, state: State) -> dict[str, int]:
        return {"of": self._random.randrange(2**16), "to": self._one(0, 1, 2)}

    # The operator

    def _admin(self) -> dict[str, int]:
        return {"admin": self._one(0, 0, 0, 1)}

    def _initialize(self, state: State) -> dict[str, Any]:
        return {**self._admin(), "fee_bps": self._one(0, 50, 501), "min_bond": 1}

    def _set_config(self, state: State) -> dict[str, Any]:
        fee_bps, min_bond = self._one(0, 50, 500, 501), self._one(0, 1, MIN_BOND, MIN_BOND, 10**6)
        treasury = self._one(address("treasury"), address("treasury"), bytes(32), address("stranger"))
        return {**self._admin(), "treasury": treasury, "fee_bps": fee_bps, "min_bond": min_bond}

    def _propose_admin(self, state: State) -> dict[str, Any]:
        return {**self._admin(), "new_admin": self._one(bytes(32), address("admin"), address("admin", 1))}

    def _accept_admin(self, state: State) -> dict[str, Any]:
        return self._admin()

    def _set_pause(self, state: State) -> dict[str, Any]:
        return {**self._admin(), "paused": self._maybe(0.3)}

    def _set_mint_rule(self, state: State) -> dict[str, Any]:
        rate, allowed = self._one(0, 1, 10_000, 10**7, 10**7 + 1), self._maybe(0.8)
        return {**self._admin(), "mint": self._one(0, 0, 1, 2), "allowed": allowed, "rate": rate}

    # Participants and buyers

    def _register(self, state: State) -> dict[str, Any]:
        person, role = self._random.randrange(PEOPLE), self._one(0, 1, 2, 3, 4)
        return {"person": person, "generation": self._one(0, 1), "role": ROLES[person] if self._maybe(0.5) else role}

    def _rotate_key(self, state: State) -> dict[str, Any]:
        values = {"person": self._random.randrange(PEOPLE), "generation": self._random.randrange(GENERATIONS)}
        return {**values, "key": self._one("zero", "wallet")} if self._maybe(0.1) else values

    def _open_escrow(self, state: State) -> dict[str, Any]:
        return {"buyer": self._random.randrange(PEOPLE), "mint": self._one(0, 1, 2)}

    def _money(self, state: State) -> tuple[dict[str, int], int]:
        on = self._whose(state)
        escrow = state.world.at(bytes(AT.escrow(wallet(on["buyer"]), mint(on["mint"])))).data
        return on, escrow.available if isinstance(escrow, Escrow) else 10_000

    def _deposit(self, state: State) -> dict[str, Any]:
        on, _ = self._money(state)
        return {**on, "amount": self._some(10**9)}

    def _withdraw(self, state: State) -> dict[str, Any]:
        on, available = self._money(state)
        return {**on, "amount": self._one(self._some(available), 1_000, available // 50)}

    def _allot(self, state: State) -> dict[str, Any]:
        on, available = self._money(state)
        return {**on, "amount": self._one(self._some(available), available // 10, available // 30)}

    def _open_line(self, state: State) -> dict[str, Any]:
        return {"buyer": self._one(*BUYERS), "battery": self._one(*BATTERIES, 0), "mint": self._one(0, 1)}

    def _request_release(self, state: State) -> dict[str, Any]:
        on = self._whose(state)
        line = state.line(on["buyer"], on["battery"], on["mint"])
        return {**on, "amount": self._some(line.amount if line else 5)}

    def _release(self, state: State) -> dict[str, Any]:
        return self._whose(state)

    def _close(self, state: State) -> dict[str, Any]:
        return self._whose(state)

    def _void(self, state: State) -> dict[str, Any]:
        return {**self._whose(state), "offset": self._one(-1, 0, 0, 1, 3, 7, 8, 255, 256)}

    def _collect(self, state: State) -> dict[str, Any]:
        values = {**self._whose(state), "signs": self._maybe(0.4)}
        return {**values, "purse": self._one(3, 4, 5)} if self._maybe(0.4) else values

    def _sweep_fees(self, state: State) -> dict[str, Any]:
        return self._whose(state)

    # Trades

    def _recent(self, state: State) -> int:
        book = list(state.book)
        return self._one(*(book if self._maybe(0.1) else book[-6:])) if book else 0

    def _there(self, state: State, wanted: tuple[int, ...]) -> list[int]:
        """Return the contracts that have a Trade in one of these states."""
        trades = {index: state.trade(agreed.contract) for index, agreed in state.book.items()}
        return [index for index, trade in trades.items() if trade and trade.state in wanted]

    def _fresh(self, state: State) -> int:
        """Return a recent contract, mostly one whose number is still free."""
        if self._maybe(0.15):
            return self._recent(state)
        free = []
        for index, agreed in list(state.book.items())[-12:]:
            line = state.line(agreed.buyer, agreed.battery, agreed.mint)
            number = agreed.contract.contract_no
            if line and line.base_no <= number < line.base_no + 256 and not is_spent(line, number):
                free.append(index)
        return self._one(*free) if free else self._recent(state)

    def _open(self, state: State, *wanted: int) -> int:
        """Return a contract that has a Trade, mostly one in a state that is wanted."""
        if self._maybe(0.1):
            return self._recent(state)
        there = self._there(state, wanted)
        return self._one(*there[-8:]) if there else self._recent(state)

    def _wh(self, state: State, index: int) -> int:
        agreed = state.book.get(index)
        most = agreed.contract.energy_wh if agreed else 100
        trade = agreed and state.trade(agreed.contract)
        if trade is not None and self._maybe(0.6):
            middle = (trade.safe_wh + trade.claimed_wh) // 2
            wh = self._one(trade.claimed_wh, trade.claimed_wh // 2, middle, middle, trade.safe_wh, trade.attested_wh)
        else:
            wh = self._one(0, 1, most // 3, most // 2, most - 1, most, most, most + 1, 2**64 - 1)
        return max(0, wh + self._one(-1, 0, 0, 0, 1)) % 2**64

    def _consents(self, *ways: str) -> str:
        return self._one("stranger", "none", "old") if self._maybe(0.08) else self._one(*ways)

    def _on_trade(self, state: State, *wanted: int) -> dict[str, Any]:
        index = self._open(state, *wanted)
        return {"trade": index, "wh": self._wh(state, index)}

    def _finalize(self, state: State) -> dict[str, Any]:
        return self._on_trade(state, STATE_CLAIMED)

    def _dispute(self, state: State) -> dict[str, Any]:
        return self._on_trade(state, STATE_CLAIMED)

    def _timeout(self, state: State) -> dict[str, Any]:
        return self._on_trade(state, STATE_DISPUTED)

    def _resolve(self, state: State) -> dict[str, Any]:
        values = self._on_trade(state, STATE_DISPUTED)
        return {**values, "resolver": self._one(0, 1)} if self._maybe(0.1) else values

    def _settle(self, state: State) -> dict[str, Any]:
        index = self._open(state, *_ANY) if self._maybe(0.25) else self._fresh(state)
        index = self._recent(state) if self._maybe(0.2) else index
        return {"trade": index, "wh": self._wh(state, index), **self._both()}

    def _both(self) -> dict[str, str]:
        ways = ("wallet", "key", "key")
        return {"battery": self._consents(*ways), "buyer": self._consents(*ways)}

    def _attest(self, state: State) -> dict[str, Any]:
        wanted = (STATE_DISPUTED,) if self._maybe(0.5) else _ANY
        return {**self._on_trade(state, *wanted), **self._both()}

    def _claim(self, state: State) -> dict[str, Any]:
        index = self._fresh(state)
        by = {"battery": self._consents("wallet", "key"), "buyer": self._consents("key")}
        return {"trade": index, "wh": self._wh(state, index), "relayed": self._maybe(0.5), **by}


_WEIGHTS: Final = {
    "tick": 9,
    "together": 6,
    "agree": 16,
    "disturb": 3,
    "prefund": 2,
    "forge": 0.4,
    "initialize": 0.3,
    "set_config": 0.7,
    "propose_admin": 0.5,
    "accept_admin": 0.4,
    "set_pause": 1,
    "set_mint_rule": 1,
    "register": 1,
    "rotate_key": 1.5,
    "open_escrow": 1.2,
    "deposit": 3,
    "withdraw": 2,
    "open_line": 3,
    "allot": 4,
    "request_release": 2,
    "release": 3,
    "settle": 14,
    "claim": 18,
    "attest": 7,
    "finalize": 4,
    "dispute": 9,
    "resolve": 4,
    "timeout": 3,
    "close": 2,
    "void": 2,
    "collect": 3,
    "sweep_fees": 2,
}


_PAIRS: Final = (
    ("close", "open_line"),
    ("open_line", "close"),
    ("claim", "settle"),
    ("claim", "finalize"),
    ("claim", "dispute"),
    ("dispute", "settle"),
    ("dispute", "resolve"),
    ("settle", "close"),
    ("allot", "settle"),
    ("deposit", "withdraw"),
    ("request_release", "release"),
    ("void", "settle"),
    ("rotate_key", "rotate_key"),
    ("open_escrow", "deposit"),
)
"""What somebody could hope to gain by doing it at once: revival, replay, money that is there for a moment."""
_ANY: Final = (STATE_CLAIMED, STATE_DISPUTED)
_ON_OPEN: Final = {
    "attest": _ANY,
    "finalize": (STATE_CLAIMED,),
    "dispute": (STATE_CLAIMED,),
    "resolve": (STATE_DISPUTED,),
    "timeout": (STATE_DISPUTED,),
}


def walk(random: Random, steps: int, chain: Chain | None, attacks: float = 0.3) -> tuple[Machine, list[Step]]:
    """Take the opening and then so many random steps. Raises WalkError, with the steps, when something is wrong."""
    machine, chooser, taken = Machine(chain), Chooser(random, attacks), list[Step]()
    try:
        for step in opening():
            taken.append(step)
            machine.take(step)
        for _ in range(steps):
            taken.append(chooser.step(machine.state))
            machine.take(taken[-1])
    except AssertionError as error:
        raise WalkError(str(error), taken) from error
    return machine, taken


class WalkError(Exception):
    """A walk on which something did not hold."""

    def __init__(self, problem: str, steps: list[Step]) -> None:
        super().__init__(f"after {len(steps)} steps: {problem}")
        self.steps = steps


def shortest(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """Return a part of the steps that still fails and of which no chunk can be left out (delta debugging)."""
    left, size = list(steps), max(1, len(steps) // 2)
    while True:
        at, shrunk = 0, False
        while at < len(left):
            shorter = left[:at] + left[at + size :]
            if fails(shorter):
                left, shrunk = shorter, True
            else:
                at += size
        if size == 1 and not shrunk:
            return left
        size = max(1, size // 2) if not shrunk or size > 1 else 1


def fails_on(new_chain: Callable[[], Chain | None]) -> Callable[[Sequence[Step]], bool]:
    """Return whether steps still fail, on a fresh chain."""

    def fails(steps: Sequence[Step]) -> bool:
        machine = Machine(new_chain())
        try:
            for step in steps:
                machine.take(step)
        except AssertionError:
            return True
        return False

    return fails

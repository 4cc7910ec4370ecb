"""Random histories against a model: every level shows its own block, and a restart the last finalized state."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from settlement.ledger import Commitment, Settings
from settlement.ledger.limits import BLOCKHASH_AGE
from tests.settlement.ledger.world import SOL, World, pay

if TYPE_CHECKING:
    from settlement.ledger.wire import Received

LAG = 3
WALLETS = 3
FEE = 5_000
RENT = 890_880
LEVELS: tuple[Commitment, ...] = ("processed", "confirmed", "finalized")


class Histories(RuleBasedStateMachine):
    """Payments between three wallets; `states` are their balances after each block, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(prefix="wb-")
        self.world = World(Path(self.place.name), settings=Settings(finalized_lag=LAG))
        self.wallets = [self.world.key() for _ in range(WALLETS)]
        self.balances = [0] * WALLETS
        self.states: dict[int, list[int]] = {0: [0] * WALLETS}
        self.sent: list[tuple[Received, int, int, int]] = []
        self.landed: dict[bytes, int] = {}
        self.unique = 0

    @initialize()
    def fund(self) -> None:
        for number, wallet in enumerate(self.wallets):
            assert (
                self.world.submit([pay(self.world.ledger.faucet, wallet.pubkey(), 100 * SOL)], self.world.ledger.faucet)
                is None
            )
            self.balances[number] = 100 * SOL
        self.note()
        self.world.wait(LAG)

    def note(self) -> None:
        self.states[self.world.ledger.height("processed")] = list(self.balances)

    def state_at(self, height: int) -> list[int]:
        return self.states[max(known for known in self.states if known <= height)]

    @rule(payer=st.integers(0, WALLETS - 1), to=st.integers(0, WALLETS - 1), sols=st.integers(1, 60))
    def send(self, payer: int, to: int, sols: int) -> None:
        self.unique += 1
        lamports = sols * SOL + self.unique
        sent = self.world.signed([pay(self.wallets[payer], self.wallets[to].pubkey(), lamports)], self.wallets[payer])
        self.sent.append((sent, payer, to, lamports))
        self.expect(self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.expect(data.draw(st.sampled_from(self.sent)))

    def expect(self, one: tuple[Received, int, int, int]) -> None:
        """Send, and have the model do the same."""
        sent, payer, to, lamports = one
        blocks = self.world.ledger.blocks
        known = [
            height
            for height in range(max(0, blocks.height - BLOCKHASH_AGE - 1), blocks.height)
            if blocks.hash_of(height) == bytes(sent.blockhash)
        ]
        refusal = self.world.ledger.submit(sent)
        if not known:
            assert refusal == "BlockhashNotFound"
        elif sent.digest in self.landed:
            assert refusal == "AlreadyProcessed"
        elif self.balances[payer] < FEE:
            assert refusal in ("AccountNotFound", "InsufficientFundsForFee")
        else:
            assert refusal is None
            self.landed[sent.digest] = self.world.ledger.height("processed")
            self.balances[payer] -= FEE
            left = self.balances[payer] - (lamports if payer != to else 0)
            if self.balances[payer] >= lamports and not 0 < left < RENT:
                self.balances[payer] -= lamports
                self.balances[to] += lamports
            self.note()

    @rule(blocks=st.sampled_from([1, 1, 2, 3, 5, 40, 160, 1_000]))
    def wait(self, blocks: int) -> None:
        self.world.wait(blocks)

    @rule(away=st.sampled_from([0, 1, 1_000, 100_000]))
    def restart(self, away: int) -> None:
        final = self.world.ledger.height("finalized")
        self.balances = list(self.state_at(final))
        self.landed = {digest: height for digest, height in self.landed.items() if height <= final}
        self.states = {height: state for height, state in self.states.items() if height <= final}
        before = self.world.ledger.blocks.height
        self.world.time.slots(away)
        self.world.restart()
        assert self.world.ledger.height("finalized") >= final
        assert self.world.ledger.blocks.height > before - LAG

    @invariant()
    def every_level_shows_its_own_block(self) -> None:
        for level in LEVELS:
            state = self.state_at(self.world.ledger.height(level))
            found = [self.world.lamports(wallet.pubkey(), level) for wallet in self.wallets]
            assert found == state, level

    @invariant()
    def what_landed_is_known(self) -> None:
        for sent, *_ in self.sent:
            landing = self.world.ledger.landing(bytes(sent.signature), search=True)
            assert (landing is not None) == (sent.digest in self.landed)

    def teardown(self) -> None:
        self.world.ledger.close()
        self.place.cleanup()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)

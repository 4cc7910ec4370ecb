"""A client in front of nodes in process, in virtual time: whoever waits moves the clock."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from settlement.cluster.landing import Lander
from settlement.keys import SeedKey
from settlement.ledger import Node
from settlement.ledger.transport import NodeTransport
from settlement.rpc import RpcClient
from tests.settlement.ledger.world import SOL, World

if TYPE_CHECKING:
    from solders.keypair import Keypair
    from solders.pubkey import Pubkey

URL = "http://ledger"


class Cluster:
    """One world, one node, one client."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.payers: list[Keypair] = []
        self.node = Node(self.world.ledger)
        self.client = RpcClient(
            [URL],
            bytes(self.world.ledger.genesis),
            NodeTransport({URL: self.node}),
            monotonic_s=lambda: self.world.time.now_ms / 1_000,
            rng=random.Random(1),
        )

    async def sleep(self, seconds: float) -> None:
        self.world.time.now_ms += round(seconds * 1_000)

    def lander(self, lamports: int = 10 * SOL) -> Lander:
        """Return one whose payer has this much."""
        self.payers.append(self.world.funded(lamports))
        self.world.wait(2)
        return Lander(self.client, SeedKey(bytes(self.payers[-1])[:32]), sleep=self.sleep)

    def airdrop(self, key: Pubkey, lamports: int) -> None:
        self.node.call("requestAirdrop", [str(key), lamports])

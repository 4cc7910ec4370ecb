"""Endpoints that answer, do not, or belong to another cluster; all in one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement.cluster.reach import Reached, reach
from settlement.ledger import Faults, Node
from settlement.ledger.transport import NodeTransport
from settlement.rpc import Reply
from tests.settlement.ledger.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping


class Endpoints(NodeTransport):
    """Nodes, and a portal that answers with a page and one that answers with a number."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        super().__init__(nodes)
        self.waits_s: list[float] = []

    async def post(self, url: str, body: bytes, timeout_s: float) -> Reply:
        self.waits_s.append(timeout_s)
        if url == "http://portal":
            return Reply(200, {"content-type": "text/html"}, b"<html>log in</html>")
        if url == "http://odd":
            return Reply(200, {"content-type": "application/json"}, b'{"jsonrpc":"2.0","id":1,"result":7}')
        return await super().post(url, body, timeout_s)


async def test_each_endpoint_is_asked_and_what_is_wrong_with_it_is_told_without_its_secret() -> None:
    world = World()
    foreign = Faults(wrong_genesis=1)
    transport = Endpoints({"http://here/": Node(world.ledger), "http://other": Node(world.ledger, faults=foreign)})
    urls = ["http://here/", "http://gone:1/secret?key=1", "http://other", "http://portal", "http://odd"]
    found = await reach(urls, bytes(world.ledger.genesis), transport, timeout_s=2.5)
    assert found[:3] == (
        Reached("http://here", None),
        Reached("http://gone:1", "no connection"),
        Reached("http://other", "belongs to another cluster than the file names"),
    )
    assert [each.url for each in found[3:]] == ["http://portal", "http://odd"]
    assert "no genesis hash" in str(found[4].problem)
    assert found[3].problem
    assert transport.waits_s == [2.5] * 5

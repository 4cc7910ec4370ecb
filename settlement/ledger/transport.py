"""A ledger in process as a client sees it: each address is a node, no socket and no time in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement.rpc.transport import Reply, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settlement.ledger.node import Node


class NodeTransport:
    """Carries requests to nodes by their address; a `settlement.rpc` Transport."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        """Know these nodes; the mapping may change later."""
        self._nodes = nodes

    async def post(self, url: str, body: bytes, timeout_s: float) -> Reply:  # noqa: ARG002 - there is no wait
        """Return what the node says. Raises TransportError for one that is not there, or cuts the connection."""
        node = self._nodes.get(url)
        answer = None if node is None else node.handle(body)
        if answer is None:
            raise TransportError("no connection" if node is None else "the connection was cut")
        return Reply(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        """There is nothing to close."""

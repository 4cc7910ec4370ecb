"""All questions put to one cluster, and its answers with everything replaced that differs by nature."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.acceptance import questions
from tests.acceptance.scene import play

if TYPE_CHECKING:
    from settlement.rpc import Reply
    from tests.acceptance.questions import Questions
    from tests.acceptance.scene import Scene

_VARYING: Final = frozenset(
    (
        "apiVersion",
        "blockTime",
        "blockhash",
        "contextSlot",
        "lastValidBlockHeight",
        "prioritizationFee",
        "slot",
        "transactionIndex",
    )
)
"""Fields that say when or by whom, and never what."""


async def answers_of(scene: Scene) -> dict[str, Any]:
    """Play the scene on a fresh cluster, ask everything, return the answers by the names of the questions."""
    await play(scene)
    found: dict[str, Any] = {}
    for name, (method, params) in questions.about_the_node().items():
        found[name] = shape_of(await scene.ask(method, *params))
    groups: list[Questions] = [
        questions.about_accounts(),
        questions.about_program_accounts(),
        questions.about_transactions(scene),
        questions.about_nothing(),
        await questions.about_blockhashes(scene),
        await questions.about_simulating(scene),
        await questions.about_sending(scene),
    ]
    for group in groups:
        for name, (method, params) in group.items():
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
            answer = told(await scene.post(body))
            found[name] = named(answer, scene.names)
    for name, body in questions.BODIES.items():
        found[f"body: {name}"] = told(await scene.post(body))
    return found


def told(reply: Reply) -> Any:
    """Return what a reply says: its JSON; where there is none, its status and text."""
    try:
        body = json.loads(reply.body)
    except ValueError:
        return {"status": reply.status, "text": reply.body.decode()}
    return body if reply.status == 200 else {"status": reply.status, "body": body}


def named(value: Any, names: dict[str, str]) -> Any:
    """Return an answer with our names for what the cluster drew, and without when."""
    if isinstance(value, dict):
        return {
            name: f"<{name}>" if name in _VARYING and item is not None else named(item, names)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [named(item, names) for item in value]
    if isinstance(value, str):
        return names.get(value) or re.sub(
            r"[1-9A-HJ-NP-Za-km-z]{32,88}", lambda found: names.get(found[0], found[0]), value
        )
    return value


def shape_of(value: Any) -> Any:
    """Return what kinds of values an answer is made of."""
    if isinstance(value, dict):
        return {name: shape_of(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape_of(item) for item in value[:1]]
    return f"<{type(value).__name__}>"

"""All questions put to one cluster, and its answers with everything replaced that differs by nature."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.acceptance import questions
from tests.acceptance.scene import play

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
        "memo",
        "slot",
        # How much code a cluster's own programs are, and what they use, differs from build to build of them.
        "computeUnitsConsumed",
        "loadedAccountsDataSize",
        "unitsConsumed",
    )
)
"""Fields that say when, by whom or by which build, and never what."""
_LEFT_OUT: Final = frozenset(("costUnits", "transactionIndex"))
"""Fields that older nodes do not have either, and no client reads."""
_USED: Final = re.compile(r"consumed \d+ of \d+ compute units")
_MEMO: Final = re.compile(r"Program log: (Signed by|Memo \(len|for the ride|hello|[1-9A-HJ-NP-Za-km-z]{32,44}$)")
_BASE58: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,88}")


async def answers_of(scene: Scene) -> dict[str, Any]:
    """Play the scene on a fresh cluster, ask everything, return the answers by the names of the questions."""
    await play(scene)
    found: dict[str, Any] = {}
    for name, (method, params) in questions.about_the_node().items():
        found[name] = shape_of(await scene.ask(method, *params))
    groups: tuple[Callable[[Scene], Awaitable[Questions]], ...] = (
        questions.about_accounts,
        questions.about_program_accounts,
        questions.about_transactions,
        questions.about_nothing,
        questions.about_blockhashes,
        questions.about_simulating,
        questions.about_sending,
    )
    for group in groups:
        for name, (method, params) in (await group(scene)).items():
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
            found[name] = named(told(await scene.post(body)), scene.names)
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
    """Return an answer with our names for what the cluster drew, and without when and by which build."""
    if isinstance(value, dict):
        return {
            name: f"<{name}>" if name in _VARYING and item else named(item, names)
            for name, item in value.items()
            if name not in _LEFT_OUT
        }
    if isinstance(value, list):
        return [named(item, names) for item in value if not _is_memo_talk(item)]
    if isinstance(value, str):
        found = _BASE58.sub(lambda match: names.get(match[0], match[0]), names.get(value, value))
        return _USED.sub("consumed <units>", found)
    if type(value) is int:
        return names.get(str(value), value)
    return value


def _is_memo_talk(item: Any) -> bool:
    """Whether this is a line in which the Memo program tells what it got: each build has its own words."""
    return isinstance(item, str) and bool(_MEMO.match(item))


def shape_of(value: Any) -> Any:
    """Return what kinds of values an answer is made of."""
    if isinstance(value, dict):
        return {name: shape_of(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape_of(item) for item in value[:1]]
    return f"<{type(value).__name__}>"

"""The embedded ledger answers as a real validator does: to every question that our clients ask, refusals included.

agave-4.1.2.json is what a validator answered; where there is one, it is asked again. After a change of the questions:
`python -m tests.acceptance.test_answers` asks it and writes the file anew.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from settlement.rpc import HttpTransport
from tests.acceptance.answers import answers_of
from tests.acceptance.cluster import embedded, validator
from tests.acceptance.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.cluster import Cluster

RECORD: Final = Path(__file__).with_name("agave-4.1.2.json")
SCALE: Final = 4
"""Blockhashes last 15 seconds then, and what is asked about is finalized after 3."""
WORDING: Final = frozenset(
    (
        "airdrop of less than nothing",
        "fee of no message",
        "program accounts, a filter in no alphabet",
        "program accounts, an unknown filter",
        "rent of a word",
        "rent of less than nothing",
        "send in an unknown encoding",
        "send what is not base58",
        "send what is not base64",
        "statuses of no list",
    )
)
"""Refusals of malformed parameters, whose text is that of the validator's own parser: the code must be the same."""
UNPARSED: Final = frozenset(("transaction, parsed", "simulate with inner instructions"))
"""Instructions are left undecoded, as nodes do with those of programs that they do not know."""
NOT_OFFERED: Final = frozenset(("identity", "first block"))
"""Nothing of ours asks for them; the ledger says that it has no such method."""


async def asked(cluster: Cluster) -> dict[str, Any]:
    transport = HttpTransport()
    try:
        return await answers_of(Scene(cluster.url, transport))
    finally:
        await transport.close()


@pytest.mark.slow
async def test_the_embedded_ledger_answers_like_a_validator() -> None:
    record = json.loads(RECORD.read_text())
    with embedded(SCALE) as cluster:
        found = await asked(cluster)
    assert found.keys() == record.keys()
    wrong = [
        f"{name}: {line}"
        for name in record
        for line in differences(comparable(name, record[name]), comparable(name, found[name]))
    ]
    assert not wrong, "\n".join(wrong)
    for name in NOT_OFFERED:
        assert "error" in found[name]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_validator_still_answers_so() -> None:
    record = json.loads(RECORD.read_text())
    with validator() as cluster:
        found = await asked(cluster)
    assert found.keys() == record.keys()
    wrong = [f"{name}: {line}" for name in record for line in differences(record[name], found[name])]
    assert not wrong, "\n".join(wrong)


def comparable(name: str, answer: Any) -> Any:
    """Return of an answer what must be the same."""
    if name in NOT_OFFERED:
        return None
    if name in WORDING:
        return answer["error"]["code"]
    return _without_instructions(answer) if name in UNPARSED else answer


def differences(wanted: Any, found: Any, where: str = "") -> Iterator[str]:
    """Tell where two answers differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in sorted(wanted.keys() | found.keys()):
            if name not in found:
                yield f"{where}.{name} is missing: {wanted[name]!r}"
            elif name not in wanted:
                yield f"{where}.{name} is too much: {found[name]!r}"
            else:
                yield from differences(wanted[name], found[name], f"{where}.{name}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for place, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{where}[{place}]")
    elif wanted != found:
        yield f"{where} is {found!r}, not {wanted!r}"


def _without_instructions(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {
            name: len(item) if name == "instructions" else _without_instructions(item) for name, item in answer.items()
        }
    return [_without_instructions(item) for item in answer] if isinstance(answer, list) else answer


def _record() -> None:
    with validator() as cluster:
        answers = asyncio.run(asked(cluster))
    lines = (f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in answers.items())
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    _record()

"""What a session wants done: a frame sent, an event told, a connection ended, a trade kept. In this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from aggregator.entries import Entry, Key
    from etp.extensions import Contract, Receipt
    from etp.messages import Body


class Send(NamedTuple):
    """Send a frame on the battery's connection; `cause_ms` is when what it answers could first have been read."""

    body: Body
    cause_ms: int | None = None
    receipt: Receipt | None = None
    contract: Contract | None = None


class Note(NamedTuple):
    """Tell people and machines: an event and its fields (integers with their unit in the name)."""

    event: str
    fields: dict[str, Any]


class HangUp(NamedTuple):
    """Close the connection; it will be dialled again."""

    reason: str


class Keep(NamedTuple):
    """Put a trade on disk, and only then send the answer; `Session.kept` hears of it."""

    entry: Entry
    answer: Send | None = None


class Fetch(NamedTuple):
    """Look a trade up on disk for a receipt that came with a frame; `Session.fetched` hears what is there."""

    key: Key
    body: Body
    receipt: Receipt


Effect: TypeAlias = Send | Note | HangUp | Keep | Fetch

"""What a session wants done: a frame sent, an event told, a connection ended. The shell performs them in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from etp.extensions import Receipt
    from etp.messages import Body


class Send(NamedTuple):
    """Send a frame on the battery's connection; `cause_ms` is when what it answers could first have been read."""

    body: Body
    cause_ms: int | None = None
    receipt: Receipt | None = None


class Note(NamedTuple):
    """Tell people and machines: an event and its fields (integers with their unit in the name)."""

    event: str
    fields: dict[str, Any]


class HangUp(NamedTuple):
    """Close the connection; it will be dialled again."""

    reason: str


Effect: TypeAlias = Send | Note | HangUp

"""What a link tells: its handler about the conversation, its owner about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from etp.connection import Received
    from etp.io.link import Link
    from etp.messages import Body


class LinkHandler(Protocol):
    """What a link tells its owner. Exceptions end the link and reach the loop's exception handler."""

    def link_opened(self, link: Link) -> None:
        """The conversation can begin."""

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        """All frames of one read, in order; what is sent meanwhile leaves in one write afterwards."""

    def link_closed(self, link: Link, reason: str) -> None:
        """The conversation is over; told once, and only for links that were opened."""

    def accept_sent(self, link: Link, body: Body, at_ms: int) -> None:
        """An Accept was handed to the kernel."""

    def accept_late(self, link: Link, body: Body) -> None:
        """The limit of an Accept passed before it could leave, and nothing was sent: refuse the bid with code 5.

        Only the handler knows the price to beat.
        """


class LinkOwner(Protocol):
    """The shell that made a link: server or client."""

    def admit(self, link: Link, /) -> bool:
        """Whether a link may open; counts it."""

    def opened(self, link: Link, /) -> None:
        """The link is open and its handler knows."""

    def gone(self, link: Link, reason: str, /) -> None:
        """An admitted link is over, opened or not."""

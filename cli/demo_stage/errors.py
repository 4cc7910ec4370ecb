"""Why the demo could not be shown."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on; the text says what happened and what to do."""


class ChildError(DemoError):
    """A process of the demo did not start, or ended while it was needed."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class SlowMarketError(DemoError):
    """The trades that were asked for did not come about in time."""

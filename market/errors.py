"""What can be wrong with what a study was asked.

MarketError
  +- StudyError   a value of a request that makes no sense; `key` says which
  +- DataError    a data file that cannot be used; the text names file, line or key, and what is expected
"""

from __future__ import annotations

from reprlib import repr as short_repr


class MarketError(Exception):
    """Anything of this room's making."""


class StudyError(MarketError):
    """A setting, buyer or distribution that cannot be studied."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason

    def within(self, outer: str) -> StudyError:
        """Return the same fault seen from outside: its key below `outer`."""
        return StudyError(f"{outer}.{self.key}", self.reason)


def shown(value: object) -> str:
    """Return a value of somebody else's as a message can hold it: on one line, and not for pages."""
    return short_repr(value)


class DataError(MarketError):
    """A data file that is not what it should be."""

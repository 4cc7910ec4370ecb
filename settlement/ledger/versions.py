"""The undo log: what accounts held at the heights that can still be asked for.

Only what is overwritten is kept, once per account and height. The newest state lives elsewhere; `at` says whether an
account was different at an earlier height, and then what it held.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solders.account import Account
    from solders.pubkey import Pubkey


class Before(NamedTuple):
    """What an account held before a height changed it; None for one that did not exist."""

    height: int
    account: Account | None


class Versions:
    """What every recently changed account held before each change."""

    def __init__(self) -> None:
        self._of: dict[Pubkey, list[Before]] = {}
        self._changed: defaultdict[int, set[Pubkey]] = defaultdict(set)

    def record(self, key: Pubkey, height: int, before: Account | None) -> None:
        """Note that the block at `height` overwrites what an account held; only its first change counts."""
        versions = self._of.setdefault(key, [])
        if not versions or versions[-1].height < height:
            versions.append(Before(height, before))
            self._changed[height].add(key)

    def at(self, key: Pubkey, height: int) -> Before | None:
        """Return what an account held after the block at `height`; None when nothing has changed it since."""
        versions = self._of.get(key)
        if versions is None or versions[-1].height <= height:
            return None
        return next(version for version in versions if version.height > height)

    def changed_after(self, height: int) -> set[Pubkey]:
        """Return every account that differs, or may, from what it held after the block at `height`."""
        return self._union(change for change in self._changed if change > height)

    def changed_within(self, after: int, through: int) -> set[Pubkey]:
        """Return every account that the blocks above `after` and up to `through` changed."""
        return self._union(change for change in self._changed if after < change <= through)

    def forget(self, through: int) -> None:
        """Drop what only heights below `through` could be asked for."""
        for height in [height for height in self._changed if height <= through]:
            for key in self._changed.pop(height):
                kept = [version for version in self._of[key] if version.height > height]
                if kept:
                    self._of[key] = kept
                else:
                    del self._of[key]

    def _union(self, heights: Iterable[int]) -> set[Pubkey]:
        return {key for height in heights for key in self._changed[height]}

"""When each site stops selling, so that a run has exactly the trades that were asked for. Pure.

A site sells whole lots at full power, so it makes one trade at a time. It is stopped once as few trades are missing as
other sites can make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def sites_to_stop(missing: int, selling: Sequence[str], busy: Mapping[str, bool]) -> list[str]:
    """Return which of the selling sites must stop; `busy` = it delivers now, so stopping it costs no open lot.

    At most `missing` sites go on, because each may be about to make one trade more.
    """
    surplus = len(selling) - max(0, missing)
    if surplus <= 0:
        return []
    ordered = sorted(selling, key=lambda name: not busy.get(name, False))
    return ordered[:surplus]

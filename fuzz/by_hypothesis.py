"""The engine that needs nothing but hypothesis: mutated seeds and plain bytes, round after round."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROUND: Final = 200


def inputs(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes: any, or a seed with pieces overwritten, cut out, put in and joined."""
    edit = st.tuples(st.integers(0, 1 << 16), st.integers(0, 16), st.binary(max_size=16))
    mutated = st.builds(_edited, st.sampled_from(list(seeds)), st.lists(edit, max_size=8))
    return st.one_of(mutated, mutated, st.binary(max_size=512), st.lists(mutated, max_size=3).map(b"".join))


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, cut, put in edits:
        place = at % (len(data) + 1)
        data = data[:place] + put + data[place + cut :]
    return data


def fuzz(check: Callable[[bytes], None], seeds: Sequence[bytes], seconds: float) -> tuple[int, bytes | None]:
    """Return how many inputs were tried, and the smallest that breaks the target (None = none found)."""
    tried = 0
    broke: bytes | None = None

    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        derandomize=False,  # otherwise hypothesis draws the same inputs in every round where CI is set
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(seeds))
    def round_of(data: bytes) -> None:
        nonlocal tried, broke
        tried += 1
        try:
            check(data)
        except Exception:
            broke = data
            raise

    ends = time.monotonic() + seconds
    while broke is None and (tried == 0 or time.monotonic() < ends):
        try:
            round_of()
        except Exception:  # noqa: BLE001 - a find, and it is in `broke`; `--replay` shows its traceback
            break
    return tried, broke

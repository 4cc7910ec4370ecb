"""What a battery thinks of its buyers: a score from 0 to 10,000 and the penalty for awards left unconfirmed.

Pure: `now_ms` is handed in. The table is bounded; the buyer heard from longest ago is forgotten first, one
whose penalty ends late last (ETP section 6, rule 6 and "Reputation").
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

SCORE_START: Final = 5_000
SCORE_MAX: Final = 10_000
_RECOVERY_PER_HOUR: Final = 100
_HOUR_MS: Final = 3_600_000
_PENALTY_FIRST_MS: Final = 10_000
_PENALTY_MAX_MS: Final = 3_600_000
_BUYERS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One buyer's standing: score at `seen_ms`, and until when it is refused with code 6."""

    score: int = SCORE_START
    seen_ms: int = 0
    blocked_until_ms: int = 0
    next_penalty_ms: int = _PENALTY_FIRST_MS
    trades: int = 0

    def score_at(self, now_ms: int) -> int:
        """Return the score recovered to `now_ms`: 100 an hour, up to where everybody starts."""
        recovered = self.score + _RECOVERY_PER_HOUR * max(0, now_ms - self.seen_ms) // _HOUR_MS
        return max(self.score, min(recovered, SCORE_START))

    def confirmed(self, now_ms: int) -> Standing:
        """The buyer confirmed an award: 1/16 of the way to the top, penalties start small again."""
        score = self.score_at(now_ms)
        return replace(
            self,
            score=score + (SCORE_MAX - score) // 16,
            seen_ms=now_ms,
            next_penalty_ms=_PENALTY_FIRST_MS,
            trades=self.trades + 1,
        )

    def left_unconfirmed(self, now_ms: int) -> Standing:
        """The buyer let an award lapse: 1/8 of the way to 0, and refused for 10 s, doubling up to an hour."""
        score = self.score_at(now_ms)
        return replace(
            self,
            score=score - score // 8,
            seen_ms=now_ms,
            blocked_until_ms=now_ms + self.next_penalty_ms,
            next_penalty_ms=min(_PENALTY_MAX_MS, self.next_penalty_ms * 2),
        )


class ReputationBook:
    """The standings of the buyers one battery has met, by a key that outlives a connection where there is one."""

    def __init__(self, *, score_floor: int = 0) -> None:
        self._floor = score_floor
        self._standings: OrderedDict[str, Standing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._standings)

    def standing(self, buyer: str) -> Standing:
        """Return what is known of a buyer; a stranger starts in the middle."""
        return self._standings.get(buyer, _STRANGER)

    def restore(self, buyer: str, standing: Standing) -> None:
        """Put back a standing that the journal remembers."""
        self._put(buyer, standing)

    def refuses(self, buyer: str, now_ms: int) -> bool:
        """Whether bids of this buyer are refused with code 6 now."""
        standing = self._standings.get(buyer)
        if standing is None:
            return self._floor > SCORE_START
        return now_ms < standing.blocked_until_ms or (self._floor > 0 and standing.score_at(now_ms) < self._floor)

    def is_regular(self, buyer: str) -> bool:
        """Whether the buyer has confirmed a trade here: only such buyers' needs shape the lots."""
        return self.standing(buyer).trades > 0

    def confirmed(self, buyer: str, now_ms: int) -> Standing:
        """Record a confirmed award and return the new standing."""
        return self._put(buyer, self.standing(buyer).confirmed(now_ms))

    def left_unconfirmed(self, buyer: str, now_ms: int) -> Standing:
        """Record an award left unconfirmed and return the new standing."""
        return self._put(buyer, self.standing(buyer).left_unconfirmed(now_ms))

    def _put(self, buyer: str, standing: Standing) -> Standing:
        self._standings[buyer] = standing
        self._standings.move_to_end(buyer)
        if len(self._standings) > _BUYERS_MAX:
            oldest = min(islice(self._standings.items(), 64), key=lambda item: item[1].blocked_until_ms)[0]
            del self._standings[oldest]
        return standing


_STRANGER: Final = Standing()

"""What a refusal makes a buyer do, by reason code (ETP section 5), and how long it keeps away."""

from __future__ import annotations

from enum import Enum
from typing import Final

from etp.messages import ReasonCode


class Reaction(Enum):
    """What follows a refused bid."""

    OUTBID = "decide again at the price to beat"
    TOO_LOW = "decide again at the reserve"
    MUTE = "wait for the next push"
    PAUSE = "ask again shortly"
    AVOID = "keep away for a while, longer each time"
    YIELD = "slow down, more each time"


REACTIONS: Final[dict[int, Reaction]] = {
    ReasonCode.NONE: Reaction.MUTE,
    ReasonCode.PRICE_TOO_LOW: Reaction.TOO_LOW,
    ReasonCode.NOT_ENOUGH_ENERGY: Reaction.MUTE,
    ReasonCode.OFFLINE: Reaction.MUTE,
    ReasonCode.OUTBID: Reaction.OUTBID,
    ReasonCode.TOO_LATE: Reaction.PAUSE,
    ReasonCode.NOT_TRUSTED: Reaction.AVOID,
    ReasonCode.BUSY: Reaction.YIELD,
    ReasonCode.COVER_TOO_SMALL: Reaction.MUTE,
    ReasonCode.MALFORMED: Reaction.AVOID,
    ReasonCode.NOT_CONFIRMED: Reaction.PAUSE,
    ReasonCode.FAULT: Reaction.MUTE,
    ReasonCode.WITHDRAWN: Reaction.MUTE,
    ReasonCode.DUPLICATE_ID: Reaction.PAUSE,
    ReasonCode.NO_LOT: Reaction.MUTE,
    ReasonCode.DISPUTED: Reaction.MUTE,
}


def reaction_to(code: int) -> Reaction:
    """Return the reaction to a reason code; an unknown one mutes, because the next push says what is for sale."""
    return REACTIONS.get(code, Reaction.MUTE)


def failure_reason(code: int, told: str) -> str:
    """Return, for people, what a DeviceFailure says: the battery's own words where it sends some.

    Code 11 alone does not tell a fault from a loss (ETP section 7); the end of each trade does: 11 or 3.
    """
    if told:
        return told
    if code in (ReasonCode.FAULT, ReasonCode.NOT_ENOUGH_ENERGY):  # 2 is what the reference sends
        return "the battery has a fault or cannot be reached"
    if code == ReasonCode.OFFLINE:
        return "the battery cannot be reached"
    return f"the battery does not say why (code {code})"


PAUSE_MS: Final = 500
_AVOID_MS: Final = (10_000, 600_000)
"""The battery itself refuses for 10 s after a broken promise, doubling (ETP section 6 rule 6)."""
_YIELD_MS: Final = (1_000, 60_000)


class BackOff:
    """How long to keep away from one battery; each refusal of a kind doubles it, a normal answer forgets it."""

    __slots__ = ("_avoid_ms", "_yield_ms")

    def __init__(self) -> None:
        self._avoid_ms = _AVOID_MS[0]
        self._yield_ms = _YIELD_MS[0]

    def wait_ms(self, reaction: Reaction) -> int:
        """Return how long to send nothing after a refusal; 0 for reactions that do not wait."""
        match reaction:
            case Reaction.AVOID:
                wait_ms, self._avoid_ms = self._avoid_ms, min(_AVOID_MS[1], 2 * self._avoid_ms)
                return wait_ms
            case Reaction.YIELD:
                wait_ms, self._yield_ms = self._yield_ms, min(_YIELD_MS[1], 2 * self._yield_ms)
                return wait_ms
            case Reaction.PAUSE:
                return PAUSE_MS
            case Reaction.OUTBID | Reaction.TOO_LOW:
                self.reset()
                return 0
            case Reaction.MUTE:
                return 0

    def reset(self) -> None:
        """Forget earlier refusals."""
        self._avoid_ms, self._yield_ms = _AVOID_MS[0], _YIELD_MS[0]

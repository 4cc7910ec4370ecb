"""The stages of a session with one battery, and what moves it from one to the next.

A dot is a mistake of ours and raises:

                OPENED     GREETED    ASKED     BID        ANSWERED   CLOSED
    DOWN        GREETING   .          .         .          .          DOWN
    GREETING    .          READY      .         .          .          DOWN
    READY       .          READY      ASKING    PENDING    .          DOWN
    ASKING      .          ASKING     .         .          READY      DOWN
    PENDING     .          PENDING    .         .          READY      DOWN
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Stage(Enum):
    """What the session waits for."""

    DOWN = "down"
    GREETING = "greeting"
    READY = "ready"
    ASKING = "asking"
    PENDING = "pending"


class Input(Enum):
    """What moves a session from stage to stage."""

    OPENED = "connection opened"
    GREETED = "battery may be traded with"
    ASKED = "Query sent"
    BID = "Bid sent"
    ANSWERED = "Query or Bid answered, overtaken or given up"
    CLOSED = "connection closed"


MOVES: Final[dict[tuple[Stage, Input], Stage]] = {
    (Stage.DOWN, Input.OPENED): Stage.GREETING,
    (Stage.GREETING, Input.GREETED): Stage.READY,
    (Stage.READY, Input.GREETED): Stage.READY,
    (Stage.ASKING, Input.GREETED): Stage.ASKING,
    (Stage.PENDING, Input.GREETED): Stage.PENDING,
    (Stage.READY, Input.ASKED): Stage.ASKING,
    (Stage.READY, Input.BID): Stage.PENDING,
    (Stage.ASKING, Input.ANSWERED): Stage.READY,
    (Stage.PENDING, Input.ANSWERED): Stage.READY,
    **{(stage, Input.CLOSED): Stage.DOWN for stage in Stage},
}

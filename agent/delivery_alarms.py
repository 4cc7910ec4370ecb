"""What is wrong with a battery's deliveries, who was told, and whether selling must wait.

Two kinds: alarms that block selling until an operator acknowledges them (they survive a restart through the journal),
and those that end with their cause. A pause forbids deliveries for a while without anybody's doing; the one after the
grid was lost has an alarm of its own for as long as it lasts, so that a restart does not cut it short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agent.guardrails import GRID_LOST, Obstacle
from drivers.errors import BadReply, DeviceError, EchoFailed, ForeignWrite, LinkLost, NotReady
from etp.messages import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.delivery_log import DeliveryLog
    from agent.delivery_ports import DeliveryListener

GRID_PAUSE_MS: Final = 300_000
"""After the grid was lost nothing is delivered for 5 minutes (dispatch.md section 6)."""

NOT_READY_PAUSE_MS: Final = 60_000
"""A battery found in somebody else's mode is left alone for a minute before it is looked at again."""

FOREIGN: Final = "foreign-controller"
NOT_READY: Final = "battery-not-ready"
NO_EFFECT: Final = "setpoint-without-effect"
UNANSWERED: Final = "release-unanswered"
UNRELEASED: Final = "release-failed"
NO_ECHO: Final = "echo-failed"
REFUSED: Final = "command-refused"
GRID: Final = "grid-lost"
BLOCKING: Final = frozenset({FOREIGN, NO_EFFECT, UNRELEASED, NO_ECHO, REFUSED})
"""The alarms that block selling until an operator acknowledges them."""


class Verdict(NamedTuple):
    """What an error means: the trades' end code, the alarm ("" = none), and how often to try again before that."""

    code: ReasonCode
    alarm: str = ""
    retries: int = 0


_VERDICTS: Final[tuple[tuple[type[Exception], Verdict], ...]] = (
    (ForeignWrite, Verdict(ReasonCode.FAULT, FOREIGN)),
    (EchoFailed, Verdict(ReasonCode.FAULT, NO_ECHO)),
    (NotReady, Verdict(ReasonCode.FAULT, NOT_READY)),
    (LinkLost, Verdict(ReasonCode.OFFLINE, retries=2)),
    (BadReply, Verdict(ReasonCode.FAULT, REFUSED, retries=2)),
    (DeviceError, Verdict(ReasonCode.FAULT, REFUSED)),
    (Exception, Verdict(ReasonCode.FAULT)),
)


def verdict_of(error: Exception, *, releasing: bool) -> Verdict:
    """Return what an error means for the trades under delivery (dispatch.md sections 3 and 6)."""
    verdict = next(verdict for kind, verdict in _VERDICTS if isinstance(error, kind))
    if releasing and verdict.alarm in {NO_ECHO, REFUSED}:
        return verdict._replace(alarm=UNRELEASED)
    return verdict


class Alarms:
    """The alarms of one battery's deliveries."""

    def __init__(self, log: DeliveryLog, listener: DeliveryListener) -> None:
        self._log = log
        self._listener = listener
        self._raised: dict[str, str] = {}
        self._pause_until_ms = 0
        self._pause_reason = ""

    def restore(self, alarms: Mapping[str, str], now_ms: int) -> None:
        """Take over what an earlier start left: blocking alarms, and a grid that may have been lost a moment ago."""
        self._raised.update(alarms)
        if GRID in alarms:
            self.pause(GRID_LOST, now_ms + GRID_PAUSE_MS)

    def raise_(self, name: str, reason: str) -> None:
        """Raise an alarm; one that stands is not told twice."""
        if name not in self._raised:
            self._raised[name] = reason
            self._tell(name, reason, raised=True)

    def clear(self, name: str) -> None:
        """End an alarm whose cause has ended; nothing happens when it was not raised."""
        reason = self._raised.pop(name, None)
        if reason is not None:
            self._tell(name, reason, raised=False)

    def acknowledge(self) -> None:
        """An operator has looked: clear every alarm that blocks selling."""
        for name in [name for name in self._raised if name in BLOCKING]:
            self.clear(name)

    def pause(self, reason: str, until_ms: int) -> None:
        """Deliver nothing until a monotonic time."""
        if until_ms > self._pause_until_ms:
            self._pause_until_ms, self._pause_reason = until_ms, reason

    def observe_grid(self, grid_ok: bool | None, now_ms: int) -> None:
        """Pause when the grid is lost, and until it has been back for a while; None = not known, nothing changes."""
        if grid_ok is False:
            self.pause(GRID_LOST, now_ms + GRID_PAUSE_MS)
            self.raise_(GRID, GRID_LOST)
        elif grid_ok and now_ms >= self._pause_until_ms:
            self.clear(GRID)

    def obstacle(self, now_ms: int) -> Obstacle | None:
        """Return what forbids deliveries on our own account."""
        for name, reason in self._raised.items():
            if name in BLOCKING:
                return Obstacle(ReasonCode.FAULT, f"{name}: {reason}")
        if now_ms < self._pause_until_ms:
            return Obstacle(ReasonCode.FAULT, self._pause_reason)
        return None

    def unanswered(self) -> Obstacle | None:
        """Return the obstacle of a release that the battery does not answer."""
        reason = self._raised.get(UNANSWERED)
        return None if reason is None else Obstacle(ReasonCode.OFFLINE, reason)

    def _tell(self, name: str, reason: str, *, raised: bool) -> None:
        blocks = name in BLOCKING
        self._log.alarm(name, reason, raised=raised, blocks_selling=blocks)
        self._listener.delivery_alarm(name, reason, raised=raised, blocks_selling=blocks)

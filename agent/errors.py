"""What can be wrong in the gateway process.

AgentError
  +- ControlError         the control socket cannot be opened, or the other side of it is not what it should be
  |    +- NoAgentError    nobody listens on the control socket
  +- CommandRefusedError  a command over the control socket is not carried out; the text is for the person who sent it
  +- OrphanedBatteryError the journal owes something to a battery that the site file no longer names
  +- LogSettingError      a log level or format that does not exist

Errors of the site file stand in `agent.config`, those of the journal in `agent.journal_errors`.
"""

from __future__ import annotations


class AgentError(Exception):
    """Anything of this room's making."""


class ControlError(AgentError):
    """The control socket or the peer on it does not work as the control protocol says."""


class NoAgentError(ControlError):
    """No agent listens on the control socket."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"no agent listens on {path}; start one with `wattbid agent`, or name its socket with --socket"
        )
        self.path = path


class CommandRefusedError(AgentError):
    """A command that the site will not carry out, with the reason."""


class OrphanedBatteryError(AgentError):
    """A battery with open trades or under our command is gone from the site file."""


class LogSettingError(AgentError):
    """A log level or format that does not exist."""

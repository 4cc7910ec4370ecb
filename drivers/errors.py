"""What can go wrong between us and a battery.

DeviceError
  +- LinkLost        no connection, no answer in time, or the line is closed
  +- BadReply        an answer came and is not a valid answer to what was asked
  +- EchoFailed      a register does not hold what we wrote, after one retry
  +- ForeignWrite    a command register holds what we did not write: somebody else commands this battery
  +- NotReady        the device's state forbids it: not identified yet, local mode, foreign mode, no dead-man
  +- RangeError      the value asked for cannot be represented or is not allowed; nothing was written
  +- DeclarationError  a family file or an option is wrong
"""

from __future__ import annotations


class DeviceError(Exception):
    """Anything of this room's making; `device` names the battery or line, "" where none is known yet."""

    def __init__(self, reason: str, *, device: str = "") -> None:
        super().__init__(f"{device}: {reason}" if device else reason)
        self.reason = reason
        self.device = device


class LinkLost(DeviceError):  # noqa: N818 - named after what happened
    """No connection, no answer in time, or the line is closed; ask again later."""


class BadReply(DeviceError):  # noqa: N818 - named after what happened
    """An answer that is not a valid answer; `exception_code` is the device's own refusal, 0 where it gave none."""

    def __init__(self, reason: str, *, device: str = "", exception_code: int = 0) -> None:
        super().__init__(reason, device=device)
        self.exception_code = exception_code


class EchoFailed(DeviceError):  # noqa: N818 - named after what happened
    """`register` still holds `found` instead of `wanted` after one retry (dispatch.md section 6)."""

    def __init__(self, register: str, wanted: int, found: int, *, reason: str = "", device: str = "") -> None:
        super().__init__(reason or f"{register} holds {found} instead of {wanted}", device=device)
        self.register = register
        self.wanted = wanted
        self.found = found


class ForeignWrite(DeviceError):  # noqa: N818 - named after what happened
    """`register` holds `found` while we left `expected` there: another controller is at work; write nothing."""

    def __init__(self, register: str, expected: int, found: int, *, device: str = "") -> None:
        super().__init__(f"{register} holds {found}, we left {expected}: another controller writes", device=device)
        self.register = register
        self.expected = expected
        self.found = found


class NotReady(DeviceError):  # noqa: N818 - named after what happened
    """The device's state forbids what was asked; nothing was written."""


class RangeError(DeviceError):
    """A value outside what the device or its registers can hold; nothing was written."""


class DeclarationError(DeviceError):
    """A family file or an option that cannot be used; the text names file, place and what is allowed."""

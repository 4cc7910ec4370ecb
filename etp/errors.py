"""What can be wrong with what a peer sent, or with what we were asked to send.

EtpError
  +- FrameLengthError   the length prefix is outside 84..1024: the connection closes
  +- BodyError          the 84 bytes are refused; `field` says which
  +- ExtensionError     the bytes after the body are not well-formed extensions
  +- AuthError          signature, key or timestamp of an Auth extension does not hold
"""

from __future__ import annotations


class EtpError(Exception):
    """Anything of this room's making."""


class FrameLengthError(EtpError):
    """A length prefix outside the permitted range."""

    def __init__(self, length: int) -> None:
        super().__init__(f"frame length {length} is outside 84..1024 bytes")
        self.length = length


class BodyError(EtpError):
    """A body that a decoder must refuse (ETP section 1)."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ExtensionError(EtpError):
    """Bytes after the body that are not ascending, complete tag-length-value items."""


class AuthError(EtpError):
    """An Auth extension that does not prove what it claims; the text is fit for a log, not for the peer."""

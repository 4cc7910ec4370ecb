"""TLS without a transport: ciphertext in, plaintext out, and the other way round.

asyncio's own TLS hides the handshake from connection limits and keeps a buffer of its own behind the write buffer, so
that "drained" would be told too early; and it needs a real transport. Here a link stays the owner of its transport.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Final

from etp.errors import EtpError

_READ_BYTES: Final = 65_536


class TlsError(EtpError):
    """The handshake or a record failed; the text is OpenSSL's."""


class TlsEngine:
    """One side of a TLS connection."""

    __slots__ = ("_incoming", "_object", "_outgoing", "is_closed", "is_ready")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self.is_ready = False
        """The handshake is done."""
        self.is_closed = False
        """The peer said goodbye: nothing more will come."""

    def begin(self) -> None:
        """Start the handshake; a client's first bytes are then in `pending`."""
        self._handshake()

    def receive(self, data: bytes) -> bytes:
        """Take in ciphertext and return the plaintext it completes. Raises TlsError; `pending` then holds the alert."""
        self._incoming.write(data)
        if not self.is_ready:
            self._handshake()
            if not self.is_ready:
                return b""
        chunks: list[bytes] = []
        try:
            while chunk := self._object.read(_READ_BYTES):
                chunks.append(chunk)
        except ssl.SSLWantReadError:
            return b"".join(chunks)
        except ssl.SSLZeroReturnError:
            chunks.append(b"")
        except ssl.SSLError as error:
            raise TlsError(str(error)) from error
        self.is_closed = True
        return b"".join(chunks)

    def encrypt(self, data: bytes) -> bytes:
        """Return the ciphertext to write for `data`, the handshake's remains included; nothing on a broken connection.

        Whoever breaks it while our frames wait for him to read gets no more of them; the link is closing.
        """
        with contextlib.suppress(ssl.SSLError):
            self._object.write(data)
        return self._outgoing.read()

    def pending(self) -> bytes:
        """Return what TLS itself has to say: handshake, alerts."""
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """Return the bytes that end the conversation in order."""
        if self.is_ready:
            with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's goodbye
                self._object.unwrap()
        return self._outgoing.read()

    def _handshake(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise TlsError(str(error)) from error
        self.is_ready = True

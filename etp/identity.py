"""Who is at the other end of a connection, and whether a frame is really his (ETP section 2).

A connection belongs to nobody until its first Register (or, under open rules, its first signed frame) proves a key;
from then on it belongs to that key alone and every frame but Query and QueryResponse must be signed by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auth import NOBODY, AuthPolicy, check_frame
from etp.errors import AuthError
from etp.messages import BODY_BYTES, MessageType

if TYPE_CHECKING:
    from etp.extensions import Auth, Extensions

UNSIGNED_TYPES: Final = frozenset({MessageType.QUERY, MessageType.QUERY_RESPONSE})
"""The two types that need no Auth: they ask and tell, and bind nobody."""


class Refusal(NamedTuple):
    """Why a frame does not count; `forged` when it claims a key that it does not prove."""

    reason: str
    forged: bool = False


class Identity:
    """The peer of one connection: "conn:<n>" until a key is proved, then "key:<64 hex>"."""

    __slots__ = ("_own_key", "_policy", "peer", "registered", "signer", "trades_unsigned")

    def __init__(self, policy: AuthPolicy, conn_id: int) -> None:
        self._policy = policy
        self._own_key = NOBODY if policy.signer is None else policy.signer.public_key
        self.trades_unsigned = False
        self.peer = f"conn:{conn_id}"
        self.signer: bytes | None = None
        self.registered = False

    @property
    def needs_auth(self) -> bool:
        """Whether frames must be signed by now."""
        return self.signer is not None or self._policy.peers == "signed"

    @property
    def signs(self) -> bool:
        """Whether what we send on this connection is signed."""
        return self._policy.signer is not None and self.needs_auth

    def admit(self, kind: int, frame: bytes, extensions: Extensions, wall_ms: int) -> Refusal | None:
        """Return None when the frame counts as this peer's; its first valid signature binds the connection."""
        auth = extensions.auth
        if auth is None or (kind in UNSIGNED_TYPES and self.signer is None and self._policy.peers == "signed"):
            return self._admit_unsigned(kind)
        refusal = self._claim(kind, auth)
        if refusal is not None:
            return refusal
        introduces = self.signer is None and kind == MessageType.REGISTER
        peers = (self._own_key, NOBODY) if introduces else (self._own_key,)
        try:
            self.signer = check_frame(
                frame[:BODY_BYTES],
                auth,
                extensions.rest,
                peers=peers,
                wall_ms=wall_ms,
                max_skew_ms=self._policy.max_skew_ms,
            )
        except AuthError as error:
            return Refusal(str(error), forged=True)
        self.peer = f"key:{self.signer.hex()}"
        return None

    def _admit_unsigned(self, kind: int) -> Refusal | None:
        if kind in UNSIGNED_TYPES:
            return None
        if self.signer is not None:
            return Refusal("every frame of a signed connection needs Auth")
        if self._policy.peers == "signed":
            return Refusal("Register with Auth comes first")
        return None

    def _claim(self, kind: int, auth: Auth) -> Refusal | None:
        """What can be said against a signed frame without looking at its signature."""
        if not self._policy.trusts(auth.signer):
            return Refusal("this key is not trusted here")
        if self.signer is not None:
            return None if auth.signer == self.signer else Refusal("not the key that registered", forged=True)
        if self._policy.peers == "signed" and kind != MessageType.REGISTER:
            return Refusal("Register with Auth comes first")
        if self.trades_unsigned:
            return Refusal("this connection already trades unsigned")
        return None

"""Who is at the other end of a connection, and whether a frame is really his (ETP section 2).

A connection belongs to nobody until its first Register (or, under open rules, its first signed frame) proves a key;
from then on it belongs to that key alone and every frame but Query and QueryResponse must be signed by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auth import NOBODY, AuthPolicy, check_frame
from etp.messages import BODY_BYTES, MessageType, ReasonCode

if TYPE_CHECKING:
    from etp.extensions import Extensions

UNSIGNED_TYPES: Final = frozenset({MessageType.QUERY, MessageType.QUERY_RESPONSE})
"""The two types that need no Auth: they ask and tell, and bind nobody."""


class Refusal(NamedTuple):
    """Why a frame does not count; `forged` when it claims a key that it does not prove."""

    reason: str
    forged: bool = False
    code: ReasonCode = ReasonCode.NOT_TRUSTED


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

    def claim(self, kind: int, extensions: Extensions) -> Refusal | None:
        """Return what can be said against a signed frame, or one that had to be, without looking at its signature."""
        auth = extensions.auth
        if auth is None or self._is_open_to_all(kind):
            return self._claim_unsigned(kind)
        if not self._policy.trusts(auth.signer):
            return Refusal("this key is not trusted here")
        if self.signer is not None:
            return None if auth.signer == self.signer else Refusal("not the key that registered", forged=True)
        if self._policy.peers == "signed" and kind != MessageType.REGISTER:
            return Refusal("Register with Auth comes first")
        if self.trades_unsigned:
            return Refusal("this connection already trades unsigned")
        return None

    def prove(self, kind: int, frame: bytes, extensions: Extensions, wall_ms: int) -> bytes | None:
        """Return the signer of a frame that `claim` let pass, None for an unsigned one; the first binds the connection.

        Raises AuthError when the Auth does not hold.
        """
        auth = extensions.auth
        if auth is None or self._is_open_to_all(kind):
            return None
        introduces = self.signer is None and kind == MessageType.REGISTER
        signer = check_frame(
            frame[:BODY_BYTES],
            auth,
            extensions.rest,
            peers=(self._own_key, NOBODY) if introduces else (self._own_key,),
            wall_ms=wall_ms,
            max_skew_ms=self._policy.max_skew_ms,
        )
        if self.signer is None:
            self.signer = signer
            self.peer = f"key:{signer.hex()}"
        return signer

    def _is_open_to_all(self, kind: int) -> bool:
        """Whether the Auth of a frame is not looked at: it asks or tells before its sender has introduced himself."""
        return kind in UNSIGNED_TYPES and self.signer is None and self._policy.peers == "signed"

    def _claim_unsigned(self, kind: int) -> Refusal | None:
        if kind in UNSIGNED_TYPES:
            return None
        if self.signer is None:
            return Refusal("Register with Auth comes first")
        return Refusal("every frame of a signed connection needs Auth")

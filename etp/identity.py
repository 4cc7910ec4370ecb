"""Who is at the other end of a connection, and whether a frame is really his (ETP section 2).

A connection belongs to nobody until its first Register (or, under open rules, its first signed frame) proves a key;
from then on it belongs to that key alone and every frame but Query and QueryResponse must be signed by it. A frame that
was overheard proves nothing: `prove` looks at the signature, whether it is the first of its kind is for the intake to
know, and only then may it `bind`.

A Register for nobody may have been overheard where it was seen before, at another battery. So a connection that it has
bound is only said to be its signer's, until it carries a frame for our own key: then it `is_proven`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auth import NOBODY, AuthPolicy, check_frame
from etp.messages import BODY_BYTES, MessageType, ReasonCode

if TYPE_CHECKING:
    from etp.extensions import Auth, Extensions

UNSIGNED_TYPES: Final = frozenset({MessageType.QUERY, MessageType.QUERY_RESPONSE})
"""The two types that need no Auth: they ask and tell, and bind nobody."""


class Refusal(NamedTuple):
    """Why a frame does not count; `forged` when it claims a key that it does not prove."""

    reason: str
    forged: bool = False
    code: ReasonCode = ReasonCode.NOT_TRUSTED


class Identity:
    """The peer of one connection: by the connection's own name until a key is proved, then "key:<64 hex>".

    Who `greets_strangers`, a battery, takes a first Register that is for nobody. Who dials does not: the answer knows
    whom it is for, and a Register for nobody is what batteries multicast, for everybody to hear and to repeat.
    """

    __slots__ = (
        "_greets_strangers",
        "_own_key",
        "_policy",
        "is_proven",
        "peer",
        "registered",
        "signer",
        "trades_unsigned",
        "turned_away",
    )

    def __init__(self, policy: AuthPolicy, name: str, *, greets_strangers: bool) -> None:
        self._policy = policy
        self._greets_strangers = greets_strangers
        self._own_key = NOBODY if policy.signer is None else policy.signer.public_key
        self.trades_unsigned = False
        self.is_proven = False
        """Whether a signature for our key, never seen before, has come: only its signer can have sent it here."""
        self.peer = name
        self.signer: bytes | None = None
        self.registered = False
        self.turned_away: Refusal | None = None
        """Why the peer's introduction was not accepted, if that is worth telling."""

    @property
    def needs_auth(self) -> bool:
        """Whether frames must be signed by now."""
        return self.signer is not None or self._policy.peers == "signed"

    def claim(self, kind: int, extensions: Extensions) -> Refusal | None:
        """Return what can be said against a signed frame, or one that had to be, without looking at its signature."""
        auth = extensions.auth
        if auth is None or self.is_open_to_all(kind):
            return self._claim_unsigned(kind)
        if not self._policy.trusts(auth.signer):
            return Refusal("this key is not trusted here")
        if self.signer is not None:
            return None if auth.signer == self.signer else Refusal("not the key that registered", forged=True)
        if self._policy.peers == "signed" and kind != MessageType.REGISTER:
            return self.turned_away or Refusal("Register with Auth comes first")
        if self.trades_unsigned:
            return Refusal("this connection already trades unsigned")
        return None

    def prove(self, kind: int, frame: bytes, auth: Auth, rest: bytes, wall_ms: int) -> bytes:
        """Return the signer of a signed frame that `claim` let pass. Raises AuthError when the Auth does not hold."""
        introduces = self.signer is None and kind == MessageType.REGISTER and self._greets_strangers
        return check_frame(
            frame[:BODY_BYTES],
            auth,
            rest,
            peers=(self._own_key, NOBODY) if introduces else (self._own_key,),
            wall_ms=wall_ms,
            max_skew_ms=self._policy.max_skew_ms,
        )

    def bind(self, signer: bytes) -> None:
        """Let the connection belong to a key that has been proved on it, by a signature never seen before."""
        self.signer = signer
        self.peer = f"key:{signer.hex()}"
        self.turned_away = None

    def heard(self, auth: Auth) -> None:
        """Note a frame that was proved by a signature never seen before."""
        if auth.peer != NOBODY:
            self.is_proven = True

    def is_open_to_all(self, kind: int) -> bool:
        """Whether the Auth of a frame is not looked at: it asks or tells before its sender has introduced himself."""
        return kind in UNSIGNED_TYPES and self.signer is None and self._policy.peers == "signed"

    def _claim_unsigned(self, kind: int) -> Refusal | None:
        if kind in UNSIGNED_TYPES:
            return None
        if self.signer is None:
            return Refusal("Register with Auth comes first")
        return Refusal("every frame of a signed connection needs Auth")

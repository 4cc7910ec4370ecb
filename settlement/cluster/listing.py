"""All accounts of one kind that a program has."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final, TypeVar

from settlement.exchange import to_base58
from settlement.program.codec import LayoutError, Record
from settlement.program.layout import offsets
from settlement.program.schema import ACCOUNTS
from settlement.rpc import Question

if TYPE_CHECKING:
    from settlement.cluster.landing import Lander

R = TypeVar("R", bound=Record)

ACCOUNTS_MAX: Final = 10_000


async def records(lander: Lander, program: bytes, kind: type[R], **fields: bytes) -> list[R]:
    """Return up to 10,000 accounts as confirmed, those alone whose fields are as named. Raises RpcError."""
    at = offsets(next(account.fields for account in ACCOUNTS if account.name == kind.__name__))
    same = {0: kind.DISCRIMINATOR, **{at[name]: value for name, value in fields.items()}}
    filters = [
        {"dataSize": kind.SIZE},
        *({"memcmp": {"offset": offset, "bytes": to_base58(value)}} for offset, value in same.items()),
    ]

    def read(value: object) -> list[R]:
        if not isinstance(value, list) or len(value) > ACCOUNTS_MAX:
            raise ValueError(f"no list of up to {ACCOUNTS_MAX} accounts")
        try:
            return [kind.decode(base64.b64decode(item["account"]["data"][0], validate=True)) for item in value]
        except (KeyError, IndexError, TypeError, ValueError, LayoutError) as error:
            raise ValueError(f"an account that cannot be read: {error!r}") from error

    options = {"commitment": "confirmed", "encoding": "base64", "filters": filters}
    asked = Question("getProgramAccounts", [to_base58(program), options], read)
    found: list[R] = await lander.patiently(lambda: lander.client.call(asked))
    return found

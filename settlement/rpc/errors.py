"""What can go wrong with an endpoint of a ledger.

RpcError                  which endpoint, which method, what is wrong
  +- UnreachableError     no connection, a dropped one, no answer in time
  +- ThrottledError       429, as a status or in the body: too many requests; says how long to wait, where known
  +- UnavailableError     5xx, or a node that says that it is unhealthy
  +- GarbledError         an answer that is no JSON-RPC: a captive portal's page, another request's answer, too long
  +- StaleNodeError       a node that has not seen what another one showed us
  +- WrongClusterError    a node of another cluster: nothing is signed for it, nothing is sent to it
  +- RefusedError         the node understood the request and refuses it: code, message, data
      +- PreflightError   a transaction that fails when it is simulated; says why, where the node says it
NoEndpointError           no endpoint may be asked at present; says until when

Endpoints are shown without path, query and password: many carry a secret there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from settlement.errors import SettlementError

if TYPE_CHECKING:
    from collections.abc import Mapping


def shown(url: str) -> str:
    """Return an endpoint without what may be secret in it: scheme, host and port."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an endpoint that is no URL"
    host = parts.hostname or "?"
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


class RpcError(SettlementError):
    """A request that an endpoint did not answer as asked."""

    def __init__(self, url: str, method: str, problem: str) -> None:
        super().__init__(f"{shown(url)}: {method}: {problem}")
        self.url = url
        self.method = method
        self.problem = problem


class UnreachableError(RpcError):
    """No answer at all."""


class ThrottledError(RpcError):
    """Too many requests; `retry_after_s` seconds as the endpoint wishes, None where it does not say."""

    def __init__(self, url: str, method: str, problem: str, *, retry_after_s: float | None) -> None:
        super().__init__(url, method, problem)
        self.retry_after_s = retry_after_s


class UnavailableError(RpcError):
    """A server that is there and cannot answer at present; `retry_after_s` as in ThrottledError."""

    def __init__(self, url: str, method: str, problem: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(url, method, problem)
        self.retry_after_s = retry_after_s


class GarbledError(RpcError):
    """Something answered that does not speak JSON-RPC, or answered something else."""


class StaleNodeError(RpcError):
    """A node behind the slot that was asked for."""


class WrongClusterError(RpcError):
    """A node of another cluster than the file names."""


NOT_TAKEN: Final = (ThrottledError, StaleNodeError, WrongClusterError)
"""After one of these the endpoint certainly did not act on what it was sent."""


class RefusedError(RpcError):
    """A JSON-RPC error of the node itself."""

    def __init__(self, url: str, method: str, *, code: int, message: str, data: Any = None) -> None:
        super().__init__(url, method, f"refused with code {code}: {message}")
        self.code = code
        self.message = message
        self.data = data


class PreflightError(RefusedError):
    """A transaction that the node simulated and that failed; nothing was sent to the cluster."""

    @property
    def failure(self) -> Any:
        """The transaction error in the node's JSON, None where the node gave none."""
        return self.data.get("err") if isinstance(self.data, dict) else None

    @property
    def logs(self) -> tuple[str, ...]:
        """What the programs logged, as far as the node tells it."""
        lines = _mapping(self.data).get("logs")
        return tuple(line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()


class NoEndpointError(SettlementError):
    """Every endpoint has failed lately; the first may be asked again in `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"all endpoints failed lately; the next try is in {wait_s:.0f} s")
        self.wait_s = wait_s


def _mapping(data: object) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}

"""docs/aggregator-file.md, made from the models: `python -m aggregator.config_reference > docs/aggregator-file.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from aggregator.config import AggregatorConfig, Bidding, Buy, Network, Value
from aggregator.config_settlement import Settlement
from aggregator.strategies import NAMES, parameters_of

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_INTRO: Final = """\
# The aggregator's configuration file

One TOML file tells a buyer where batteries are, what a kWh is worth to it, how much it wants and how it bids.
`wattbid aggregator --config FILE` runs it; `deploy/examples/aggregator.toml` is a file to start from.

- It is read once, at start. Unknown keys, wrong types and values that cannot work are refused with one line: file,
  line, key, what is wrong, what is allowed.
- Prices are in c/kWh, energies in kWh, money in c. Paths are relative to the directory of the file.
- A buyer never promises more than its need and its budget: every bid on its way, every trade not ended and everything
  bought in the period count.
- Bids stay at or below what a kWh is worth: forecast - fee - margin + private part, lowered when spending runs ahead of
  an even pace, and by what the battery failed to deliver before.

This page is made from the file's own description: `python -m aggregator.config_reference > docs/aggregator-file.md`.
"""
_MONEY: Final = """\
### How trades are paid

With `[settlement]` the buyer needs `peers = "signed"`, a root file or keystore (its `wallet` key pays, its `identity`
key signs), and for each battery a Line with money on it (`wattbid line open`, `wattbid line allot`). It bids only where

- the battery's Register carries the same terms as this table: `program_id`, `genesis`, `mint`, `resolver`,
  `base_units_per_cent`, `fee_bps` and `dispute_window_s`;
- the Line to that battery covers the bid with its fee, beside all trades that are not paid yet.

What stands in the way is said once for each battery (`not_payable`), and when it is gone (`payable`). The program's fee
comes on top of each price, so it comes off what a kWh is worth; `budget_c` counts prices without it.

A trade is confirmed when its contract, signed by both, is on disk in `cheques`. Of a delivery the buyer sees the
battery's reports, every 5 s, and knows the power granted. It signs a receipt whose figure lies within the tolerance
above the most that this allows; any other is answered with the buyer's own figure, and a claim on the ledger for more
is disputed. Time in which it saw nothing (a lost connection, a restart) counts at the full power granted: a network
that failed is not the battery's fault. There is one final receipt of a trade; it is answered the same whenever it comes
again, also after a restart. Receipts that both signed are brought to the ledger, and paid for, by this process.
"""
_OUTPUT: Final = """\
## What it prints

The first line on standard output is `ready name=NAME device=ID batteries=N`, where N counts the batteries listed in the
file. With `--json` every line is one JSON object instead; the first has `"event":"ready"`, and each carries `event`,
`at_ms` (time of day) and `aggregator`. Logs go to standard error.

| event | fields besides `battery` | when |
|---|---|---|
| `connected`, `lost` | `reason` | a connection opened, ended |
| `unreachable` | `reason`, `circuit` | a dial failed; the circuit is open after 5 failures in 60 s |
| `bid` | `bid_id`, `price_e4`, `energy_wh`, `beat_e4`, `value_e4` | a Bid was sent |
| `refused` | `bid_id`, `code`, `price_e4`, `energy_wh`, `beat_e4`, `reason` | it was refused or outbid |
| `accepted` | `bid_id`, `price_e4`, `energy_wh`, `power_w` | it won; the Confirm is on its way |
| `not_confirmed` | `bid_id`, `price_e4`, `energy_wh`, `why` | an Accept of something that was not bid |
| `confirmed` | `bid_id`, `price_e4`, `energy_wh` | the battery acknowledged: the trade exists |
| `delivering` | `bid_id`, `price_e4`, `energy_wh`, `delivered_wh` | it reported energy |
| `ended` | `bid_id`, `code`, `price_e4`, `energy_wh`, `delivered_wh`, `assumed` | it is over; `assumed`: never told |
| `adrift` | `bid_id`, `price_e4`, `energy_wh` | an unsigned trade lost its connection |
| `unanswered` | `bid_id`, `price_e4`, `energy_wh` | a bid got no answer for 5 s |
| `failed` | `code`, `reason` | the battery reported a failure |
| `crashed` | `reason` | a fault of this program; the battery is dialled again |
| `not_payable`, `payable` | `why` | the battery is not bid to, and why; it is again |
| `cosigned` | `bid_id`, `trade_id`, `own_wh` | its final receipt is signed by both |
| `disputed` | `bid_id`, `trade_id`, `delivered_wh`, `own_wh` | a receipt says more than can have been delivered |
| `not_cosigned` | `bid_id`, `trade_id`, `own_wh` | its final receipt was not answered: `cosign = false` |
| `receipt_refused` | `bid_id`, `why` | a receipt whose signature does not hold, or of no trade of ours |
| `second_receipt` | `bid_id`, `trade_id`, `delivered_wh`, `own_wh` | another final receipt than before: not signed |

Of no battery are `cheques_failed` (`reason`) and `cheques_recovered`: the journal takes no writes, and nothing is bid
meanwhile; `outbox_full`; and what the settler tells: `trade_moved`, `transaction_sent`, `transaction_failed`,
`line_changed`, `connected`, `offline`, `wrong_cluster`, `low_sol`, `endpoint_failed`, `endpoint_recovered`,
`cheque_refused`, `claim_unjudged` (nothing is known of its delivery: it is paid unless a figure comes),
`outbox_failed`, `outbox_recovered`.

Prices are in 1/10 000 c/kWh (`_e4`), energies in Wh, powers in W. A battery is named by its endpoint.

## The status file

One JSON object, written anew every second: need, budget and market, `connected`, `batteries[]`, and of all connections
since the start, closed ones included:

- `latency_ms`: by type of the frames that it sent (`"BidConfirm"`, ...) the `count`, how many were `late` (sent after
  their limit), the `p99` and the `limit` in ms. Types that were never sent are left out.
- `connections`: what became of the frames: `received`, `bad` (undecodable, misdirected, forged), `expired` (ttl 0),
  `dropped` (without a second effect), `superseded` (ours, replaced by newer ones before they left); `repeated`,
  `over_rate` and `unanswered` are counted by batteries only.
- `settlement`, with `[settlement]`: the settler's state, the wallet with its lamports and tokens, transactions on their
  way, trades by stage on the ledger (`stages`) and between the parties (`trades`). Each battery then has a `line`: the
  `cover`, and what of it is `locked` by claims, `promised` to open trades and `free`, in base units; and `why_not`.
"""


def reference() -> str:
    """Return the page."""
    parts = [_INTRO]
    tables: list[tuple[str, type[BaseModel]]] = [
        ("", AggregatorConfig),
        ("network", Network),
        ("buy", Buy),
        ("value", Value),
        ("strategy", Bidding),
    ]
    for name, model in tables:
        parts.append(_section(name, model) if name else f"## The whole\n\n{_table(model)}")
    parts.append("### Parameters\n\n" + _parameters())
    parts.append(_section("settlement", Settlement))
    parts.append(_MONEY)
    parts.append(_OUTPUT)
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel]) -> str:
    return f"## `[{name}]`\n\n{model.__doc__}\n\n{_table(model)}"


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{key}` | {_default(field)} | {_allowed(field)} | {field.description} |"
        for key, field in model.model_fields.items()
        if not field.exclude
    ]
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    return "its own defaults" if hasattr(value, "model_fields_set") else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _allowed(field: FieldInfo) -> str:
    bounds = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(rule, name)
    }
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is None or high is None:
        return ""
    above = "above " if "gt" in bounds else ""
    below = "below " if "lt" in bounds else ""
    return f"{above}{_number(low)} to {below}{_number(high)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _parameters() -> str:
    rows = ["| strategy | key | default | allowed | meaning |", "|---|---|---|---|---|"]
    for name in NAMES:
        known = parameters_of(name)
        rows += [
            f"| `{name}` | `{key}` | `{rule.default:g}` | {rule.low:g} to {rule.high:g} | {rule.text} |"
            for key, rule in known.items()
        ] or [f"| `{name}` | | | | no parameters |"]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

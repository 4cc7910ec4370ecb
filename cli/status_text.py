"""What `wattbid status` prints for people: a snapshot as a few lines, an event as one line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cli.status_price import price_lines
from cli.status_settlement import settlement_lines
from cli.words import counted, price

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEAD: Final = ("battery", "SoC", "power", "voltage", "state", "lot", "to beat", "reserve", "bids", "delivering")
_UNKNOWN: Final = "-"
_NOTHING_LEFT: Final = {
    "no power is free": "waiting for free power",
    "what is left is promised": "sold out",
    "no energy above the floor and the owner's share": "sold out",
    "the reserve is being worked out": "waiting for its price",
}
"""Why nothing is on offer though selling is allowed (agent.offer), and what to call it while nothing is delivered."""
_ODD: Final = {
    "bad": "bad",
    "expired": "expired",
    "over_rate": "above the rate",
    "dropped": "dropped",
    "repeated": "answered again",
    "superseded": "superseded",
}
"""What may be wrong with frames (etp.counts), in words."""


def snapshot_text(snapshot: Mapping[str, Any]) -> str:
    """Return a snapshot as text. Missing figures are shown as `-`."""
    lines = [_title(snapshot), ""]
    lines += _table([_HEAD, *(_battery(battery) for battery in snapshot.get("batteries", ()))])
    if prices := [line for battery in snapshot.get("batteries", ()) for line in price_lines(battery)]:
        lines += ["", *prices]
    if paid := [line for battery in snapshot.get("batteries", ()) for line in settlement_lines(battery)]:
        lines += ["", *paid]
    alarms = snapshot.get("alarms", ())
    lines += ["", *_reasons(snapshot.get("batteries", ()), alarms), *_alarms(alarms)]
    metrics = snapshot.get("metrics") or {}
    if total := metrics.get("total"):
        lines += ["", "since start:", *(f"  {line}" for line in _figures(metrics, total))]
    lines += _troubled_tasks(snapshot.get("tasks", ()))
    return "\n".join(lines)


def event_text(event: Mapping[str, Any]) -> str:
    """Return an event as one line."""
    fields = " ".join(f"{k}={_short(v)}" for k, v in event.items() if k not in ("event", "number", "at_ms"))
    return f"{_clock(event.get('at_ms'))} #{event.get('number')} {event.get('event')} {fields}".rstrip()


def _title(snapshot: Mapping[str, Any]) -> str:
    up_s = (snapshot.get("at_ms", 0) - snapshot.get("started_at_ms", 0)) // 1_000
    hours, minutes = up_s // 3_600, up_s % 3_600 // 60
    up = f"{hours} h {minutes} min" if hours else f"{minutes} min {up_s % 60} s"
    return f"{snapshot.get('site', '?')}: agent {snapshot.get('version', '?')}, up {up}"


def _battery(battery: Mapping[str, Any]) -> tuple[str, ...]:
    lot = battery.get("lot")
    deliveries = battery.get("deliveries") or ()
    return (
        str(battery.get("name", "?")),
        _unit(battery.get("soc_permille"), 10, "%", 1),
        _unit(battery.get("power_w"), 1_000, "kW", 2),
        _unit(battery.get("voltage_mv"), 1_000, "V", 1),
        _state(battery),
        f"{_energy(lot.get('energy_wh'))}, {_unit(lot.get('power_w'), 1_000, 'kW', 1)}" if lot else "none",
        price(lot.get("price_to_beat_e4")) if lot else _UNKNOWN,
        price(battery.get("reserve_e4")),
        str(len(lot.get("standing", ()))) if lot else "0",
        "; ".join(_delivery(delivery) for delivery in deliveries) or _UNKNOWN,
    )


def _state(battery: Mapping[str, Any]) -> str:
    """Return how a battery is in a few words; why is told by its alarm."""
    if not battery.get("connected"):
        return "no contact"
    if battery.get("fault"):
        return "fault"
    reason = battery.get("stopped") or ""
    if reason and reason not in _NOTHING_LEFT:
        return "stopped, delivering" if battery.get("deliveries") else "stopped"
    if battery.get("deliveries"):
        return "delivering" if reason else "selling, delivering"
    return _NOTHING_LEFT.get(reason, "selling")


def _delivery(delivery: Mapping[str, Any]) -> str:
    delivered, agreed = _energy(delivery.get("delivered_wh", 0)), _energy(delivery.get("energy_wh", 0))
    return f"{delivered} of {agreed} at {price(delivery.get('price_e4'))}"


def _reasons(batteries: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why batteries do not sell where no alarm says it: a battery that is too cold is no alarm."""
    told = {(alarm.get("battery"), alarm.get("reason")) for alarm in alarms}
    lines = []
    for battery in batteries:
        name, stopped, fault = battery.get("name", "?"), battery.get("stopped") or "", battery.get("fault") or ""
        if fault and not any(of == name and fault in str(reason) for of, reason in told):
            lines.append(f"{name}: fault: {fault}")
        if stopped and stopped != fault and stopped not in _NOTHING_LEFT and (name, stopped) not in told:
            lines.append(f"{name}: {stopped}")
    return lines


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> list[str]:
    if not alarms:
        return ["no alarms"]
    return [
        f"ALARM {_clock(alarm.get('at_ms'))} {alarm.get('battery') or 'agent'}: {alarm.get('name')}: "
        f"{alarm.get('reason')}{' (selling is blocked)' if alarm.get('blocks_selling') else ''}"
        for alarm in alarms
    ]


def _figures(metrics: Mapping[str, Any], total: Mapping[str, Any]) -> list[str]:
    return [*_competition(total), *_answers(metrics), *_traffic(metrics)]


def _competition(total: Mapping[str, Any]) -> list[str]:
    lines = [
        (
            f"{counted(total.get('lots'), 'lot')}, {total.get('lots_with_competition')} with competition, "
            f"{_bidders(total.get('average_distinct_bidders'))} a lot on average, "
            f"sold {_percent(total.get('success_rate'))}; "
            f"{counted(total.get('trades'), 'trade')}, {_energy(total.get('delivered_wh'))} delivered, "
            f"average price {price(total.get('average_price_e4'))}"
        )
    ]
    for key, words in (("one_bidder", "one bidder"), ("several_bidders", "several bidders")):
        gains = total.get(key) or {}
        if gains.get("trades"):
            lines.append(
                f"  {words}: {counted(gains['trades'], 'trade')}, "
                f"above reserve {price(gains.get('average_improvement_e4'))} "
                f"({_figure(gains.get('average_improvement_percent'))} %) on average, "
                f"best {price(gains.get('best_improvement_e4'))}"
            )
    return lines


def _bidders(average: float | None) -> str:
    return f"{_figure(average)} {'bidder' if average == 1 else 'bidders'}"


def _answers(metrics: Mapping[str, Any]) -> list[str]:
    bids, frames = metrics.get("bid_processing_ms") or {}, metrics.get("frames") or {}
    return [
        (
            f"bids answered in {bids.get('p50', _UNKNOWN)} ms (p50), {bids.get('p99', _UNKNOWN)} ms (p99); "
            f"{frames.get('unanswered', _UNKNOWN)} of {counted(frames.get('received'), 'frame')} unanswered "
            f"({_percent(frames.get('unanswered_share'))}, target < {_percent(frames.get('target_share'))})"
        )
    ]


def _traffic(metrics: Mapping[str, Any]) -> list[str]:
    """What was sent, by type and how late; and what was wrong with what came, if anything was."""
    sent, came = metrics.get("latency_ms") or {}, metrics.get("connections") or {}
    lines = []
    if sent:
        late, count = (sum(figures[name] for figures in sent.values()) for name in ("late", "count"))
        by_type = ", ".join(_sent(name, figures) for name, figures in sent.items())
        lines.append(f"{late} of {counted(count, 'frame')} sent late: {by_type}")
    if odd := ", ".join(f"{came[name]} {words}" for name, words in _ODD.items() if came.get(name)):
        lines.append(f"frames of all connections: {odd}")
    return lines


def _sent(name: str, figures: Mapping[str, int]) -> str:
    late = f", {figures['late']} late" if figures["late"] else ""
    return f"{figures['count']} {name} (p99 {figures['p99']} ms{late})"


def _troubled_tasks(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_troubled(task) for task in tasks if task.get("crashes")]


def _troubled(task: Mapping[str, Any]) -> str:
    crashes = counted(task.get("crashes"), "crash", "crashes")
    return f"task {task.get('name')}: {task.get('state')}, {crashes}, last: {task.get('last_error')}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _unit(value: float | None, divisor: int, unit: str, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value / divisor:.{digits}f} {unit}"


def _energy(energy_wh: int | None) -> str:
    """Return an energy in kWh, below one in Wh: 100 Wh a lot and 3 Wh delivered are figures too."""
    if energy_wh is None or abs(energy_wh) < 1_000:
        return _unit(energy_wh, 1, "Wh", 0)
    return _unit(energy_wh, 1_000, "kWh", 1 if energy_wh % 100 == 0 else 2)


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.1f} %"


def _figure(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:g}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _clock(at_ms: int | None) -> str:
    return _UNKNOWN if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1_000, tz=UTC):%H:%M:%S}"

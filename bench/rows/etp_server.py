"""What a bid costs the agent, as a share of what a bare echo of the same bytes costs.

100 connections in a closed loop, server and client pinned to a core each; CPU per request is utime + stime of the
server. Echo and agent take turns, so that both see the same machine; only windows count in which the server kept its
core busy. The agent is the production gateway with a lot that ten standing bids fill for the whole run.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bench.children import Child
from bench.clients import BUSY, CONNECTIONS, Duel, Load, Rounds, cost_us, duel
from bench.machine import cores
from bench.report import Figure
from bench.rows.signed import signed_frames
from etp.frame import encode_tcp
from etp.messages import Body

if TYPE_CHECKING:
    from bench.settings import Settings

_FOR_EVER_MS: Final = 86_400_000
_STANDING: Final = 10
_LOT_WH: Final = 5_000
_HIGH_E4: Final = 10_000_000


def run(settings: Settings) -> list[Figure]:
    """Measure refusals, displacing bids and signed bids."""
    with Child("bench.echo", core=cores().server) as echo, Load(echo.ready["port"], echo.pid) as yardstick:
        yardstick.window(settings.pick(1.0, 0.1))
        return [
            *_refusals(settings, yardstick),
            *_displacing(settings, yardstick),
            *_signed(settings, yardstick),
        ]


def _refusals(settings: Settings, yardstick: Load) -> list[Figure]:
    """Bids below what stands: validated, checked for duplicates, evaluated, refused with the price to beat."""
    with ExitStack() as tidy:
        shop = tidy.enter_context(_shop(settings, "refuse"))
        fill(tidy, shop.ready["port"])
        load = tidy.enter_context(Load(shop.ready["port"], shop.pid))
        load.window(settings.pick(3.0, 0.2))  # until every table of message ids is full
        fight = duel(yardstick, load, _rounds(settings))
    refused = sum(window.codes.get("4", 0) for window in fight.ours)
    answers = sum(window.answers for window in fight.ours)
    note = "" if fight.valid else f"a server was not {BUSY:.0%} busy: {_busy(fight)}; is the machine in use?"
    return [
        Figure(key="etp_server.echo.cpu_us", value=cost_us(fight.echo), unit="us"),
        Figure(key="etp_server.refuse.cpu_us", value=cost_us(fight.ours), unit="us"),
        Figure(
            key="etp_server.refuse.ratio_to_echo",
            value=fight.ratio,
            target=0.50,
            sense=">=",
            valid=fight.valid and refused == answers,
            note=note or f"{answers / sum(window.seconds for window in fight.ours):,.0f} a second, all code 4",
        ),
        Figure(key="etp_server.refuse.p99_ms", value=max(w.p99_ms for w in fight.ours), unit="ms"),
    ]


def _displacing(settings: Settings, yardstick: Load) -> list[Figure]:
    """Every bid is higher than all before: most of them push another out (those of one wake-up go in drawn order)."""
    with ExitStack() as tidy:
        shop = tidy.enter_context(_shop(settings, "displace", doubling=0))
        port = shop.ready["port"]
        load = tidy.enter_context(Load(port, shop.pid, price_e4=400_000, step_e4=100, swing=0))
        load.window(settings.pick(1.0, 0.1))
        before = shop.ask(do="figures")["entered"]
        first = load.window(settings.pick(1.0, 0.1))
        entered = shop.ask(do="figures")["entered"] - before
        fight = duel(yardstick, load, _rounds(settings)._replace(most=settings.count(12, 1)))
    share = entered / first.answers if first.answers else 0.0
    return [
        Figure(key="etp_server.displace.cpu_us", value=cost_us(fight.ours), unit="us"),
        Figure(
            key="etp_server.displace.ratio_to_echo",
            value=fight.ratio,
            valid=fight.valid,
            note=f"{share:.0%} of the bids entered, each pushing another out",
        ),
    ]


def _signed(settings: Settings, yardstick: Load) -> list[Figure]:
    """Signed peers: every bid's signature is checked, every answer signed."""
    with ExitStack() as tidy:
        shop = tidy.enter_context(_shop(settings, "signed", peers="signed"))
        rounds = settings.count(150, 3)
        path = settings.room("frames") / "frames"
        path.write_bytes(signed_frames(bytes.fromhex(shop.ready["key"]), buyers=CONNECTIONS, rounds=rounds))
        load = tidy.enter_context(Load(shop.ready["port"], shop.pid, frames=path))
        echo = yardstick.window(settings.pick(1.0, 0.1))
        window = load.window(60.0)  # until every frame is answered
    fight = Duel([echo], [window], valid=window.busy >= BUSY)
    whole = window.answers == CONNECTIONS * (rounds + 1) and not window.closed
    refused = "" if set(window.codes) <= {"0", "1"} else f"codes {window.codes}"
    return [
        Figure(
            key="etp_server.signed.messages_per_s",
            value=window.answers / window.seconds,
            unit="/s",
            target=1_000,
            sense=">=",
            valid=whole and not refused,
            note=refused or f"server {window.busy:.0%} busy, p99 {window.p99_ms:.0f} ms",
        ),
        Figure(key="etp_server.signed.late", value=window.late, target=0, valid=whole, note="answers over 500 ms"),
        Figure(key="etp_server.signed.ratio_to_echo", value=fight.ratio, valid=fight.valid),
    ]


def fill(tidy: ExitStack, port: int) -> None:
    """Fill the lot with bids that nobody will beat, from connections that stay."""
    for _ in range(_STANDING):
        buyer = tidy.enter_context(socket.create_connection(("127.0.0.1", port)))
        buyer.sendall(encode_tcp(Body.bid(1, 7, price_e4=_HIGH_E4, energy_wh=_LOT_WH // _STANDING)))
    # An answer to a question shows that the bids before it have been judged.
    with socket.create_connection(("127.0.0.1", port)) as asker:
        while True:
            asker.sendall(encode_tcp(Body.query(1, 7, energy_wh=500)))
            answer = Body.decode(asker.recv(88), 4)
            if answer.sale_price_e4 >= _HIGH_E4:
                return


def _shop(settings: Settings, name: str, **more: object) -> Child:
    room = str(settings.room(name))
    options = {"standing_ms": _FOR_EVER_MS, "lot_wh": _LOT_WH, **more}
    return Child("bench.shop", core=cores().server, directory=room, **options)


def _rounds(settings: Settings) -> Rounds:
    return Rounds(0.1, 1, 1) if settings.quick else Rounds()


def _busy(fight: Duel) -> str:
    return ", ".join(
        f"{name} {min(w.busy for w in windows):.0%} to {max(w.busy for w in windows):.0%}"
        for name, windows in (("echo", fight.echo), ("ours", fight.ours))
    )

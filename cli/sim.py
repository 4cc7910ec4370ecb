"""`wattbid sim battery`: a simulated battery on real sockets, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import signal
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.endings import hang_up_ends

if TYPE_CHECKING:
    from drivers.sim.device import SimulatedBattery

app = typer.Typer(help="Simulated devices on real sockets.", no_args_is_help=True, add_completion=False)
_CONTROL_PORT_ABOVE: Final = 1_000  # the default control port is the Modbus port + 1000


@app.callback()
def sim() -> None:
    """Run a simulated device on real sockets."""


@app.command()
def battery(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Modbus TCP port; 0 = any.")] = 5020,
    unit: Annotated[int, typer.Option(min=1, max=247, help="Modbus unit.")] = 1,
    capacity_wh: Annotated[int, typer.Option(help="Rated energy in Wh.")] = 13_500,
    power_w: Annotated[int, typer.Option(help="Rated power in W, both directions.")] = 5_000,
    soc: Annotated[float, typer.Option(min=0, max=100, help="State of charge at the start, in per cent.")] = 80.0,
    time_lapse: Annotated[int, typer.Option(help="Energy and warmth run this much faster; timers do not.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Draws the measurement noise and the serial number.")] = 0,
    models: Annotated[str, typer.Option(help="SunSpec control model: 704, or 124 as old devices have it.")] = "704",
    own_power_w: Annotated[int, typer.Option(help="Power under its own control in W, positive = charging.")] = 0,
    ramp_w_per_s: Annotated[int, typer.Option(help="How fast power changes; 0 = rated power in a second.")] = 0,
    faults: Annotated[str, typer.Option(help="Faults on from the start, as in silent,slow=500.")] = "",
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Loopback control port; 0 = any.", show_default="the Modbus port + 1000: 6020"
        ),
    ] = None,
) -> None:
    """Run one simulated battery: SunSpec over Modbus TCP, faults and truth over a control port."""
    from drivers.sim.device import SimulatedBattery
    from drivers.sim.faults import parse_faults
    from drivers.sim.physics import BatteryConfig
    from drivers.sim.server import PortTakenError

    hang_up_ends()
    if control_port is None:
        control_port = port + _CONTROL_PORT_ABOVE if port and port + _CONTROL_PORT_ABOVE <= 65535 else 0
    try:
        _check_host(host)
        config = BatteryConfig(
            capacity_wh=capacity_wh,
            rated_power_w=power_w,
            soc_permille=round(soc * 10),
            time_lapse=time_lapse,
            own_power_w=own_power_w,
            ramp_w_per_s=ramp_w_per_s,
        )
        device = SimulatedBattery(config, profile=models, unit=unit, seed=seed)
        for name, value in parse_faults(faults):
            device.set_fault(name, value)
        asyncio.run(_serve(device, host, port, control_port))
    except (ValueError, PortTakenError) as error:
        typer.echo(f"wattbid sim battery: {error}{_advice(error)}", err=True)
        raise typer.Exit(2 if isinstance(error, ValueError) else 1) from error


def _check_host(host: str) -> None:
    try:
        good = bool(host.encode("idna"))
    except UnicodeError:
        good = False
    if not good:
        raise ValueError(f"--host {host!r} is not an address or a host name")


def _advice(error: Exception) -> str:
    cause = error.__cause__
    in_use = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
    return "; choose another port, 0 = any" if in_use else ""


async def _serve(device: SimulatedBattery, host: str, port: int, control_port: int) -> None:
    from drivers.sim.control_port import ControlPort
    from drivers.sim.server import ModbusServer

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = ModbusServer(device)
    control = ControlPort(server)
    try:
        bound = await server.start(host, port)
        control_bound = await control.start(control_port)
        place = f"[{host}]" if ":" in host else host
        print(f"ready modbus={place}:{bound} unit={device.unit} control=127.0.0.1:{control_bound}", flush=True)
        await stop.wait()
    finally:
        await control.close()
        await server.close()

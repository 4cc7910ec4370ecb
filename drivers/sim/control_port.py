"""The loopback control port of a simulated battery: JSON lines in, one JSON line out for each.

`{"cmd": "truth"}` what is really so · `{"cmd": "faults"}` every switch and what it does ·
`{"cmd": "fault", "name": N, "value": V}` on · `{"cmd": "clear", "name": N}` off (all without a name) ·
`{"cmd": "set", "soc_permille": N, "own_power_w": N}` · `{"cmd": "write", "model": M, "name": P, "value": V}` writes a
point as a foreign controller would · `{"cmd": "drop"}` closes the Modbus connections once.
Answers: `{"ok": true, ...}` or `{"ok": false, "error": TEXT}`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from drivers.sim.controls import IllegalValueError
from drivers.sim.faults import FAULTS
from drivers.sim.image import IllegalAddressError, TornPointError
from drivers.sim.server import PortTakenError, why

if TYPE_CHECKING:
    from drivers.sim.server import ModbusServer

LINE_BYTES_MAX: Final = 4_096
CLIENTS_MAX: Final = 8


class ControlPort:
    """Answers control lines about one served battery. Binds loopback only."""

    def __init__(self, modbus: ModbusServer) -> None:
        self._modbus = modbus
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def start(self, port: int) -> int:
        """Bind on 127.0.0.1 and return the port. Raises PortTakenError."""
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=LINE_BYTES_MAX)
        except OSError as error:
            raise PortTakenError(f"cannot listen for control on 127.0.0.1:{port}: {why(error)}") from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening and close every client."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._clients):
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while len(self._clients) <= CLIENTS_MAX and (line := await reader.readline()):
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError):
            writer.transport.abort()  # gone, or a line beyond the limit: there is nobody to tell
        finally:
            self._clients.discard(writer)
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """Perform one line and return its answer."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise TypeError("a line is a JSON object")  # noqa: TRY301 - told to the client below
            return {"ok": True, **self._perform(request)}
        except (ValueError, TypeError, KeyError, IllegalValueError, IllegalAddressError, TornPointError) as error:
            return {"ok": False, "error": f"{error.__class__.__name__}: {error}"}

    def _perform(self, request: dict[str, Any]) -> dict[str, Any]:
        device, now_ms = self._modbus.device, self._modbus.now_ms()
        device.advance(now_ms)
        match request.get("cmd"):
            case "truth":
                return device.truth(now_ms)
            case "faults":
                return {"faults": {name: fault.meaning for name, fault in FAULTS.items()}}
            case "fault":
                device.set_fault(request["name"], request.get("value"))
                if device.faults.on("disconnect"):
                    self._modbus.drop_connections()
            case "clear":
                device.clear_fault(request.get("name"))
            case "set":
                self._set(request)
            case "write":
                self._write(request, now_ms)
            case "drop":
                self._modbus.drop_connections()
            case other:
                raise ValueError(f"no command {other!r}")
        return {"faults": device.faults.active()}

    def _set(self, request: dict[str, Any]) -> None:
        model = self._modbus.device.model
        if "soc_permille" in request:
            model.set_soc(int(request["soc_permille"]))
        if "own_power_w" in request:
            model.own_power_w = float(request["own_power_w"])

    def _write(self, request: dict[str, Any], now_ms: int) -> None:
        device = self._modbus.device
        address, size = device.address_of(int(request["model"]), str(request["name"]))
        number = int(request["value"]) & ((1 << 16 * size) - 1)
        registers = [(number >> shift) & 0xFFFF for shift in range(16 * (size - 1), -16, -16)]
        device.write(address, registers, now_ms)

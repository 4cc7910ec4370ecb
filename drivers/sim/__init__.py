"""A simulated battery: physics behind a SunSpec device on a real Modbus TCP socket, with fault switches.

Lives here: the battery's physics, the SunSpec register image it shows (written from the SunSpec models, never from our
drivers' declarations), the Modbus TCP server, the faults and their loopback control port. Never here: anything a real
installation needs. Only the command line, the simulation, the benchmarks and tests may import it; the agent and the
drivers outside this folder never do.
"""

"""Fuzzing of everything that reads what strangers write: frames, connections, site files, control lines.

`make fuzz`, or `python -m fuzz --seconds N`. `targets` says what must hold, `seeds` where mutation starts; the engine
is atheris (coverage-guided), or hypothesis where atheris cannot be installed. What was found lies in `build/fuzz` and
is run again with `--replay FILE`; each find becomes a named test.

Nothing of the product imports this room.
"""

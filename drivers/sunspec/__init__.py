"""SunSpec: finding the chain of models on a device.

Lives here: the walk along the chain and its limits. Never here: what the models' points mean (that is
`drivers/families/sunspec.toml`) or any socket. Only `drivers.discovery` uses it.
"""

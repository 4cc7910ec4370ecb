"""The program on the chain as Python sees it: addresses, accounts, instructions, events and errors.

`schema` is the one description; `python -m settlement.program.generate` writes from it the modules `accounts`,
`events`, `instructions` and `failures` here, the IDL, and the constants that the Rust side is checked against. The
program itself is in `programs/settlement/`.
"""

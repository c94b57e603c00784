"""How the Pulumi CLI, the language host, the plugins and the Python environment get onto a machine.

`toolchain/setup` makes them, `toolchain/run CMD…` runs a command with them. This package runs on a bare
Python 3.11: standard library only.
"""

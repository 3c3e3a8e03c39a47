"""The command line: serve, run, review, demo, doctor, keys, agents, migrate, simulator.

While a service owns the data directory, commands speak to it over its own doors; otherwise they start
what they need in this process, on the same code path.
"""

from flynn.cli.commands import main

__all__ = ["main"]

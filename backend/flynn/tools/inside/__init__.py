"""Programs that run inside the sandbox, each a file by itself: they decode what a workspace holds.

Nothing here is imported by the service. A program gets a place and a path, writes one line of JSON to
its standard output and behind it, perhaps, bytes; flynn.tools.workshop trusts neither.
"""

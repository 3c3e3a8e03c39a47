"""The only spawner of processes over a workspace.

No sandbox, no process: when no backend passes the probe, running raises SandboxUnavailable.
"""

"""How the embedded server is set up: durable, small, silent about what people say."""

from collections.abc import Mapping
from pathlib import Path

from flynn.store.embedded.servers import mark_of

SLOT_KEEPS = "4GB"
"""Most log that is held back for a receiver that is away; then its slot is lost, and a new base is due."""


def server_settings(
    cluster: Path, *, socket_directory: Path, fsync: bool, max_connections: int, overrides: Mapping[str, str]
) -> dict[str, str]:
    """PostgreSQL's settings by name, for its command line: not in a file, so that the settings of a new
    version reach an old cluster. `fsync=False` turns all durability off; `overrides` wins.
    """
    durable = "on" if fsync else "off"
    return {
        "cluster_name": mark_of(cluster),
        "listen_addresses": "",
        # Relative to the cluster, which the server enters first: that path is always short enough.
        "unix_socket_directories": "." if socket_directory == cluster else str(socket_directory),
        "unix_socket_permissions": "0700",
        "max_connections": str(max_connections),
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        # Durability, and a log that a base backup can be replayed from.
        "fsync": durable,
        "synchronous_commit": durable,
        "full_page_writes": durable,
        "wal_level": "replica",
        "max_wal_senders": "4",
        # A receiver of backups that does not come any more must not fill the disk.
        "max_slot_wal_keep_size": SLOT_KEEPS,
        "max_wal_size": "512MB",
        "min_wal_size": "64MB",
        # A small service's memory.
        "shared_buffers": "32MB",
        "huge_pages": "off",
        "jit": "off",
        "max_worker_processes": "4",
        "max_logical_replication_workers": "0",
        # Errors of statements reach who sent them; their text and values have no business in a log.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
        "log_line_prefix": "",
        "log_timezone": "UTC",
        "lc_messages": "C",
        **overrides,
    }

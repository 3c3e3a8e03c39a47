"""The figures of the backups, for Prometheus: by the names that those of an embedded database have."""

import contextlib
import math
import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from flynn.ops.disk import used_ratio


class Figures:
    """What the service's /metrics says, by the names that the backups of an embedded database have."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.age = Gauge(
            "flynn_backup_age_seconds",
            "How old the newest base is; while there is none, for how long there should have been one.",
            registry=self.registry,
        )
        self.lag = Gauge(
            "flynn_backup_lag_seconds",
            "How far the received log is behind the database; NaN before anything is received.",
            registry=self.registry,
        )
        self.bytes = Gauge(
            "flynn_backup_bytes",
            "What all backups take on the disk, their log included.",
            registry=self.registry,
        )
        self.disk = Gauge(
            "flynn_disk_used_ratio",
            "How full the disk of the backups is, from 0 to 1, as df counts it.",
            ["place"],
            registry=self.registry,
        )
        self.taken = Counter(
            "flynn_backups", "Bases that were begun, by how they ended.", ["outcome"], registry=self.registry
        )
        for gauge in (self.age, self.lag, self.bytes):
            gauge.set(math.nan)

    def weigh(self, directory: Path) -> None:
        """Count the bytes beneath `directory`; what goes away meanwhile does not count. Blocks.

        And see how full its disk is, which no process of the service has mounted.
        """
        total = 0
        for folder, _, names in os.walk(directory):
            for name in names:
                with contextlib.suppress(OSError):
                    total += Path(folder, name).lstat().st_size
        self.bytes.set(total)
        if (used := used_ratio(directory)) is not None:
            self.disk.labels("backups").set(used)

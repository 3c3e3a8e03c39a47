"""A reading: the values of a process's metrics at one moment, and what grew between two of them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
"""A sample's name, such as `flynn_steps_total`, and its labels."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Values by name and labels."""

    values: Mapping[Key, float] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """The value of a metric without labels; None when there is none, or it is not a number."""
        found = self.values.get((name, ()))
        return None if found is None or math.isnan(found) else found

    def labelled(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """The values of a metric that are there, with their labels."""
        for (each, labels), value in self.values.items():
            if each == name and not math.isnan(value):
                yield dict(labels), value

    def grown(self, before: "Reading") -> "Reading":
        """What was added since `before`, nothing too. Of use for counters and parts of histograms."""
        return Reading({key: value - before.values.get(key, 0.0) for key, value in self.values.items()})


def read(registry: CollectorRegistry) -> Reading:
    """Read all metrics now."""
    return Reading(
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in registry.collect()
            for sample in family.samples
        }
    )

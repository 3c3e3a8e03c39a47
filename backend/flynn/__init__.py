"""Flynn: the Flynn-Dev agent as a service. The rooms and their arrows are drawn in docs/architecture.md."""

__version__ = "0.1.0"

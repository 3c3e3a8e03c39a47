"""What the documents' tests share with those of the command line."""

from tests.cli.conftest import simulator

__all__ = ["simulator"]

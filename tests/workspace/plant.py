"""Plants trees for reviews."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, str | bytes]


def plant(root: Path, files: Files) -> Path:
    """Write `files`, by their paths, beneath `root`; texts lose what all their lines are indented by."""
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = textwrap.dedent(content).lstrip("\n").encode() if isinstance(content, str) else content
        target.write_bytes(data)
    return root

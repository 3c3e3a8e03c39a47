"""Stands in for `docker` in tests of the scripts: it writes down what it is asked, and answers like Docker.

It runs nothing, and imports little, since a script asks often. What the commands do with an engine is shown
by scripts/drill-compose.sh.

DIRECTORY/calls       a line for each call, its words separated by spaces
DIRECTORY/answers     JSON, a list: how a call begins, its status, its output; the first that fits is given.
                      {NAME} in an output is that setting of .env
"""

import json
import os
import sys
from pathlib import Path


def main() -> int:
    """Answer the call of the command line; one that nobody thought of succeeds in silence."""
    directory = Path(os.environ["DOCKER_DOUBLE"])
    line = " ".join(sys.argv[1:])
    with (directory / "calls").open("a") as calls:
        calls.write(f"{line}\n")
    for beginning, status, output in json.loads((directory / "answers").read_text()):
        if line.startswith(beginning):
            text = str(output)
            for entry in Path(".env").read_text().splitlines():
                name, _, value = entry.partition("=")
                text = text.replace(f"{{{name}}}", value)
            sys.stdout.write(text)
            return int(status)
    return 0


if __name__ == "__main__":
    sys.exit(main())

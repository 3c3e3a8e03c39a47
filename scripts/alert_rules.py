#!/usr/bin/env python3
"""Writes deploy/monitoring/alerts.yml, the alerts for Prometheus, from the rules in the code.

.venv/bin/python scripts/alert_rules.py           write it
.venv/bin/python scripts/alert_rules.py --check   fail, with status 1, when it is out of date
"""

import sys
from pathlib import Path

from flynn.ops.alerts.prometheus import render
from flynn.ops.alerts.rules import RULES

FILE = Path(__file__).resolve().parent.parent / "deploy" / "monitoring" / "alerts.yml"


def main() -> int:
    """Write the file, or check it."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.stderr.write("alert_rules.py: the only option is --check\n")
        return 2
    if not sys.argv[1:]:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(render(RULES))
        return 0
    if FILE.exists() and FILE.read_text() == render(RULES):
        return 0
    sys.stderr.write(
        "deploy/monitoring/alerts.yml is out of date; run: .venv/bin/python scripts/alert_rules.py\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""docs/metrics.md is what the code says."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "metrics_doc.py"


def test_the_page_about_metrics_is_current() -> None:
    checked = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_only_one_option_is_known() -> None:
    refused = subprocess.run([sys.executable, SCRIPT, "--chekc"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2

"""A workflow that GitHub refuses, and whose tests would run nothing if it did not."""

from pathlib import Path

import yaml

from tests.e2e.delegation import Delegation, attempt, run, script_beside

WORKFLOW = ".github/workflows/checks.yml"

FILES = {
    WORKFLOW: """\
name: Checks

on:
  push:
    branches: [main]
  pull-request:
    branches: [main]

permissions:
  contents: read

jobs:
  tests:
    runs_on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - name: Run the tests
        run: python3 -m unittest discover -s test -t .

  package:
    needs: [test]
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
      - name: Build the archive
        run: tar -czf rates.tar.gz rates
""",
    "rates/__init__.py": "",
    "rates/rate.py": '''\
"""Rates of change."""


def rate(before: float, after: float) -> float:
    """By how much `after` is more than `before`, as a share of it."""
    return (after - before) / before
''',
    "tests/__init__.py": "",
    "tests/test_rate.py": """\
import unittest

from rates.rate import rate


class Rates(unittest.TestCase):
    def test_a_half_more(self) -> None:
        self.assertEqual(rate(2, 3), 0.5)

    def test_less_is_below_zero(self) -> None:
        self.assertLess(rate(4, 3), 0)
""",
}


def verify(before: Path, after: Path, place: Path) -> None:
    schema = ("python", "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    assert attempt(before, *schema).returncode == 1
    run(after, *schema)
    workflow = yaml.safe_load((after / WORKFLOW).read_text())
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as a boolean
    jobs = workflow["jobs"]
    assert list(jobs) == ["tests", "package"]
    assert all(need in jobs for job in jobs.values() for need in job.get("needs", []))
    was = yaml.safe_load((before / WORKFLOW).read_text())["jobs"]
    assert jobs["package"]["steps"] == was["package"]["steps"]
    [step] = [step["run"] for step in jobs["tests"]["steps"] if "run" in step]
    assert "Ran 2 tests" in run(after, "bash", "-c", step).stderr
    assert attempt(before, "bash", "-c", step.replace("tests", "test")).returncode != 0
    run(after, "bash", "-c", f"cd {after} && tar -czf {place / 'rates.tar.gz'} rates")


DELEGATION = Delegation(
    name="broken-workflow",
    files=FILES,
    order={
        "title": "A workflow that runs",
        "instructions": "The workflow of this repository does not run any more, and nobody saw when "
        "it stopped. Find out why and mend it.",
        "acceptance_criteria": ["the workflow is valid", "its tests are really run"],
    },
    script=script_beside(__file__),
    changed=frozenset({WORKFLOW}),
    verify=verify,
    exit_codes=(1, 1, 0, 0),
)

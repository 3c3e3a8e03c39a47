"""`flynn run` with a budget: it ends where that is reached, and says how to let it go on."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow

SCENARIO = """
name: looks
turns:
  - blocks: [{tool: Glob, input: {pattern: "*"}}]
  - blocks: [{text: Done.}]
"""


@pytest.mark.parametrize(
    ("options", "reason", "limit", "least"),
    [
        (["--max-dollars", "0.01", "--max-turns", "1"], "task_turns", "turns", 2),
        (["--max-tokens", "1000"], "task_tokens", "tokens", 16_000),
    ],
    ids=["turns", "tokens"],
)
def test_what_a_task_may_use_is_said_and_how_to_raise_it(
    shell: Shell,
    simulator: Callable[..., str],
    tmp_path: Path,
    options: list[str],
    reason: str,
    limit: str,
    least: int,
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    model = {"ANTHROPIC_BASE_URL": simulator(SCENARIO), "ANTHROPIC_API_KEY": "scripted"}

    done = shell.flynn("run", "look around", *options, cwd=place, **model)

    assert done.returncode == 1
    assert f"Waiting ({reason}): The task has used" in done.stdout
    (body,) = re.findall(r"curl -X POST \S+/budget .*-d '(.*)'", done.stdout)
    assert list(json.loads(body)) == ["task"]
    assert list(json.loads(body)["task"]) == [limit]
    assert json.loads(body)["task"][limit] >= least


def test_a_limit_that_is_none_is_refused(shell: Shell, tmp_path: Path) -> None:
    done = shell.flynn("run", "look", "--max-minutes", "0", cwd=tmp_path)

    assert done.returncode == 2
    assert "--max-minutes" in done.stderr

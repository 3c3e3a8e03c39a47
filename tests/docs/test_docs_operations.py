"""docs/operations.md: its command answers, and the fields that it speaks of are there."""

import json
import re
from pathlib import Path

import pytest

from flynn.domain.operations import OperationsView
from tests.api.whole.doors import open_doors
from tests.conftest import ROOT
from tests.docs.blocks import block, blocks_of
from tests.docs.programs import run

OPERATIONS = "docs/operations.md"
SCRIPT = "name: well\nturns: [{ blocks: [{ text: Here I am. }] }]\n"


def test_every_field_that_is_spoken_of_is_there() -> None:
    table = (ROOT / OPERATIONS).read_text().partition("| Field |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    assert len(names) >= 10
    for name in names:
        fields = OperationsView.model_fields
        for piece in name.split("."):
            assert piece in fields, name
            fields = getattr(fields[piece].annotation, "model_fields", {})


@pytest.mark.slow
async def test_the_command_shows_the_numbers(tmp_path: Path) -> None:
    assert [(each.language, each.name) for each in blocks_of(OPERATIONS)] == [("bash", "operations")]
    async with open_doors(tmp_path, script=SCRIPT) as doors:
        key = doors.owner.headers["authorization"].removeprefix("Bearer ")
        text = block(OPERATIONS, "bash", "operations").with_address(doors.url)
        ended = await run(text, "bash", tmp_path, variables={"FLYNN_KEY": key})
    assert ended.status == 0, ended
    shown = OperationsView.model_validate(json.loads(ended.output))
    assert shown.whole is True

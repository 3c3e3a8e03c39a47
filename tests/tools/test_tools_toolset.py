"""The set: definitions that never vary, and arguments checked in words."""

import json
from dataclasses import replace
from typing import Any

import pytest

from flynn.tools.toolset import TOOLS, definitions, execute
from tests.tools.conftest import Conversation

_DESCRIPTIONS = {name: f"About {name}." for name in TOOLS}


def test_the_tools_have_claude_codes_names_and_parameters() -> None:
    parameters = {
        tool["name"]: list(tool["input_schema"]["properties"]) for tool in definitions(TOOLS, _DESCRIPTIONS)
    }
    assert parameters == {
        "Read": ["file_path", "offset", "limit", "pages"],
        "Write": ["file_path", "content"],
        "Edit": ["file_path", "old_string", "new_string", "replace_all"],
        "Glob": ["pattern", "path"],
        "Grep": [
            *("pattern", "path", "glob", "type", "output_mode", "-A", "-B", "-C", "context"),
            *("-n", "-i", "-o", "head_limit", "offset", "multiline"),
        ],
        "Bash": ["command", "timeout", "description", "run_in_background"],
        "TaskOutput": ["task_id", "block", "timeout"],
        "TaskStop": ["task_id"],
    }
    assert [name for name, tool in TOOLS.items() if tool.writes] == ["Write", "Edit", "Bash", "TaskStop"]


def test_who_changes_a_definition_changes_nobody_elses() -> None:
    first = definitions(["Read"], _DESCRIPTIONS)
    before = json.dumps(first)
    first[0]["input_schema"]["properties"]["file_path"]["description"] = "changed"
    assert json.dumps(definitions(["Read"], _DESCRIPTIONS)) == before


def test_definitions_are_stable_whatever_the_order_asked() -> None:
    first = json.dumps(definitions(["Read", "Bash"], _DESCRIPTIONS))
    assert json.dumps(definitions(["Bash", "Read", "Read"], _DESCRIPTIONS)) == first
    with pytest.raises(KeyError, match="Nope"):
        definitions(["Nope"], {"Nope": "x"})


def test_schemas_hold_nothing_but_what_a_model_needs() -> None:
    def keys(shape: Any) -> set[str]:
        if isinstance(shape, dict):
            return {key for key in shape if key != "properties"}.union(
                *(keys(value) for value in shape.get("properties", {}).values())
            )
        return set()

    for tool in definitions(TOOLS, _DESCRIPTIONS):
        schema = tool["input_schema"]
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert all(
            shape.get("description") and shape.get("type") for shape in schema["properties"].values()
        ), tool["name"]
        assert keys(schema) <= {
            *("type", "required", "additionalProperties", "description", "enum"),
            *("minimum", "maximum", "minLength", "maxLength"),
        }


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        (
            "Nope",
            {},
            "There is no tool Nope. The tools are: Read, Write, Edit, Glob, Grep, Bash, TaskOutput, Tas",
        ),
        ("Read", "file", "Read takes an object with file_path, offset, limit, pages."),
        ("Read", None, "Read takes an object"),
        ("Read", {}, "file_path is missing: The file to read"),
        (
            "Read",
            {"file_path": "a", "allow_large": True},
            "allow_large is not a parameter of Read; it takes file_path, offset",
        ),
        ("Read", {"file_path": ""}, "file_path: must have at least 1 character, not ''"),
        ("Read", {"file_path": "a", "offset": "x"}, "offset: must be a valid integer"),
        ("Read", {"file_path": "a", "limit": 0}, "limit: must be greater than or equal to 1, not 0"),
        ("Write", {"file_path": "a", "content": 5}, "content: must be a valid string, not 5"),
        ("Grep", {"pattern": "x", "-A": -1}, "-A: must be greater than or equal to 0"),
        ("Grep", {"pattern": "x", "output_mode": "lines"}, "'files_with_matches', 'content' or 'count'"),
        ("Grep", {"pattern": "x", "after": 1}, "after is not a parameter of Grep"),
        ("Bash", {"command": "x", "timeout": 0}, "timeout: must be greater than or equal to 1"),
        (
            "Edit",
            {"file_path": "x" * 500, "old_string": [], "new_string": "y"},
            "old_string: must be a valid string",
        ),
    ],
)
async def test_wrong_arguments_are_told_in_words(
    talk: Conversation, tool: str, arguments: Any, words: str
) -> None:
    result = await execute(tool, arguments, talk.context())
    assert result.outcome == "error"
    assert words in str(result.content)


async def test_null_is_the_same_as_leaving_out(talk: Conversation) -> None:
    talk.file("file", "x\n")
    assert await talk.text("Read", file_path="file", offset=None, limit=None) == "1\tx"


async def test_an_error_of_the_machine_names_no_place_of_the_host(talk: Conversation) -> None:
    missing = replace(talk.context(), scratch=talk.scratch / "gone")
    (talk.root / "file").write_text("x")
    talk.workspace.close()
    result = await execute("Read", {"file_path": "file"}, missing)
    assert result.content == "The workspace is closed."

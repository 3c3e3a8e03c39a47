"""All tools by name: their definitions for the API, and the one way to run a call."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from flynn.domain.content import Block, Json
from flynn.domain.errors import FlynnError, LeaseLost, SandboxUnavailable
from flynn.domain.tool_result import ToolResult
from flynn.tools.bash import Bash
from flynn.tools.edit import Edit
from flynn.tools.glob import Glob
from flynn.tools.grep import Grep
from flynn.tools.read import Read
from flynn.tools.schema import input_schema
from flynn.tools.task_output import TaskOutput
from flynn.tools.task_stop import TaskStop
from flynn.tools.tool import Tool, ToolContext
from flynn.tools.write import Write

_ALL: tuple[Tool, ...] = (Read(), Write(), Edit(), Glob(), Grep(), Bash(), TaskOutput(), TaskStop())

TOOLS: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in _ALL})
"""Every tool that can be run, by name."""

_SHOWN = 80


async def execute(name: str, arguments: Json, context: ToolContext) -> ToolResult:
    """Run the tool `name` on `arguments` as the model sent them.

    Whatever a model or a machine does wrong becomes an error result. Raises LeaseLost, and CancelledError
    once what was begun has ended.
    """
    tool = TOOLS.get(name)
    if tool is None:
        return ToolResult.error(f"There is no tool {name}. The tools are: {', '.join(TOOLS)}.")
    if not isinstance(arguments, dict):
        return ToolResult.error(f"{name} takes an object with {_parameters(tool)}.")
    try:
        accepted = tool.arguments.model_validate(arguments)
    except ValidationError as error:
        return ToolResult.error(_in_words(tool, error))
    return await _run(tool, accepted, context)


def acceptable(name: str, arguments: Json) -> bool:
    """Whether there is such a tool and it would take `arguments`; any other call does nothing."""
    if name not in TOOLS or not isinstance(arguments, dict):
        return False
    try:
        TOOLS[name].arguments.model_validate(arguments)
    except ValidationError:
        return False
    return True


def definitions(names: Iterable[str], descriptions: Mapping[str, str]) -> list[Block]:
    """The API's definitions of the tools `names`, in our own order whatever theirs.

    `descriptions` has a text for each. The same names and texts always give the same definitions.
    Raises KeyError for a name that is no tool's, or has no description.
    """
    wanted = set(names)
    if unknown := wanted - TOOLS.keys():
        raise KeyError(f"no such tool: {', '.join(sorted(unknown))}; the tools are {', '.join(TOOLS)}")
    return [
        {"name": name, "description": descriptions[name], "input_schema": input_schema(tool.arguments)}
        for name, tool in TOOLS.items()
        if name in wanted
    ]


async def _run(tool: Tool, arguments: BaseModel, context: ToolContext) -> ToolResult:
    try:
        return await tool.run(arguments, context)
    except LeaseLost:
        raise
    except SandboxUnavailable as error:
        return ToolResult.error(f"{tool.name} is not available: {error.detail.rstrip('.')}.")
    except FlynnError as error:
        return ToolResult.error(error.detail)
    except OSError as error:
        # Only what went wrong: the error's file names are the host's.
        reason = error.strerror or type(error).__name__
        return ToolResult.error(f"{tool.name} failed: {reason}.")


def _in_words(tool: Tool, error: ValidationError) -> str:
    problems = "\n".join(f"- {_problem(tool, found)}" for found in error.errors())
    return f"{tool.name} was not run: its input does not fit.\n{problems}"


def _problem(tool: Tool, found: Mapping[str, Any]) -> str:
    field = ".".join(str(part) for part in found["loc"])
    match found["type"]:
        case "missing":
            return f"{field} is missing: {_description(tool, field)}."
        case "extra_forbidden":
            return f"{field} is not a parameter of {tool.name}; it takes {_parameters(tool)}."
        case "string_unicode":
            return f"{field} holds half of a surrogate pair, which is no text; write the whole character."
        case _:
            given = ascii(found["input"])
            shown = given if len(given) <= _SHOWN else given[:_SHOWN] + "…"
            message = str(found["msg"]).replace("Input should", "must").replace("String should", "must")
            return f"{field}: {message}, not {shown}. It is: {_description(tool, field)}."


def _parameters(tool: Tool) -> str:
    return ", ".join(field.alias or name for name, field in tool.arguments.model_fields.items())


def _description(tool: Tool, parameter: str) -> str:
    for name, field in tool.arguments.model_fields.items():
        if parameter in (field.alias, name):
            return (field.description or parameter).rstrip(".")
    return parameter

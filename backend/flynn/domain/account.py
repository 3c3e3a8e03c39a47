"""The account of a task: what its agent says of it, asked for in a form whose every claim can be judged.

It proves nothing. flynn.agent.claims holds it against the evidence.
"""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.content import Json, clean

MOST_WORDS = 4_000
"""Characters of one text of an account; the form cannot bound them."""
MOST_ITEMS = 200
"""Items of one list of an account."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verification(_Said):
    """Something that was verified, or should have been. `command` is empty where none shows it."""

    what: str = Field(description="What it shows, in a few words")
    command: str = Field(description="The command, exactly as it was run; empty if there was none")
    result: Literal["passed", "failed", "not_run"] = Field(description="How its last run ended")


class CriterionClaim(_Said):
    """What is said of one acceptance criterion."""

    criterion: str = Field(description="The criterion, word for word")
    verdict: Literal["unknown", "met", "not_met"]
    how: str = Field(description="How that is known: the file and line, or the deciding output")
    command: str = Field(description="The command that shows it, exactly as it was run; empty if none does")


class NextStep(_Said):
    """Work that is left to somebody."""

    who: str = Field(description="Tron-QA, Sam-DB, Rinzler-PM, or whoever else it is for")
    what: str


class Account(_Said):
    """What the agent says of its task."""

    summary: str = Field(description="What was done and why, in a few sentences for whoever delegated it")
    files_changed: list[str] = Field(description="Files whose content differs from when the task began")
    verification: list[Verification]
    criteria: list[CriterionClaim] = Field(description="One for each acceptance criterion of the task")
    findings: Literal["unknown", "none", "some"] = Field(
        description="Whether linters find something in the changed files that was not there before"
    )
    next_steps: list[NextStep]
    left_undone: list[str] = Field(description="What the task asked for and was not done, and why")
    risks: list[str]


def bounded(value: Json, change: Callable[[str], str]) -> Json:
    """`value` with clean texts and lists of a bounded size; `change` is done to each text."""
    match value:
        case str():
            said = change(clean(value))
            return said if len(said) <= MOST_WORDS else f"{said[:MOST_WORDS]} […]"
        case list():
            return [bounded(item, change) for item in value[:MOST_ITEMS]]
        case dict():
            return {key: bounded(item, change) for key, item in value.items()}
        case _:
            return value

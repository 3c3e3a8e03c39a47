"""A scenario: the turns of a scripted model, and when it is the one to play them.

Nothing about a conversation is kept between requests: the turn follows from the number of assistant
messages in the request. Retries, crashes and many conversations at once therefore need no care.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flynn.domain.content import Json
from flynn.simulator.template import TemplateError, check_template, quoted_calls
from flynn.simulator.turn import Object, Pacing, Text, Turn
from flynn.simulator.yaml_document import Document, ScenarioError, read_documents


def _over() -> Turn:
    return Turn(blocks=[Text(text="The scenario has no further turn.")])


class Scenario(BaseModel):
    """Turns, played in order.

    `match` is a phrase that must occur, whatever its case, in the first user message (`match_in`
    "first_message"; turns are then counted over the whole conversation) or in the latest user message
    that is not merely tool results ("latest_message"; turns are counted from there, so that each
    message of a chat may play its own scenario), or in the result of a tool call since then ("result";
    turns are counted from the latest such result, for what happens on the way). No `match`: every
    conversation.

    When the turns are over, `loop` starts them again; otherwise `fallback` is played.

    A request with `output_config.format` takes none of the turns: it is answered with the object `account`,
    or with `account_turn` where the answer is to be an odd one; without either with the least object that the
    format allows. What is required and left out of `account` is filled in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    match: str | None = None
    match_in: Literal["first_message", "latest_message", "result"] = "first_message"
    turns: list[Turn] = Field(min_length=1)
    loop: bool = False
    fallback: Turn = Field(default_factory=_over)
    account: dict[str, Json] | None = None
    account_turn: Turn | None = None
    pacing: Pacing | None = None
    """For turns without a pacing of their own."""

    @model_validator(mode="after")
    def _results_match_something(self) -> "Scenario":
        if self.match_in == "result" and self.match is None:
            raise ValueError("match_in: result needs a phrase to match")
        return self

    @model_validator(mode="after")
    def _one_account(self) -> "Scenario":
        if self.account is not None and self.account_turn is not None:
            raise ValueError("a scenario has an account or an account_turn, not both")
        return self

    @model_validator(mode="after")
    def _quotes_are_sound(self) -> "Scenario":
        known: set[str] = set()
        if self.loop:
            known = {call.call for turn in self.turns for call in turn.calls if call.call}
        for number, turn in enumerate([*self.turns, self.fallback, self.formatted], start=1):
            for text in _strings(turn):
                try:
                    check_template(text)
                except TemplateError as error:
                    raise ValueError(f"turn {number}: {error}") from error
                for name in quoted_calls(text) - known:
                    raise ValueError(
                        f"turn {number} quotes the result of {name!r}, but no earlier turn has such a call "
                        f"(there are: {', '.join(sorted(known)) or 'none'})"
                    )
            for call in turn.calls:
                if call.call and call.call in known and not self.loop:
                    raise ValueError(f"turn {number}: two calls are named {call.call!r}")
                if call.call:
                    known.add(call.call)
        return self

    @property
    def formatted(self) -> Turn:
        """The answer to a request with a format."""
        return self.account_turn or Turn(blocks=[Object(object=self.account or {})])

    def turn(self, index: int) -> Turn:
        """The turn that follows `index` assistant messages."""
        if index < len(self.turns):
            return self.turns[index]
        return self.turns[index % len(self.turns)] if self.loop else self.fallback


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, BaseModel):
        return [s for name in type(value).model_fields for s in _strings(getattr(value, name))]
    if isinstance(value, dict):
        return [s for item in value.values() for s in _strings(item)]
    if isinstance(value, list):
        return [s for item in value for s in _strings(item)]
    return []


def parse_scenarios(text: str, source: str = "scenario") -> list[Scenario]:
    """Read scenarios from YAML: one document each. `source` names the text in errors.

    Raises:
        ScenarioError: the text is no YAML or no scenario; the message names line and field.
    """
    return [_validated(document) for document in read_documents(text, source)]


def load_scenarios(path: Path | str) -> list[Scenario]:
    """Read the scenarios of a YAML file, or of all `*.yaml` and `*.yml` of a directory in name order.

    Raises:
        ScenarioError: a file is missing, is no YAML or no scenario, or two scenarios share a name.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix in {".yaml", ".yml"})
        if not files:
            raise ScenarioError(f"{path}: no *.yaml file with a scenario in this directory")
    scenarios: list[Scenario] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ScenarioError(f"{file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ScenarioError(f"{file}: is no UTF-8 text ({error})") from error
        scenarios += parse_scenarios(text, str(file))
    check_names(scenarios)
    return scenarios


def check_names(scenarios: Sequence[Scenario]) -> None:
    """Refuse two scenarios of one name, which the records could not tell apart.

    Raises:
        ScenarioError: names the one that occurs twice.
    """
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.name in seen:
            raise ScenarioError(f"two scenarios are named {scenario.name!r}; names must differ")
        seen.add(scenario.name)


def _validated(document: Document) -> Scenario:
    try:
        return Scenario.model_validate(document.value)
    except ValidationError as error:
        raise ScenarioError(
            "\n".join(
                f"{document.place(item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors(include_url=False)
            )
        ) from error

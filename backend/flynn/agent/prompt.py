"""What the service itself says to a model: the runtime part of the system prompt, the opening of a
conversation, notes, and the descriptions of tools. All words live in a directory of templates:

    system.md       before the agent's own prompt; knows the names of its tools and nothing else
    opening.md      heads the first user message: workspace, date, platform
    task.md         stands behind a task's instructions: criteria, files, links, earlier tasks
    account.md      asks for a task's account at its end
    notes/*.md      one for each thing that can happen in between; stored as sent
    tools/*.md      one for each tool, plain Markdown

Templates are read and checked once. The same input gives the same bytes, for these bytes are a cached
prefix that every call pays for; nothing here reads a clock, a setting or a workspace.
"""

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, get_args

import jinja2
from jinja2 import meta

from flynn.agent.agent_file import AgentFile
from flynn.domain.brief import Brief
from flynn.domain.content import Block, text_block
from flynn.domain.errors import ConfigurationError
from flynn.domain.permission import PermissionMode

NoteName = Literal[
    "unknown_outcome",
    "stopped_call",
    "skipped_call",
    "interrupted",
    "refused",
    "unreadable",
    "undone",
    "rolled_back",
    "checkout",
    "no_checkout",
    "denied_by_rule",
    "denied_by_person",
    "denied_by_words",
    "approval_expired",
    "mode_auto",
    "mode_accept_edits",
    "mode_ask",
    "mode_plan",
]
"""What can happen in between; `prompts/notes/` holds a template of each name."""

NOTES: Final[tuple[NoteName, ...]] = get_args(NoteName)
_FACTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "system": frozenset({"tools"}),
        "opening": frozenset(
            {"workspace_name", "workspace_path", "date", "platform", "bash", "bash_reason", "sandboxed"}
        ),
        "task": frozenset({"criteria", "files", "links", "earlier"}),
        "account": frozenset(),
    }
)


class Prompts:
    """The templates of one directory, ready to render."""

    def __init__(self, directory: Path) -> None:
        """Read and compile every template. Raises ConfigurationError for a missing or broken one."""
        environment = jinja2.Environment(
            undefined=jinja2.StrictUndefined,
            # Prompts are Markdown for a model: HTML escaping would turn `a && b` into other commands.
            autoescape=False,  # noqa: S701  # nothing rendered here reaches a browser
            keep_trailing_newline=False,
        )
        self._templates: dict[str, jinja2.Template] = {}
        self._facts: dict[str, frozenset[str]] = {}
        names = ("system", "opening", "task", "account", *(f"notes/{note}" for note in NOTES))
        for name in names:
            source = _read(directory / f"{name}.md")
            try:
                tree = environment.parse(source)
                self._templates[name] = environment.from_string(tree)
            except jinja2.TemplateSyntaxError as error:
                raise ConfigurationError(f"{directory / name}.md:{error.lineno}: {error.message}") from error
            self._facts[name] = frozenset(meta.find_undeclared_variables(tree))
            if strange := self._facts[name] - _FACTS.get(name, self._facts[name]):
                given = ", ".join(sorted(_FACTS[name]))
                raise ConfigurationError(
                    f"{directory / name}.md uses {', '.join(sorted(strange))}; it is given {given} only"
                )
        self._tools = {
            _tool_name(path.stem): _read(path).strip() for path in sorted((directory / "tools").glob("*.md"))
        }
        if not self._tools:
            raise ConfigurationError(f"there are no tool descriptions in {directory / 'tools'}")

    def system_blocks(self, agent: AgentFile, tools: Collection[str]) -> list[Block]:
        """The system prompt: the runtime part for an agent with these `tools`, then the agent's own.

        Holds nothing of a conversation, so that all conversations of an agent share one cached prefix.
        """
        runtime = self._render("system", {"tools": frozenset(tools)})
        return [text_block(runtime), text_block(agent.prompt)]

    def opening(
        self,
        *,
        workspace_name: str,
        workspace_path: str | None,
        today: date,
        platform: str,
        bash: bool,
        bash_reason: str | None = None,
        sandboxed: bool = True,
    ) -> str:
        """The text that heads a conversation's first message. `bash_reason` says why Bash is missing.

        Without a path, a later note says where the files are.
        """
        return self._render(
            "opening",
            {
                "workspace_name": workspace_name,
                "workspace_path": workspace_path,
                "date": today.isoformat(),
                "platform": platform,
                "bash": bash,
                "bash_reason": bash_reason,
                "sandboxed": sandboxed,
            },
        )

    def task(self, brief: Brief) -> str:
        """The text that stands behind a task's instructions."""
        facts = {
            "criteria": brief.criteria,
            "files": brief.files,
            "links": brief.links,
            "earlier": brief.earlier,
        }
        return self._render("task", facts)

    def account(self) -> str:
        """The words that ask for a task's account."""
        return self._render("account", {})

    def note(self, name: NoteName, **facts: object) -> str:
        """The words for what happened. Raises TypeError unless `facts` are exactly those it speaks of."""
        needed = self._facts[f"notes/{name}"]
        if needed != facts.keys():
            raise TypeError(
                f"the note {name!r} takes {', '.join(sorted(needed)) or 'no facts'};"
                f" it was given {', '.join(sorted(facts)) or 'none'}"
            )
        return self._render(f"notes/{name}", facts)

    def mode(self, mode: PermissionMode) -> str:
        """What the model is told of the permission mode that holds from now on."""
        names: dict[PermissionMode, NoteName] = {
            PermissionMode.AUTO: "mode_auto",
            PermissionMode.ACCEPT_EDITS: "mode_accept_edits",
            PermissionMode.ASK: "mode_ask",
            PermissionMode.PLAN: "mode_plan",
        }
        return self.note(names[mode])

    def tool_descriptions(self) -> dict[str, str]:
        """The description of each tool, by the tool's name."""
        return dict(self._tools)

    def _render(self, name: str, facts: Mapping[str, object]) -> str:
        return self._templates[name].render(facts).strip()


def _tool_name(stem: str) -> str:
    """The tool that `tools/<stem>.md` describes: task_output.md is TaskOutput's."""
    return "".join(part.capitalize() for part in stem.split("_"))


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the prompt {path} cannot be read: {error}") from error
    if not text.strip():
        raise ConfigurationError(f"the prompt {path} is empty")
    return text

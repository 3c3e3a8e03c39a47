"""Permissions: which tool calls may act, which need a person's yes, which may not.

Rules are written as in Claude Code: `Tool` for every call of a tool, `Tool(spec)` for some. Deny goes
before ask, ask before allow, and what no rule speaks of is left to the mode. The sandbox is the wall;
permissions say what is wanted within it. How a spec is matched is in flynn.agent.permission.
"""

import hashlib
import json
import re
from enum import StrEnum
from functools import reduce
from typing import Literal

from pydantic import BaseModel, ConfigDict

from flynn.domain.content import Json

Effect = Literal["deny", "ask", "allow"]

_RULE = re.compile(r"\s*(?P<tool>[A-Za-z_][A-Za-z0-9_-]*)\s*(?:\((?P<spec>.*)\))?\s*", re.DOTALL)


class PermissionMode(StrEnum):
    """What happens to a call that no rule speaks of. The later, the stricter."""

    AUTO = "auto"
    """It acts: the sandbox is the wall."""
    ACCEPT_EDITS = "accept-edits"
    """Reads and changes of files act; everything else that acts needs a yes."""
    ASK = "ask"
    """Reads act; everything else needs a yes."""
    PLAN = "plan"
    """Reads act, and commands that cannot change the workspace; nothing else does."""

    @property
    def strictness(self) -> int:
        """0 for the least strict mode."""
        return list(PermissionMode).index(self)


def strictest(*modes: PermissionMode | None) -> PermissionMode:
    """The strictest of `modes`; auto when there is none."""
    known = [mode for mode in modes if mode is not None]
    return max(known, key=lambda mode: mode.strictness, default=PermissionMode.AUTO)


class BadRule(ValueError):
    """A permission rule that cannot be read; the message says what would be right."""


class Rule(BaseModel):
    """`tool`, and the calls of it that are meant: all of them where `spec` is None."""

    model_config = ConfigDict(frozen=True)

    tool: str
    spec: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """Read `Tool` or `Tool(spec)`. Raises BadRule."""
        found = _RULE.fullmatch(text)
        if found is None:
            raise BadRule(
                f"{text[:200]!r} is no permission rule; write Tool or Tool(spec), as Bash(npm run *)."
            )
        spec = found["spec"]
        return cls(tool=found["tool"], spec=None if spec is None or spec.strip() in ("", "*") else spec)

    def __str__(self) -> str:
        return self.tool if self.spec is None else f"{self.tool}({self.spec})"


class PermissionRules(BaseModel):
    """Rules by effect, and the mode. `only` are the calls that an agent file narrows a tool to."""

    model_config = ConfigDict(frozen=True)

    deny: tuple[Rule, ...] = ()
    ask: tuple[Rule, ...] = ()
    allow: tuple[Rule, ...] = ()
    only: tuple[Rule, ...] = ()
    mode: PermissionMode = PermissionMode.AUTO

    def joined(self, other: "PermissionRules") -> "PermissionRules":
        """The rules of both, in the stricter mode."""
        return PermissionRules(
            deny=(*self.deny, *other.deny),
            ask=(*self.ask, *other.ask),
            allow=(*self.allow, *other.allow),
            only=(*self.only, *other.only),
            mode=strictest(self.mode, other.mode),
        )


def join(*rules: PermissionRules) -> PermissionRules:
    """All of `rules` as one."""
    return reduce(PermissionRules.joined, rules, PermissionRules())


def call_digest(tool: str, given: Json) -> str:
    """sha256 over the tool and its exact input, whatever the order of its keys: what a yes is bound to."""
    return hashlib.sha256(json.dumps([tool, given], sort_keys=True).encode()).hexdigest()

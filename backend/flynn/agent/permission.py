"""Judging a tool call by permission rules: deny, ask or allow, and why.

Deny goes before ask, ask before allow; what no rule speaks of is left to the mode. How a rule is held
against a call is in flynn.agent.rule_match.

Rules say what is wanted; they are no wall. A command may read a file that Read may not: the sandbox and
the contents of the workspace decide that.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from flynn.agent.rule_match import JudgedCall, check_rule, concerns, parameter_of
from flynn.domain.content import Json
from flynn.domain.permission import BadRule, Effect, PermissionMode, PermissionRules, Rule, call_digest
from flynn.tools.pattern import BadPattern
from flynn.tools.toolset import TOOLS
from flynn.workspace.root import Workspace

_CHANGES_FILES: Final = frozenset({"Write", "Edit"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a call, and the sentence that says why."""

    effect: Effect
    reason: str


def check(rules: PermissionRules) -> list[str]:
    """What is wrong with `rules`, in words; rules for tools that are not here, too."""
    problems: list[str] = []
    for effect in ("deny", "ask", "allow", "only"):
        for rule in getattr(rules, effect):
            try:
                check_rule(rule, effect)
            except (BadRule, BadPattern) as error:
                problems.append(f"{rule}: {error}")
    return problems


class Permissions:
    """The rules of one conversation over one workspace."""

    def __init__(self, rules: PermissionRules, workspace: Workspace) -> None:
        self._rules = rules
        self._workspace = workspace

    @property
    def mode(self) -> PermissionMode:
        """The least strict mode that the operator and the agent file leave."""
        return self._rules.mode

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Globs of files that searches must leave out."""
        return tuple(r.spec for r in self._rules.deny if r.tool == "Read" and r.spec and not parameter_of(r))

    def judge(
        self,
        tool: str,
        given: Json,
        *,
        mode: PermissionMode,
        cwd: str = ".",
        granted: Sequence[Rule] = (),
        remembered: Collection[str] = (),
    ) -> Verdict:
        """Judge a call of `tool` with the input `given`, as the model sent it.

        `granted` are rules and `remembered` digests of calls that somebody has said yes to for good. `cwd`
        is where Bash is. Never raises for what a model can send.
        """
        call = JudgedCall(tool, given if isinstance(given, dict) else {}, self._workspace, cwd)
        if rule := call.first(self._rules.deny):
            return Verdict("deny", f"the rule {rule} forbids it")
        only = [rule for rule in self._rules.only if concerns(rule, tool)]
        if only and not call.allowed_by(only, edits=True):
            return Verdict("deny", f"this agent may use {tool} only as {', '.join(map(str, only))}")
        if mode is PermissionMode.PLAN and tool in _CHANGES_FILES:
            return Verdict("deny", "the permission mode is plan: nothing is changed in it")
        edits = mode is not PermissionMode.ASK
        if call_digest(tool, given) in remembered:
            return Verdict("allow", "somebody has allowed this very call for good")
        if call.allowed_by(granted, edits=edits):
            return Verdict("allow", "somebody has allowed such calls for good")
        if rule := call.first(self._rules.ask):
            return Verdict("ask", f"the rule {rule} wants a yes")
        if tool == "Bash" and self._speaks_of_parts() and call.script.opaque:
            why = (
                f"it cannot be seen through ({call.script.opaque}), and rules speak of the parts of commands"
            )
            return Verdict("ask", why)
        if call.allowed_by(self._rules.allow, edits=edits):
            return Verdict("allow", "a rule allows it")
        return _by_mode(tool, mode)

    def _speaks_of_parts(self) -> bool:
        rules = (*self._rules.deny, *self._rules.ask)
        return any(rule.tool == "Bash" and rule.spec and parameter_of(rule) is None for rule in rules)


def _by_mode(tool: str, mode: PermissionMode) -> Verdict:
    if tool not in TOOLS or not TOOLS[tool].writes or tool == "TaskStop":
        return Verdict("allow", "it changes nothing but what the run itself has started")
    match mode:
        case PermissionMode.AUTO:
            return Verdict("allow", "the permission mode is auto")
        case PermissionMode.ACCEPT_EDITS if tool in _CHANGES_FILES:
            return Verdict("allow", "the permission mode accepts edits")
        case PermissionMode.PLAN:
            return Verdict("allow", "the workspace cannot be changed while the permission mode is plan")
        case _:
            return Verdict("ask", f"the permission mode is {mode.value}")

"""The operator's permission rules: a JSON file in the shape of Claude Code's settings."""

import json
from pathlib import Path
from typing import Final

from flynn.agent.permission import check
from flynn.domain.content import Json
from flynn.domain.errors import ConfigurationError
from flynn.domain.permission import BadRule, PermissionMode, PermissionRules, Rule

_LISTS: Final = ("deny", "ask", "allow")
_MODES: Final = {
    **{mode.value: mode for mode in PermissionMode},
    "default": PermissionMode.ASK,
    "acceptEdits": PermissionMode.ACCEPT_EDITS,
    "bypassPermissions": PermissionMode.AUTO,
}


def read_permissions(path: Path) -> PermissionRules:
    """Read `{"permissions": {"deny": […], "ask": […], "allow": […], "defaultMode": "…"}}`.

    Other settings beside `permissions` are somebody else's and are left alone. Raises ConfigurationError,
    with a line for each thing that is wrong: a rule that is not understood must not be a rule that is lost.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"FLYNN_PERMISSIONS {path} cannot be read: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"FLYNN_PERMISSIONS {path} is no JSON: {error}") from error
    said = whole.get("permissions") if isinstance(whole, dict) else None
    if not isinstance(said, dict):
        raise ConfigurationError(f'FLYNN_PERMISSIONS {path} has no object "permissions" in an object')
    problems = [
        f"{name} is none of {', '.join((*_LISTS, 'defaultMode'))}"
        for name in said
        if name not in (*_LISTS, "defaultMode")
    ]
    rules = {name: _rules(name, said.get(name, []), problems) for name in _LISTS}
    mode = _MODES.get(str(said.get("defaultMode", "auto")))
    if mode is None:
        problems.append(f"defaultMode {said['defaultMode']!r} is none of {', '.join(_MODES)}")
    found = PermissionRules.model_validate({**rules, "mode": mode or PermissionMode.ASK})
    problems += check(found)
    if problems:
        raise ConfigurationError("\n".join(f"FLYNN_PERMISSIONS {path}: {problem}" for problem in problems))
    return found


def _rules(name: str, entries: Json, problems: list[str]) -> tuple[Rule, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        problems.append(f'{name} must be a list of rules, as ["Bash(npm run *)"]')
        return ()
    found: list[Rule] = []
    for entry in entries:
        try:
            found.append(Rule.parse(entry))
        except BadRule as error:
            problems.append(f"{name}: {error}")
    return tuple(found)

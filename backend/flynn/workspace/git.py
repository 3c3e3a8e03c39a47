"""How git is called over a repository that nobody vouches for: in the sandbox, and without its own wishes.

A repository's configuration, hooks and attributes may have been planted. Everything that would have git run
another program is turned off in the one place that stands above a repository's own configuration: the
environment. What is left (a filter that attributes name, say) runs where git runs: in the sandbox over that
very repository. Nothing of the machine's or a person's configuration is read.
Sources: git(1), git-config(1), "GIT_CONFIG_COUNT".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flynn.domain.errors import WorkspaceError
from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.sandbox.program import find_program
from flynn.telemetry.redaction import redact

TIMEOUT_SECONDS: Final = 300.0
_OUTPUT: Final = 4_000_000
_CONFIGURATION: Final = (
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.quotePath", "false"),
    ("core.alternateRefsCommand", ""),
    ("core.editor", "false"),
    ("core.pager", "cat"),
    ("core.filesRefLockTimeout", "3000"),
    ("core.packedRefsTimeout", "3000"),
    ("commit.gpgSign", "false"),
    ("diff.external", ""),
    ("fetch.fsckObjects", "true"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("trailer.separators", ":"),
    ("advice.addEmbeddedRepo", "false"),
)


class GitFailed(WorkspaceError):
    """git did not do what it was to do."""

    code = "git-failed"
    title = "git did not do what it was to do"


class GitMissing(WorkspaceError):
    """The program git is not installed."""

    code = "git-missing"
    title = "git is not installed"


def environment(tree: Path) -> dict[str, str]:
    """The environment of git over the repository at the top of `tree`, which is named and not looked for."""
    named = {
        "GIT_DIR": f"{tree}/.git",
        "GIT_WORK_TREE": str(tree),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "GIT_CONFIG_COUNT": str(len(_CONFIGURATION)),
    }
    for place, (key, value) in enumerate(_CONFIGURATION):
        named |= {f"GIT_CONFIG_KEY_{place}": key, f"GIT_CONFIG_VALUE_{place}": value}
    return named


def _never() -> float | None:
    return None


def _always() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a script is given: `facts` are variables of its environment."""

    facts: Mapping[str, str] = field(default_factory=dict)
    writable: bool = False
    shown: tuple[Path, ...] = ()
    timeout_seconds: float = TIMEOUT_SECONDS
    quota_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """Runs scripts of git commands. `deadline` and `confirm` are those of the run's lease."""

    sandbox: Sandbox
    deadline: Callable[[], float | None] = _never
    confirm: Callable[[], None] = _always

    async def run(self, tree: Path, script: str, options: Script) -> Completed:
        """See `call`; raises GitFailed unless it ended well."""
        done = await self.call(tree, script, options)
        if done.exit_code != 0 or done.output_cut:
            raise GitFailed(why(done))
        return done

    async def call(self, tree: Path, script: str, options: Script) -> Completed:
        """Run the text `script` of sh over the repository at the top of `tree`, in a sandbox of its own.

        Raises GitMissing, SandboxUnavailable, LeaseLost.
        """
        program = find_program("git")
        if program is None:
            raise GitMissing("The program git is not installed here.")
        self.confirm()
        return await self.sandbox.run(
            Command(
                argv=("/bin/sh", "-c", script, "sh"),
                workspace=tree,
                writable=options.writable,
                environment={**environment(tree), **options.facts},
                extra_readonly=(program,),
                shown=options.shown,
                timeout_seconds=options.timeout_seconds,
                deadline=self.deadline(),
                output_limit=_OUTPUT,
                merge_output=False,
                quota_bytes=options.quota_bytes,
            )
        )


def why(done: Completed) -> str:
    """Why a script did not end well, in a sentence without this machine's paths."""
    if done.kill_reason is not None:
        return f"git was stopped: {done.kill_reason}."
    said = done.errors.decode("utf-8", "replace").strip().splitlines()
    known = next((words for words in reversed(said) if words.startswith(("fatal: ", "error: "))), None)
    plain = " ".join("".join(c if c.isprintable() else " " for c in known or "").split())
    words = " ".join(word for word in plain.split(" ") if "/" not in word or word.startswith("refs/"))
    return f"git ended with {done.exit_code}" + (f": {redact(words[:300])}" if words else "") + "."


def facts_of(output: bytes) -> dict[str, str]:
    """The lines `name value` that a script printed. Values are as little trusted as the repository."""
    lines = output.decode("utf-8", "replace").splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}

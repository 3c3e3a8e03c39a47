"""What a tool call can show for itself: recorded beside its result, read by reports and by the fold.

A result's `content` is for the model; its evidence is for everybody else.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flynn.domain.content import clean
from flynn.domain.finding import Finding


class _Evidence(BaseModel):
    model_config = ConfigDict(frozen=True)

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        """Clean text: names in a workspace are bytes, and need not be any in UTF-8."""
        return clean(value) if isinstance(value, str) else value


class FileRead(_Evidence):
    """A file's content was shown. `path` is relative to the workspace; `sha256` of the whole file."""

    kind: Literal["file_read"] = "file_read"
    path: str
    sha256: str
    complete: bool = True


class FileChanged(_Evidence):
    """A file was written. Digests are sha256 of the whole file; `before` is None for a new file.

    `kept` says that what the file held before is kept, so that the call can be undone. Modes are
    permission bits; `directories_made` counts the innermost directories above a new file that the call
    made for it.
    """

    kind: Literal["file_changed"] = "file_changed"
    path: str
    before: str | None
    after: str
    lines_added: int
    lines_removed: int
    kept: bool = False
    mode_before: int | None = None
    mode: int | None = None
    directories_made: int = 0


class CommandRan(_Evidence):
    """A command ended. `exit_code` is None when it was killed; `cwd` is relative to the workspace.

    With `task_id` it is the end of a background job, seen by another call than the one that started it.
    """

    kind: Literal["command_ran"] = "command_ran"
    command: str
    cwd: str
    cwd_after: str | None = None
    exit_code: int | None
    duration_ms: int
    timed_out: bool = False
    cut: bool = False
    task_id: str | None = None


class JobStarted(_Evidence):
    """A command was started in the background. A job whose end nobody saw has no CommandRan."""

    kind: Literal["job_started"] = "job_started"
    task_id: str
    command: str
    cwd: str


class Searched(_Evidence):
    """A search ended with `matches` lines or files, `cut` when not all of them were shown."""

    kind: Literal["searched"] = "searched"
    matches: int
    cut: bool = False


class Checked(_Evidence):
    """Linters looked at a file that the call had changed; `sha256` is what they saw.

    `new` are the most severe findings that were not there before the call, `more` how many else there are;
    `known` says whether it is known what was there before (else all of them count as new). `old` were there.
    `not_run` says what was not done, and why.
    """

    kind: Literal["checked"] = "checked"
    path: str
    sha256: str
    tools: list[str]
    new: list[Finding] = []
    more: int = 0
    old: int = 0
    known: bool = True
    not_run: list[str] = []


Evidence = Annotated[
    FileRead | FileChanged | CommandRan | JobStarted | Searched | Checked, Field(discriminator="kind")
]

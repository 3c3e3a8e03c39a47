"""Names of branches: what an order may ask for, by git's rules and a few stricter ones.

Source: git-check-ref-format(1). Beyond it, a name is plain ASCII, begins with a letter or a digit, is no
object's name in hexadecimal and does not read as a full reference: it stands in commands, files and reports.
"""

import re
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

LONGEST: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+#=%-]*", re.ASCII)
_OBJECT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII | re.IGNORECASE)
_RESERVED: Final = frozenset({"head", "fetch_head", "orig_head", "merge_head"})


def check_branch(name: str) -> str:
    """The name as it is. Raises ValueError, saying what would be right."""
    parts = name.split("/")
    wrong = (
        not _PLAIN.fullmatch(name)
        or any(not p or p.startswith((".", "-")) or p.endswith((".lock", ".")) for p in parts)
        or ".." in name
        or _OBJECT.fullmatch(name) is not None
        or name.lower() in _RESERVED
        or parts[0].lower() == "refs"
    )
    if wrong:
        raise ValueError(
            "should be the name of a branch, as feature/health-checks: letters, digits and . _ - + # = % /, "
            "no part of it beginning with . or -, or ending in . or .lock, and without refs/"
        )
    return name


def own_branch(task_id: UUID) -> str:
    """The branch of a task that names none."""
    return f"flynn/{task_id.hex[:8]}"


Branch = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST),
    AfterValidator(check_branch),
    Field(examples=["feature/health-checks"]),
]

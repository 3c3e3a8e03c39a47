"""A change that brings a finding, which the tool's result tells of, and the next change that mends it."""

from pathlib import Path

from tests.e2e.delegation import Delegation, attempt, run, script_beside

FILES = {
    "scripts/rotate.sh": """\
#!/usr/bin/env bash
set -euo pipefail
target="${1:?usage: rotate.sh FILE}"
mv "$target" "$target.1"
""",
}


def verify(before: Path, after: Path, place: Path) -> None:
    run(after, "shellcheck", "scripts/rotate.sh")
    log = place / "a log"
    log.write_text("old\n")
    run(place, str(after / "scripts" / "rotate.sh"), str(log))
    assert (place / "a log.1").read_text() == "old\n"
    assert log.read_text() == ""
    attempted = attempt(before, "scripts/rotate.sh")
    assert attempted.returncode != 0


DELEGATION = Delegation(
    name="mended-finding",
    files=FILES,
    order={"instructions": "Let the rotation leave an empty file behind, since its writer wants one."},
    script=script_beside(__file__),
    changed=frozenset({"scripts/rotate.sh"}),
    verify=verify,
    exit_codes=(0,),
)

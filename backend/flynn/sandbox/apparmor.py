"""AppArmor's restriction of user namespaces, which Ubuntu has since 23.10, and what lifts it for bubblewrap.

Where it holds, a program without a profile that allows `userns` gets namespaces in which it can do nothing:
bubblewrap then fails while it sets up its uids or its loopback. The profile names bubblewrap and confines it
by nothing else, so that the restriction stays for every other program.
"""

import shlex
from pathlib import Path
from typing import Final

SYSCTL: Final = Path("/proc/sys")
_RESTRICTION: Final = "kernel/apparmor_restrict_unprivileged_userns"
PROFILE: Final = "/etc/apparmor.d/flynn-bwrap"


def restricts(sysctl: Path = SYSCTL) -> bool:
    """Whether AppArmor keeps user namespaces from programs without a profile. `sysctl` is /proc/sys."""
    try:
        return (sysctl / _RESTRICTION).read_text().strip() == "1"
    except OSError:
        return False


def profile(program: str = "/usr/bin/bwrap") -> list[str]:
    """The lines of the profile for bubblewrap at `program`; deploy/apparmor-bwrap has them for /usr/bin."""
    return [
        "abi <abi/4.0>,",
        "include <tunables/global>",
        f"profile flynn-bwrap {program} flags=(unconfined) {{",
        "  userns,",
        "}",
    ]


def commands(program: str = "/usr/bin/bwrap") -> str:
    """The line for a shell that writes the profile and loads it, for good."""
    lines = " ".join(shlex.quote(line) for line in profile(program))
    return f"printf '%s\\n' {lines} | sudo tee {PROFILE} && sudo apparmor_parser -r {PROFILE}"

"""AppArmor's restriction of user namespaces, which Ubuntu has since 23.10, and what lifts it for bubblewrap.

Where it holds, a program without a profile that allows `userns` gets namespaces in which it can do nothing:
bubblewrap then fails while it sets up its uids or its loopback. Newer releases of Ubuntu ship a profile for
bubblewrap; elsewhere ours names bubblewrap and confines it by nothing else, so that the restriction stays
for every other program. Two profiles for one program may conflict, so ours is never put beside that one.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUBBLEWRAP: Final = "/usr/bin/bwrap"
_RESTRICTION: Final = "kernel/apparmor_restrict_unprivileged_userns"
_OURS: Final = "flynn-bwrap"
_SHIPPED: Final = "bwrap-userns-restrict"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppArmor:
    """AppArmor of a machine: `sysctl` is its /proc/sys, `profiles` the directory that is loaded at boot."""

    sysctl: Path = Path("/proc/sys")
    profiles: Path = Path("/etc/apparmor.d")

    def restricts(self) -> bool:
        """Whether the kernel keeps user namespaces from programs without a profile."""
        try:
            return (self.sysctl / _RESTRICTION).read_text().strip() == "1"
        except OSError:
            return False

    def ships(self, program: str = BUBBLEWRAP) -> Path | None:
        """The profile of the distribution for bubblewrap at `program`; None without one."""
        shipped = self.profiles / _SHIPPED
        return shipped if program == BUBBLEWRAP and shipped.is_file() else None

    def commands(self, program: str = BUBBLEWRAP) -> str:
        """The line for a shell that gives bubblewrap its profile, for good: the shipped one, else ours.

        Ours goes where it is beside a shipped one, as after an upgrade of the distribution.
        """
        ours, shipped = self.profiles / _OURS, self.ships(program)
        if shipped is None:
            lines = " ".join(shlex.quote(line) for line in profile(program))
            return f"printf '%s\\n' {lines} | sudo tee {ours} && sudo apparmor_parser -r {ours}"
        without = f"sudo apparmor_parser -R {ours}; sudo rm {ours}; " if ours.is_file() else ""
        enabled = f"sudo rm -f {self.profiles / 'disable' / _SHIPPED}"
        return f"{without}{enabled} && sudo apparmor_parser -r {shipped}"


HERE: Final = AppArmor()
"""That of this machine."""


def profile(program: str = BUBBLEWRAP) -> list[str]:
    """The lines of our profile for bubblewrap at `program`; deploy/apparmor-bwrap has them for /usr/bin."""
    return [
        "abi <abi/4.0>,",
        "include <tunables/global>",
        f"profile {_OURS} {program} flags=(unconfined) {{",
        "  userns,",
        "}",
    ]

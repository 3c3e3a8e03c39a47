"""Makes deploy/seccomp-bubblewrap.json: an engine's default without capabilities, and six calls.

A seccomp profile replaces the engine's default, it cannot add to it. So the default is taken from where
the engine writes it down: the OCI configuration of a container that runs with it. As root, beside Docker:

    docker run --rm --detach --name flynn-profile --user 1000 --cap-drop ALL --entrypoint sleep IMAGE 60
    find /run -path '*moby*' -path "*$(docker inspect --format '{{.Id}}' flynn-profile)*" -name config.json
    python scripts/seccomp_profile.py < CONFIG > deploy/seccomp-bubblewrap.json

Beyond the default it allows SIX, without any one of which bubblewrap cannot start (the default has clone
too, but not with the flags of namespaces). It allows less in that 32-bit and x32 programs are killed.
Source: the OCI runtime specification, "Linux container configuration", section Seccomp.
"""

import json
import sys
from typing import Any, Final

SIX: Final = ("clone", "mount", "pivot_root", "sethostname", "umount2", "unshare")
ARCHITECTURES: Final = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")
_ABOUT_DEFAULT: Final = "What the engine allows a container without capabilities by default."
_ABOUT_SIX: Final = (
    "What bubblewrap needs to make a sandbox. A process without capabilities can make a user namespace, and "
    "mount only there."
)


def profile(configuration: dict[str, Any]) -> dict[str, Any]:
    """The profile, made from the OCI configuration of a container with the engine's default.

    Raises ValueError where the container has capabilities, whose calls its filter allows too, or has no
    filter that refuses what it does not name.
    """
    if (configuration["process"].get("capabilities") or {}).get("bounding"):
        raise ValueError("the container has capabilities: start it with --cap-drop ALL")
    default = configuration["linux"].get("seccomp") or {}
    if default.get("defaultAction") != "SCMP_ACT_ERRNO":
        raise ValueError("the container runs without the engine's default seccomp profile")
    kept = [
        {**rule, "names": names}
        for rule in default["syscalls"]
        if (names := sorted({*rule["names"]} - {*SIX}))
    ]
    return {
        "defaultAction": default["defaultAction"],
        "defaultErrnoRet": default["defaultErrnoRet"],
        "archMap": [{"architecture": architecture, "subArchitectures": []} for architecture in ARCHITECTURES],
        "syscalls": [
            {"comment": _ABOUT_SIX, "names": list(SIX), "action": "SCMP_ACT_ALLOW"},
            {"comment": _ABOUT_DEFAULT, **kept[0]},
            *kept[1:],
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(profile(json.load(sys.stdin)), indent=1) + "\n")

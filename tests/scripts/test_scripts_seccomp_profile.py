"""The seccomp profile for bubblewrap in a container: the engine's default, six calls more, nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROFILE: dict[str, Any] = json.loads((ROOT / "deploy/seccomp-bubblewrap.json").read_text())
SIX = ["clone", "mount", "pivot_root", "sethostname", "umount2", "unshare"]
NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET: what a default masks out of clone."""


def made(configuration: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/seccomp_profile.py"],
        input=json.dumps(configuration),
        capture_output=True,
        text=True,
        check=False,
    )


def configuration(**process: object) -> dict[str, Any]:
    """An engine's configuration in small."""
    masked = {"index": 0, "value": NAMESPACES, "op": "SCMP_CMP_MASKED_EQ"}
    rules = [
        {"names": ["read", "write", "mount"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [masked]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    ]
    default = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": rules}
    return {"process": process, "linux": {"seccomp": default}}


def test_the_profile_is_the_default_and_six_calls() -> None:
    done = made(configuration(capabilities={}))
    assert done.returncode == 0, done.stderr
    first, *others = json.loads(done.stdout)["syscalls"]
    assert (first["names"], first["action"]) == (SIX, "SCMP_ACT_ALLOW")
    assert "args" not in first
    assert [rule["names"] for rule in others] == [["read", "write"], ["clone3"]]
    assert others[-1]["errnoRet"] == 38


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (configuration(capabilities={"bounding": ["CAP_SYS_ADMIN"]}), "start it with --cap-drop ALL"),
        ({"process": {}, "linux": {}}, "without the engine's default seccomp profile"),
    ],
    ids=["capabilities", "no filter"],
)
def test_another_configuration_is_refused(wrong: dict[str, Any], words: str) -> None:
    done = made(wrong)
    assert done.returncode != 0
    assert words in done.stderr
    assert done.stdout == ""


def test_the_profile_that_is_there_refuses_what_it_does_not_name() -> None:
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO"
    assert [entry["architecture"] for entry in PROFILE["archMap"]] == [
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_AARCH64",
    ]
    assert all(entry["subArchitectures"] == [] for entry in PROFILE["archMap"])
    allowed = {
        name
        for rule in PROFILE["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }
    assert set(SIX) <= allowed
    assert not allowed & {
        *(
            "setns",
            "chroot",
            "clone3",
            "fsopen",
            "fsmount",
            "move_mount",
            "open_tree",
            "mount_setattr",
            "umount",
        ),
        *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "add_key", "request_key"),
        *("init_module", "finit_module", "delete_module", "kexec_load", "reboot", "swapon", "settimeofday"),
        *("open_by_handle_at", "pidfd_getfd", "kcmp", "quotactl", "acct", "setdomainname", "vhangup", "iopl"),
    }
    refused = [rule for rule in PROFILE["syscalls"] if rule["names"] == ["clone3"]]
    assert [(rule["action"], rule["errnoRet"]) for rule in refused] == [("SCMP_ACT_ERRNO", 38)]
    sockets = [rule for rule in PROFILE["syscalls"] if "socket" in rule["names"]]
    assert [rule["args"] for rule in sockets] == [[{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]]

"""The launcher's child: gives up everything the policy does not grant, then becomes the command.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
Sources: seccomp(2), capabilities(7), prctl(2), setrlimit(2).
"""

import ctypes
import os

from flynn.sandbox.file_rules import draw_rules, restrict_files
from flynn.sandbox.handover import close_ends, send_descriptor
from flynn.sandbox.kernel import Fields, SetUpFailed, boot_time, check, close_descriptors, libc, one, owner_of

MARK = "flynn-launcher: "
SET_UP_FAILED = MARK + "set-up failed: "

STATUS_SET_UP_FAILED = 126
STATUS_NOT_FOUND = 127

_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 1, 24, 28
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_NR_SECCOMP = 317 if os.uname().machine == "x86_64" else 277
_SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, _KILLABLE = 1, 1 << 3, 1 << 5
_EINVAL = 22
_HIGHEST = 1 << 31
_SECUREBITS = 0xEF
"""NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock, and the lock of KEEP_CAPS."""
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


def set_limits(policy: Fields) -> None:
    """Set each `limit` (`number=value`, as in setrlimit(2)), soft and hard, never above the hard one."""
    for limit in policy.get("limit", []):
        number, value = (int(part) for part in limit.split("="))
        present = (ctypes.c_uint64 * 2)()
        check(libc.getrlimit(number, present), "getrlimit")
        bound = min(value, present[1])
        check(libc.setrlimit(number, (ctypes.c_uint64 * 2)(bound, bound)), f"setrlimit {limit}")


def become(policy: Fields) -> None:
    """Become the policy's uid and gid, if it has any."""
    if owner := owner_of(policy):
        uid, gid = owner
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def drop_privileges(policy: Fields) -> None:
    """Become the policy's uid and gid, and lose every capability of every set for good."""
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    check(libc.capget(header, sets), "capget")
    if sets[1] | sets[4]:
        # Without any permitted capability these calls are refused, and no_new_privs keeps the sets empty.
        libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0)
        for capability in range(_LAST_CAPABILITY + 1):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    become(policy)
    check(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    check(libc.capget(header, sets), "capget")
    if any(sets):
        raise SetUpFailed("capabilities are left after they were dropped")


def filter_calls(policy: Fields, supervisor: int | None) -> None:
    """Install the seccomp filter that came with the policy, an array of `struct sock_filter`, in hex.

    Where the filter asks, the other end of its questions is sent to the `supervisor`. Where there can be
    none (a container's own filter may have the only one there can be), what it would ask is refused.
    """
    if supervisor is None:
        check(_install(one(policy, "seccomp"), 0), "seccomp")
        return
    program = one(policy, "seccomp")
    listener = _install(program, _NEW_LISTENER | _KILLABLE)
    if listener < 0 and ctypes.get_errno() == _EINVAL:  # before Linux 5.19
        listener = _install(program, _NEW_LISTENER)
    if listener < 0:
        check(_install(one(policy, "seccomp_refusing"), 0), "seccomp")
        return
    send_descriptor(supervisor, listener)
    close_ends(listener, supervisor)


def _install(hexadecimal: str | None, flags: int) -> int:
    program = bytes.fromhex(hexadecimal or "")
    if not program:
        raise SetUpFailed("the policy carries no seccomp filter")
    code = ctypes.create_string_buffer(program, len(program))
    head = (ctypes.c_uint64 * 2)(len(program) // 8, ctypes.addressof(code))
    result: int = libc.syscall(_NR_SECCOMP, _SECCOMP_SET_MODE_FILTER, flags, head)
    return result


def enter_directory(policy: Fields) -> None:
    """Go to `cwd`, which must be `root` or lie beneath it once links are resolved."""
    root, target = policy["root"][0], policy["cwd"][0]
    try:
        os.chdir(target)
        here = os.getcwd()  # noqa: PTH109 - pathlib costs milliseconds
    except OSError as error:
        raise SetUpFailed(f"working directory {target}: {error.strerror}") from error
    if here != root and not here.startswith(root.rstrip("/") + "/"):
        raise SetUpFailed(f"the working directory {target} leads outside the workspace")


def check_deadline(policy: Fields) -> None:
    """Refuse once `deadline`, seconds on CLOCK_BOOTTIME, has come."""
    deadline = one(policy, "deadline")
    if deadline is not None and boot_time() >= float(deadline):
        raise SetUpFailed("the deadline has passed")


def confine(policy: Fields, supervisor: int | None) -> None:
    """Take everything away that the policy does not grant."""
    ruleset = draw_rules(policy)
    drop_privileges(policy)
    check(libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "pdeathsig")
    check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    restrict_files(ruleset)
    filter_calls(policy, supervisor)


def confine_and_execute(policy: Fields, output_for_errors: int, supervisor: int | None) -> int:
    """Become the command; returns a status only where that failed.

    `supervisor` is the end of the handover where the filter's questions are answered.
    """
    words = os.dup(2)
    try:
        os.setsid()
        os.umask(0o022)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output_for_errors, 2)
        kept = sorted([words, *([] if supervisor is None else [supervisor])])
        for first, last in zip([2, *kept], [*kept, _HIGHEST], strict=True):
            close_descriptors(first + 1, last - 1)
        for signal_number in (_SIGPIPE, _SIGXFSZ):  # Python ignores both, and execve would hand that on
            libc.signal(signal_number, None)
        check(libc.sigprocmask(2, bytes(128), None), "sigprocmask")
        set_limits(policy)
        if "unconfined" in policy:
            become(policy)
        else:
            confine(policy, supervisor)
        enter_directory(policy)
        check_deadline(policy)
    except (SetUpFailed, OSError) as error:
        os.write(words, f"{SET_UP_FAILED}{error}\n".encode(errors="replace"))
        return STATUS_SET_UP_FAILED
    return _execute(policy)


def _execute(policy: Fields) -> int:
    arguments = policy["arg"]
    environment = dict(pair.split("=", 1) for pair in policy.get("env", []))
    name = arguments[0]
    places = [""] if "/" in name else [f"{place}/" for place in environment.get("PATH", "").split(":")]
    failure: OSError | None = None
    for place in places:
        try:
            os.execve(place + name, arguments, environment)  # noqa: S606 - the purpose of this file
        except OSError as error:
            if failure is None or not isinstance(error, FileNotFoundError | NotADirectoryError):
                failure = error
    missing = isinstance(failure, FileNotFoundError | NotADirectoryError)
    reason = "command not found" if missing else failure.strerror if failure else "no PATH"
    os.write(2, f"{name}: {reason}\n".encode(errors="replace"))
    return STATUS_NOT_FOUND if missing else STATUS_SET_UP_FAILED

"""The inner launcher: supervises one process tree and confines it before it exists.

Stand-alone: the standard library only, nothing of flynn, so that it starts in milliseconds
(`python -I -S launcher.py POLICY_FD`). Two processes come of it:

- the **supervisor** stays. It is pid 1 of the sandbox's pid namespace, or a child subreaper in a
  session of its own. File descriptor 0 is the worker's heartbeat pipe: when that closes, or is silent
  for too long, the tree dies. It watches what the tree uses together, and ends with the tree.
- its **child** confines itself in this order and then becomes the command: close descriptors, resource
  limits, identity and capabilities, no_new_privs, Landlock, seccomp, chdir, deadline, execve.

The policy is read from POLICY_FD: NUL-separated pairs of field and value (see `flynn.sandbox.policy`).
Descriptor 1 is the command's output; descriptor 2 is for the launcher's own words and is never open in
the command. Any failure of the set-up ends with status 126 and a line that starts with MARK there; a
command that cannot be executed is the command's own affair (127 or 126 without the line).

It refuses to start anything once the deadline on CLOCK_BOOTTIME has passed.
Sources: landlock(7), seccomp(2), capabilities(7), prctl(2), pid_namespaces(7).
"""

import ctypes
import os
import select
import stat
import sys
import time

MARK = "flynn-launcher: "
SET_UP_FAILED = MARK + "set-up failed: "
KILLED = MARK + "killed: "

STATUS_SET_UP_FAILED = 126
STATUS_NOT_FOUND = 127
STATUS_KILLED = 137

_SIGKILL, _SIGPIPE, _SIGSTOP, _SIGXFSZ = 9, 13, 19, 25
_TICK_SECONDS = 0.25

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 4, 22, 24
_PR_SET_SECUREBITS, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 28, 36, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL, _SECCOMP_MODE_FILTER = 4, 2
_SECUREBITS = 0xEF
"""NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock, and the lock of KEEP_CAPS."""
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

# These numbers are the same on x86_64 and aarch64.
_NR_PIDFD_SEND_SIGNAL, _NR_CLOSE_RANGE = 424, 436
_NR_LANDLOCK_CREATE, _NR_LANDLOCK_ADD, _NR_LANDLOCK_RESTRICT = 444, 445, 446
_HIGHEST_DESCRIPTOR = 0x7FFFFFFF

_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_MAKE_CHAR, _FS_MAKE_BLOCK = 1 << 6, 1 << 11
_FS_REFER, _FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FS_FILE = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_FS_READ = _FS_EXECUTE | _FS_READ_FILE | _FS_READ_DIR
_FS_DEVICE = _FS_READ_FILE | _FS_WRITE_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_NET_ALL, _SCOPE_ALL = 0b11, 0b11

_libc = ctypes.CDLL(None, use_errno=True)

Policy = dict[str, list[str]]


class SetUpFailed(Exception):
    """A step of the set-up failed; nothing may be executed."""


def read_policy(descriptor: int) -> Policy:
    """Read the NUL-separated pairs of field and value; a field may come many times."""
    data = b""
    while piece := os.pread(descriptor, 1 << 20, len(data)):
        data += piece
    fields = data.split(b"\0")
    policy: Policy = {}
    for name, value in zip(fields[0:-1:2], fields[1::2], strict=True):
        policy.setdefault(name.decode(), []).append(os.fsdecode(value))
    return policy


def _one(policy: Policy, field: str) -> str | None:
    values = policy.get(field)
    return values[0] if values else None


def _close(first: int, last: int = _HIGHEST_DESCRIPTOR) -> None:
    # os.closerange makes a call for each number where the C library of the build knew no close_range.
    if first > last or _libc.syscall(_NR_CLOSE_RANGE, first, last, 0) == 0:
        return
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib costs milliseconds
        if first <= int(name) <= last:
            os.closerange(int(name), int(name) + 1)


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise SetUpFailed(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


# --- confinement ----------------------------------------------------------------------------------


def set_limits(policy: Policy) -> None:
    """Set each `limit` (`number=value`, as in setrlimit(2)), soft and hard, never above the hard one."""
    for limit in policy.get("limit", []):
        number, value = (int(part) for part in limit.split("="))
        present = (ctypes.c_uint64 * 2)()
        _check(_libc.getrlimit(number, present), "getrlimit")
        bound = min(value, present[1])
        _check(_libc.setrlimit(number, (ctypes.c_uint64 * 2)(bound, bound)), f"setrlimit {limit}")


def drop_privileges(policy: Policy) -> None:
    """Become the policy's uid and gid, and lose every capability of every set for good."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, sets), "capget")
    if sets[1] | sets[4]:
        # Without any permitted capability these calls are refused, and no_new_privs keeps the sets empty.
        _libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0)
        for capability in range(_LAST_CAPABILITY + 1):
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if uid := _one(policy, "uid"):
        gid = int(_one(policy, "gid") or uid)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(int(uid), int(uid), int(uid))
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    _check(_libc.capget(header, sets), "capget")
    if any(sets):
        raise SetUpFailed("capabilities are left after they were dropped")


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    version: int = _libc.syscall(_NR_LANDLOCK_CREATE, None, 0, 1)
    return max(version, 0)


def draw_rules(policy: Policy) -> int | None:
    """Make a Landlock ruleset: `read`, `write` and `device` name what may be touched, no more.

    With `isolate`, TCP is denied too; from ABI 6 so are signals and abstract sockets to the outside.
    Rights that the policy's ABI does not know are left out. Done while still privileged, since another
    uid may not be able to walk to these places. Returns the ruleset's descriptor, None for ABI 0.
    """
    version = int(_one(policy, "landlock") or 0)
    if not version:
        return None
    if version > landlock_version():
        raise SetUpFailed(f"Landlock ABI {version} is needed, the kernel has {landlock_version()}")
    handled = (1 << 13) - 1
    handled |= _FS_REFER if version >= 2 else 0
    handled |= _FS_TRUNCATE if version >= 3 else 0
    handled |= _FS_IOCTL_DEV if version >= 5 else 0
    network = _NET_ALL if version >= 4 and "isolate" in policy else 0
    scope = _SCOPE_ALL if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attribute = (ctypes.c_uint64 * 3)(handled, network, scope)
    ruleset = _check(_libc.syscall(_NR_LANDLOCK_CREATE, attribute, size, 0), "landlock_create_ruleset")
    everything = handled & ~(_FS_MAKE_CHAR | _FS_MAKE_BLOCK)
    for field, access in (("read", _FS_READ), ("write", everything), ("device", _FS_DEVICE)):
        for path in policy.get(field, []):
            _allow(ruleset, path, access & handled)
    return ruleset


def restrict_files(ruleset: int | None) -> None:
    """Apply the ruleset; it cannot be taken back."""
    if ruleset is not None:
        _check(_libc.syscall(_NR_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise SetUpFailed(f"{path}: {error.strerror}") from error
    if not stat.S_ISDIR(os.fstat(target).st_mode):
        access &= _FS_FILE
    rule = access.to_bytes(8, sys.byteorder) + target.to_bytes(4, sys.byteorder)
    _check(_libc.syscall(_NR_LANDLOCK_ADD, ruleset, 1, rule, 0), f"landlock_add_rule {path}")
    os.close(target)


def filter_calls(policy: Policy) -> None:
    """Install the seccomp filter that came with the policy, an array of `struct sock_filter`, in hex."""
    program = bytes.fromhex(_one(policy, "seccomp") or "")
    if not program:
        raise SetUpFailed("the policy carries no seccomp filter")
    code = ctypes.create_string_buffer(program, len(program))
    head = (ctypes.c_uint64 * 2)(len(program) // 8, ctypes.addressof(code))
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0), "seccomp")


def enter_directory(policy: Policy) -> None:
    """Go to `cwd`, which must be `root` or lie beneath it once links are resolved."""
    root, target = policy["root"][0], policy["cwd"][0]
    try:
        os.chdir(target)
        here = os.getcwd()  # noqa: PTH109 - pathlib costs milliseconds
    except OSError as error:
        raise SetUpFailed(f"working directory {target}: {error.strerror}") from error
    if here != root and not here.startswith(root.rstrip("/") + "/"):
        raise SetUpFailed(f"the working directory {target} leads outside the workspace")


def check_deadline(policy: Policy) -> None:
    """Refuse once `deadline`, seconds on CLOCK_BOOTTIME, has come."""
    deadline = _one(policy, "deadline")
    if deadline is not None and _boot_time() >= float(deadline):
        raise SetUpFailed("the deadline has passed")


def confine_and_execute(policy: Policy, output_for_errors: int) -> int:
    """Become the command; returns a status only where that failed."""
    words = os.dup(2)
    try:
        os.setsid()
        os.umask(0o022)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output_for_errors, 2)
        _close(3, words - 1)
        _close(words + 1)
        for signal_number in (_SIGPIPE, _SIGXFSZ):  # Python ignores both, and execve would hand that on
            _libc.signal(signal_number, None)
        _check(_libc.sigprocmask(2, bytes(128), None), "sigprocmask")
        set_limits(policy)
        ruleset = draw_rules(policy)
        drop_privileges(policy)
        _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "pdeathsig")
        _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
        restrict_files(ruleset)
        filter_calls(policy)
        enter_directory(policy)
        check_deadline(policy)
    except (SetUpFailed, OSError) as error:
        os.write(words, f"{SET_UP_FAILED}{error}\n".encode(errors="replace"))
        return STATUS_SET_UP_FAILED
    return _execute(policy)


def _execute(policy: Policy) -> int:
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


# --- supervision ----------------------------------------------------------------------------------


def _parent(pid: int) -> int | None:
    """The parent of a process that has not ended; a zombie that still has threads has not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib costs milliseconds
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in b"ZX" and int(fields[17]) <= 1 else int(fields[1])
    except (OSError, IndexError, ValueError):
        return None


def descendants(ancestor: int) -> set[int]:
    """Every process beneath `ancestor` that has not ended, without `ancestor` itself."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs milliseconds
        if name.isdigit() and (parent := _parent(int(name))) is not None:
            children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    ahead = [ancestor]
    while ahead:
        for pid in children.get(ahead.pop(), []):
            if pid not in found:
                found.add(pid)
                ahead.append(pid)
    return found


def _send(pid: int, signal_number: int, family: set[int]) -> None:
    # The parent is looked at again through a pidfd, so that a recycled pid is never hit.
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    if _parent(pid) in family:
        _libc.syscall(_NR_PIDFD_SEND_SIGNAL, handle, signal_number, None, 0)
    os.close(handle)


def kill_tree(ancestor: int) -> None:
    """Stop everything beneath `ancestor` until nothing new appears, then kill it all."""
    stopped: set[int] = set()
    while fresh := descendants(ancestor) - stopped:
        family = stopped | fresh | {ancestor}
        for pid in fresh:
            _send(pid, _SIGSTOP, family)
        stopped |= fresh
    for pid in stopped:
        _send(pid, _SIGKILL, stopped | {ancestor})


def _end_tree(*, alone: bool) -> None:
    """Return when no process of the tree is left. Pid 1 leaves that to the kernel, which does it surely."""
    if alone:
        return
    while True:
        kill_tree(os.getpid())
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return  # a subreaper without children has no descendants
        time.sleep(0.001)


def _excess(policy: Policy) -> str | None:
    """Say what the tree uses too much of, all its processes together."""
    me = os.getpid()
    tree = descendants(me)
    processes = int(_one(policy, "processes") or 0)
    if processes and len(tree) > processes:
        return f"more than {processes} processes at once"
    memory = int(_one(policy, "memory") or 0)
    pages = sum(_private_pages(pid) for pid in tree) if memory else 0
    if pages * os.sysconf("SC_PAGE_SIZE") > memory:
        return f"more than {memory // 2**20} MiB of memory together"
    reserve = int(_one(policy, "disk_reserve") or 0)
    if reserve:
        disk = os.statvfs(policy["root"][0])
        if disk.f_bavail * disk.f_frsize < reserve:
            return f"less than {reserve // 2**20} MiB are left on the workspace's disk"
    return None


def _private_pages(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - pathlib costs milliseconds
            resident, shared = file.read().split()[1:3]
    except (OSError, ValueError):
        return 0
    return int(resident) - int(shared)


def watch(policy: Policy, child: int) -> int:
    """Wait for the child's end, the worker's silence or an excess; returns the status to exit with."""
    silence = float(_one(policy, "silence") or 10)
    poller = select.poll()
    ended = os.pidfd_open(child)
    poller.register(ended, select.POLLIN)
    poller.register(0, select.POLLIN)
    heard = looked = _boot_time()
    reason = None
    while reason is None:
        for descriptor, _ in poller.poll(int(_TICK_SECONDS * 1000)):
            if descriptor == 0:
                if not os.read(0, 4096):
                    reason = "the worker is gone"
                heard = _boot_time()
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break
        now = _boot_time()
        if now - heard > silence:
            reason = f"the worker was silent for {silence:g} s"
        elif now - looked >= _TICK_SECONDS:
            looked = now
            reason = _excess(policy)
    os.write(2, f"{KILLED}{reason}\n".encode())
    return STATUS_KILLED


def supervise(policy: Policy) -> int:
    """Start the child and stay until the whole tree is gone."""
    alone = os.getpid() == 1
    # Else the command could read and write this process through /proc.
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")
    apart = _one(policy, "errors")
    if apart is not None:
        os.dup2(int(apart), 3)
    _close(3 if apart is None else 4)
    child = os.fork()
    if child == 0:
        os._exit(confine_and_execute(policy, 1 if apart is None else 3))
    # The output ends when the command's processes end: the supervisor must not hold it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _close(3)
    try:
        return watch(policy, child)
    finally:
        _end_tree(alone=alone)


def main() -> int:
    """Read the policy and supervise; the whole tree is gone when this returns."""
    try:
        policy = read_policy(int(sys.argv[1]))
        return supervise(policy)
    except Exception as error:
        os.write(2, f"{SET_UP_FAILED}{type(error).__name__}: {error}\n".encode(errors="replace"))
        return STATUS_SET_UP_FAILED


if __name__ == "__main__":
    os._exit(main())  # at once: tearing the interpreter down costs milliseconds

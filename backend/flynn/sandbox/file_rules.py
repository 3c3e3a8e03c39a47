"""Landlock: what files, and what of the world outside, a process may still touch.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
Source: landlock(7).
"""

import ctypes
import os
import stat
import sys

from flynn.sandbox.kernel import Fields, SetUpFailed, check, libc, one, open_place

_NR_LANDLOCK_CREATE, _NR_LANDLOCK_ADD, _NR_LANDLOCK_RESTRICT = 444, 445, 446

_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_MAKE_CHAR, _FS_MAKE_BLOCK = 1 << 6, 1 << 11
_FS_REFER, _FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FS_FILE = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_FS_READ = _FS_EXECUTE | _FS_READ_FILE | _FS_READ_DIR
_FS_DEVICE = _FS_READ_FILE | _FS_WRITE_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_NET_ALL, _SCOPE_ALL = 0b11, 0b11


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    version: int = libc.syscall(_NR_LANDLOCK_CREATE, None, 0, 1)
    return max(version, 0)


def draw_rules(policy: Fields) -> int | None:
    """Make a Landlock ruleset: `read`, `shown`, `write` and `device` name what may be touched, no more.

    With `isolate`, TCP is denied too; from ABI 6 so are signals and abstract sockets to the outside.
    Rights that the policy's ABI does not know are left out. Done while still privileged, since another
    uid may not be able to walk to these places. Returns the ruleset's descriptor, None for ABI 0.
    """
    version = int(one(policy, "landlock") or 0)
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
    ruleset = check(libc.syscall(_NR_LANDLOCK_CREATE, attribute, size, 0), "landlock_create_ruleset")
    everything = handled & ~(_FS_MAKE_CHAR | _FS_MAKE_BLOCK)
    rules = (("read", _FS_READ), ("shown", _FS_READ), ("write", everything), ("device", _FS_DEVICE))
    for field, access in rules:
        for path in policy.get(field, []):
            # What others may write to as well must still be what was meant.
            try:
                target = open_place(policy, path, exactly=field in ("write", "shown"))
            except OSError as error:
                raise SetUpFailed(f"{path}: {error.strerror}") from error
            _allow(ruleset, target, path, access & handled)
    return ruleset


def restrict_files(ruleset: int | None) -> None:
    """Apply the ruleset; it cannot be taken back."""
    if ruleset is not None:
        check(libc.syscall(_NR_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
        os.close(ruleset)


def _allow(ruleset: int, target: int, path: str, access: int) -> None:
    if not stat.S_ISDIR(os.fstat(target).st_mode):
        access &= _FS_FILE
    rule = access.to_bytes(8, sys.byteorder) + target.to_bytes(4, sys.byteorder)
    check(libc.syscall(_NR_LANDLOCK_ADD, ruleset, 1, rule, 0), f"landlock_add_rule {path}")
    os.close(target)

"""Changes of metadata under Landlock: asked about by the filter, made by the supervisor, or refused.

Landlock restricts what is opened, made and removed, not chmod, chown or utime: a command could take the
modes of everything that its uid owns outside the workspace. So the filter suspends such calls and asks
the supervisor, which is outside Landlock and has the command's rights to files, no more: it makes the
change itself where the file lies beneath a place that the command may write, and refuses it elsewhere.
There is nothing to race: a path is copied once, is resolved beneath such a place by the kernel
(RESOLVE_BENEATH), and the change goes to the file that was opened. What lies outside is not even looked up.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
Sources: seccomp_unotify(2), openat2(2), the kernel's `seccomp.h`.
"""

import ctypes
import os

from flynn.sandbox.kernel import (
    Fields,
    check,
    libc,
    open_beneath,
    open_exactly,
    owner_of,
    take_rights_to_files,
)

_NOTIFICATION, _ANSWER = 80, 24
_IOCTL_RECEIVE, _IOCTL_SEND, _IOCTL_IS_VALID = 0xC0502100, 0xC0182101, 0x40082102

_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_CAPABILITY_VERSION_3 = 0x20080522
_PATH_LIMIT = 4096
_EPERM, _ENOENT, _EBADF, _EFAULT = 1, 2, 9, 14
_EXDEV, _EINVAL, _ENAMETOOLONG, _ELOOP = 18, 22, 36, 40
_OWN_DESCRIPTORS = (b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/")

_ARGUMENTS: dict[str, tuple[int | None, int | None, int | None]] = {
    "chmod": (None, 0, None),
    "fchmod": (0, None, None),
    "fchmodat": (0, 1, None),
    "fchmodat2": (0, 1, 3),
    "chown": (None, 0, None),
    "lchown": (None, 0, None),
    "fchown": (0, None, None),
    "fchownat": (0, 1, 4),
    "utime": (None, 0, None),
    "utimes": (None, 0, None),
    "futimesat": (0, 1, None),
    "utimensat": (0, 1, 3),
}
"""Where each call has its descriptor, its path and its flags; what is to be set comes after the first two."""


class _Refused(Exception):
    """The call fails with this errno."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def take_the_commands_rights(policy: Fields) -> None:
    """Have no more rights to files than the command: its uid, or no capability."""
    if owner := owner_of(policy):
        # It takes the capabilities over files along; that over signals stays.
        os.setgroups([])
        take_rights_to_files(*owner)
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


class Metadata:
    """Answers the filter's questions."""

    def __init__(self, policy: Fields) -> None:
        """Opens the places that may be written, while they are what the policy means by their names."""
        self._calls = dict(pair.split("=", 1) for pair in policy.get("asked", []))
        self._places = {os.fsencode(path): open_exactly(path) for path in policy.get("write", [])}
        self._listener = -1

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What this holds open."""
        return tuple(self._places.values())

    def listen(self, listener: int) -> None:
        """Answer what is asked on `listener`."""
        self._listener = listener

    def answer(self) -> None:
        """Take one question and answer it; nothing when who asked is gone."""
        question = bytearray(_NOTIFICATION)
        if self._ioctl(_IOCTL_RECEIVE, question) < 0:
            return
        fields = memoryview(question).cast("Q")
        number = self._do(fields)
        answer = bytearray(_ANSWER)
        memoryview(answer).cast("Q")[0] = fields[0]
        memoryview(answer).cast("i")[4] = -number
        self._ioctl(_IOCTL_SEND, answer)

    def _ioctl(self, request: int, buffer: bytearray) -> int:
        array = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        result: int = libc.ioctl(self._listener, ctypes.c_ulong(request), array)
        return result

    def _do(self, fields: memoryview) -> int:
        """Make the change that is asked for; the errno of the call, 0 where it was made."""
        task, call = fields[1] & 0xFFFFFFFF, fields[2] & 0xFFFFFFFF
        name = self._calls.get(str(call))
        if name is None or task == 0:
            return _EPERM
        target = -1
        try:
            target, values = self._target(name, task, list(fields[4:10]))
            times = _times(name, task, values[0]) if "utime" in name and values[0] else None
            # Until here the task may have died and its number gone to another, whose files these then were.
            if self._ioctl(_IOCTL_IS_VALID, bytearray(fields[0:1].tobytes())) < 0:
                return _EPERM
            _change(name, target, values, times)
        except _Refused as refusal:
            return refusal.number
        except OSError as error:
            return _EPERM if error.errno in (_EXDEV, _ELOOP, None) else error.errno
        finally:
            if target >= 0:
                os.close(target)
        return 0

    def _target(self, name: str, task: int, arguments: list[int]) -> tuple[int, list[int]]:
        """Open what the call is about; also the arguments that say what is to be set."""
        at, path_at, flags_at = _ARGUMENTS[name]
        values = arguments[1 + max(at or 0, path_at or 0) :]
        flags = _int(arguments[flags_at]) if flags_at is not None else 0
        if flags & ~(_AT_SYMLINK_NOFOLLOW | _AT_EMPTY_PATH):
            raise _Refused(_EINVAL)
        descriptor = _AT_FDCWD if at is None else _int(arguments[at])
        path = None
        if path_at is not None and (arguments[path_at] or name not in ("utimensat", "futimesat")):
            path = _string(task, arguments[path_at])
            if not path and not flags & _AT_EMPTY_PATH:
                raise _Refused(_ENOENT)
        if not path:
            return self._open_descriptor(task, descriptor), values
        for prefix in _OWN_DESCRIPTORS:
            if path.startswith(prefix) and path[len(prefix) :].isdigit():
                return self._open_descriptor(task, int(path[len(prefix) :])), values
        keep_link = name == "lchown" or bool(flags & _AT_SYMLINK_NOFOLLOW)
        return self._open_path(task, descriptor, path, os.O_NOFOLLOW if keep_link else 0), values

    def _open_path(self, task: int, descriptor: int, path: bytes, flags: int) -> int:
        if not path.startswith(b"/"):
            path = _place_of(task, descriptor) + b"/" + path
        place = self._place_around(path)
        beneath = path[len(place) :].lstrip(b"/") or b"."
        return open_beneath(self._places[place], beneath, os.O_PATH | flags, links=True)

    def _open_descriptor(self, task: int, descriptor: int) -> int:
        """Open what a descriptor of the task refers to, which may have lost its name."""
        self._place_around(_place_of(task, descriptor))
        opened = os.open(_link(task, descriptor), os.O_PATH | os.O_CLOEXEC)
        try:
            self._place_around(os.fsencode(os.readlink(f"/proc/self/fd/{opened}")))  # noqa: PTH115 - pathlib costs milliseconds
        except BaseException:
            os.close(opened)
            raise
        return opened

    def _place_around(self, path: bytes) -> bytes:
        """The place that `path` is beneath by its words; refused where there is none."""
        for place in self._places:
            if path == place or path.startswith(place + b"/"):
                return place
        raise _Refused(_EPERM)


def _int(argument: int) -> int:
    return ctypes.c_int32(argument & 0xFFFFFFFF).value


def _link(task: int, descriptor: int) -> str:
    return f"/proc/{task}/cwd" if descriptor == _AT_FDCWD else f"/proc/{task}/fd/{descriptor}"


def _place_of(task: int, descriptor: int) -> bytes:
    """Where a descriptor of the task leads; a question to the kernel's memory, not to a file system."""
    try:
        return os.fsencode(os.readlink(_link(task, descriptor)))  # noqa: PTH115 - pathlib costs milliseconds
    except FileNotFoundError:
        raise _Refused(_EBADF) from None


def _memory(task: int, address: int, size: int) -> bytes:
    """Up to `size` bytes of the task's memory; fewer where it ends."""
    try:
        file = os.open(f"/proc/{task}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, size, address)
        finally:
            os.close(file)
    except OverflowError:
        raise _Refused(_EFAULT) from None
    except OSError as error:
        raise _Refused(_EPERM if isinstance(error, PermissionError) else _EFAULT) from None


def _string(task: int, address: int) -> bytes:
    text, end, _ = _memory(task, address, _PATH_LIMIT).partition(b"\0")
    if not end:
        raise _Refused(_ENAMETOOLONG)
    return text


def _change(name: str, target: int, values: list[int], times: object) -> None:
    """Make the change to the opened file."""
    if "chmod" in name:
        os.chmod(f"/proc/self/fd/{target}", values[0] & 0o7777)  # noqa: PTH101 - pathlib costs milliseconds
        return
    if "chown" in name:
        owner, group = ctypes.c_uint32(values[0]), ctypes.c_uint32(values[1])
        result = libc.fchownat(target, b"", owner, group, _AT_EMPTY_PATH)
    else:
        result = libc.utimensat(target, b"", times, _AT_EMPTY_PATH)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)


def _times(name: str, task: int, address: int) -> ctypes.Array[ctypes.c_int64]:
    """Access and modification as two `struct timespec`."""
    size = 16 if name == "utime" else 32
    read = _memory(task, address, size)
    if len(read) < size:
        raise _Refused(_EFAULT)
    numbers = memoryview(read).cast("q").tolist()
    if name == "utime":
        numbers = [numbers[0], 0, numbers[1], 0]
    elif name != "utimensat":
        if not all(0 <= microseconds < 1_000_000 for microseconds in numbers[1::2]):
            raise _Refused(_EINVAL)
        numbers = [numbers[0], numbers[1] * 1000, numbers[2], numbers[3] * 1000]
    return (ctypes.c_int64 * 4)(*numbers)

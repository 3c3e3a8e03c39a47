"""Hands one descriptor from the confined child to its supervisor.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
The socket module would cost half a millisecond of each start, and so would structures of ctypes: the
words of `struct msghdr`, `struct iovec` and `struct cmsghdr` are written out, for 64-bit machines with the
lowest byte first, as both that the filter knows are. Source: unix(7), cmsg(3), recvmsg(2).
"""

import ctypes
import os

from flynn.sandbox.kernel import check, libc

_AF_UNIX, _SOCK_SEQPACKET, _SOCK_CLOEXEC = 1, 5, 0o2000000
_SOL_SOCKET, _SCM_RIGHTS, _MSG_CMSG_CLOEXEC = 1, 1, 0x40000000
_CONTROL_LENGTH, _CONTROL_SPACE = 20, 24
_KIND = _SOL_SOCKET | _SCM_RIGHTS << 32


def open_handover() -> tuple[int, int]:
    """Two connected sockets: the supervisor's and the child's."""
    ends = (ctypes.c_int * 2)()
    check(libc.socketpair(_AF_UNIX, _SOCK_SEQPACKET | _SOCK_CLOEXEC, 0, ends), "socketpair")
    return ends[0], ends[1]


def send_descriptor(end: int, descriptor: int) -> None:
    """Send a copy of `descriptor` to the other end."""
    _exchange(end, [_CONTROL_LENGTH, _KIND, descriptor], receiving=False)


def receive_descriptor(end: int) -> int | None:
    """Take the descriptor that was sent; None where the other end closed without sending one."""
    length, control = _exchange(end, [0, 0, 0], receiving=True)
    return control[2] & 0xFFFFFFFF if length >= _CONTROL_LENGTH and control[1] == _KIND else None


def _exchange(end: int, words: list[int], *, receiving: bool) -> tuple[int, list[int]]:
    """Send or take one byte with a control message of three words; its length, and the words, afterwards."""
    byte = ctypes.create_string_buffer(b".", 1)
    piece = (ctypes.c_uint64 * 2)(ctypes.addressof(byte), 1)
    control = (ctypes.c_uint64 * 3)(*words)
    message = (ctypes.c_uint64 * 7)(
        *(0, 0, ctypes.addressof(piece), 1, ctypes.addressof(control), _CONTROL_SPACE, 0)
    )
    call, flags = (libc.recvmsg, _MSG_CMSG_CLOEXEC) if receiving else (libc.sendmsg, 0)
    check(call(end, message, flags), "the handover of a descriptor")
    return message[5], list(control)


def close_ends(*ends: int | None) -> None:
    """Close the ends that are there."""
    for end in ends:
        if end is not None:
            os.close(end)

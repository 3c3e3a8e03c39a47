"""Hands one descriptor from the confined child to its supervisor.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
The socket module would cost half a millisecond of each start. Source: unix(7), cmsg(3).
"""

import ctypes
import os

from flynn.sandbox.kernel import check, libc

_AF_UNIX, _SOCK_SEQPACKET, _SOCK_CLOEXEC = 1, 5, 0o2000000
_SOL_SOCKET, _SCM_RIGHTS, _MSG_CMSG_CLOEXEC = 1, 1, 0x40000000


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Control(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_size_t),
        ("level", ctypes.c_int),
        ("type", ctypes.c_int),
        ("descriptor", ctypes.c_int),
        ("padding", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("pieces", ctypes.POINTER(_Piece)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.POINTER(_Control)),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


_CONTROL_LENGTH = ctypes.sizeof(_Control) - ctypes.sizeof(ctypes.c_int)


def open_handover() -> tuple[int, int]:
    """Two connected sockets: the supervisor's and the child's."""
    ends = (ctypes.c_int * 2)()
    check(libc.socketpair(_AF_UNIX, _SOCK_SEQPACKET | _SOCK_CLOEXEC, 0, ends), "socketpair")
    return ends[0], ends[1]


def send_descriptor(end: int, descriptor: int) -> None:
    """Send a copy of `descriptor` to the other end."""
    control = _Control(_CONTROL_LENGTH, _SOL_SOCKET, _SCM_RIGHTS, descriptor, 0)
    check(libc.sendmsg(end, ctypes.byref(_message(control, ctypes.c_char(b"."))), 0), "sendmsg")


def receive_descriptor(end: int) -> int | None:
    """Take the descriptor that was sent; None where the other end closed without sending one."""
    control = _Control()
    message = _message(control, ctypes.c_char())
    check(libc.recvmsg(end, ctypes.byref(message), _MSG_CMSG_CLOEXEC), "recvmsg")
    sent = message.control_length >= _CONTROL_LENGTH and control.type == _SCM_RIGHTS
    return control.descriptor if sent else None


def _message(control: _Control, byte: ctypes.c_char) -> _Message:
    piece = _Piece(ctypes.addressof(byte), 1)
    message = _Message(None, 0, ctypes.pointer(piece), 1, ctypes.pointer(control), ctypes.sizeof(control), 0)
    message.byte = byte  # the structure holds addresses only
    return message


def close_ends(*ends: int | None) -> None:
    """Close the ends that are there."""
    for end in ends:
        if end is not None:
            os.close(end)

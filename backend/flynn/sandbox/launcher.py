"""The inner launcher: supervises one process tree and confines it before it exists.

It starts in milliseconds (`python -I -S LAUNCHER POLICY_FD`): a bundle of byte code (see
`flynn.sandbox.launch`) of this module and those named there, which import the standard library, one
another, and nothing else. Two processes come of it:

- the **supervisor** stays. It is pid 1 of the sandbox's pid namespace, or a child subreaper in a
  session of its own. File descriptor 0 is the worker's heartbeat pipe: when that closes, or is silent
  for too long, the tree dies. It watches what the tree uses together, answers the filter's questions
  where there are any (see `flynn.sandbox.metadata`), and ends with the tree.
- its **child** confines itself in this order and then becomes the command: close descriptors, resource
  limits, identity and capabilities, no_new_privs, Landlock, seccomp, chdir, deadline, execve.

The policy is read from POLICY_FD: NUL-separated pairs of field and value (see `flynn.sandbox.policy`).
Descriptor 1 is the command's output; descriptor 2 is for the launcher's own words and is never open in
the command. Any failure of the set-up ends with status 126 and a line that starts with MARK there; a
command that cannot be executed is the command's own affair (127 or 126 without the line).

It refuses to start anything once the deadline on CLOCK_BOOTTIME has passed.
Sources: landlock(7), seccomp(2), capabilities(7), prctl(2), pid_namespaces(7).
"""

import os
import select
import sys
import time

from flynn.sandbox.confinement import MARK, SET_UP_FAILED, STATUS_SET_UP_FAILED, confine_and_execute
from flynn.sandbox.excess import Excess
from flynn.sandbox.handover import close_ends, open_handover, receive_descriptor
from flynn.sandbox.kernel import Fields, SetUpFailed, boot_time, check, close_descriptors, conceal, libc, one
from flynn.sandbox.metadata import Metadata, take_the_commands_rights
from flynn.sandbox.process_tree import kill_tree

KILLED = MARK + "killed: "
STATUS_KILLED = 137

_TICK_SECONDS = 0.25
_PR_SET_CHILD_SUBREAPER = 36


def read_policy(descriptor: int) -> Fields:
    """Read the NUL-separated pairs of field and value; a field may come many times."""
    data = b""
    while piece := os.pread(descriptor, 1 << 20, len(data)):
        data += piece
    fields = data.split(b"\0")
    policy: Fields = {}
    for name, value in zip(fields[0:-1:2], fields[1::2], strict=True):
        policy.setdefault(name.decode(), []).append(os.fsdecode(value))
    return policy


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


def watch(policy: Fields, child: int, metadata: Metadata | None, handed: int | None) -> int:
    """Wait for the child's end, the worker's silence or an excess; returns the status to exit with.

    Meanwhile `metadata` answers what the child's filter asks, whose listener comes over `handed`.
    """
    excess = Excess(policy)
    silence = float(one(policy, "silence") or 10)
    poller = select.poll()
    ended = os.pidfd_open(child)
    poller.register(ended, select.POLLIN)
    poller.register(0, select.POLLIN)
    if handed is not None:
        poller.register(handed, select.POLLIN)
    heard = looked = boot_time()
    reason = None
    while reason is None:
        for descriptor, event in poller.poll(int(_TICK_SECONDS * 1000)):
            if descriptor == 0:
                if not os.read(0, 4096):
                    reason = "the worker is gone"
                heard = boot_time()
            elif descriptor == handed and metadata is not None:
                poller.unregister(descriptor)
                listener = receive_descriptor(descriptor)
                if listener is not None:
                    metadata.listen(listener)
                    poller.register(listener, select.POLLIN)
            elif descriptor != ended and metadata is not None:
                if event & select.POLLIN:
                    metadata.answer()
                else:  # nobody is left who could ask
                    poller.unregister(descriptor)
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break
        now = boot_time()
        if now - heard > silence:
            reason = f"the worker was silent for {silence:g} s"
        elif now - looked >= _TICK_SECONDS:
            looked = now
            reason = excess.find()
    os.write(2, f"{KILLED}{reason}\n".encode())
    return STATUS_KILLED


def _worker_is_there() -> bool:
    poller = select.poll()
    poller.register(0, select.POLLIN)
    return not any(event & (select.POLLHUP | select.POLLERR) for _, event in poller.poll(0))


def supervise(policy: Fields) -> int:
    """Start the child and stay until the whole tree is gone."""
    alone = os.getpid() == 1
    conceal()  # else the command could read and write this process through /proc
    check(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")
    apart = one(policy, "errors")
    if apart is not None:
        os.dup2(int(apart), 3)
    close_descriptors(3 if apart is None else 4)
    if not _worker_is_there():
        raise SetUpFailed("the worker is gone")
    metadata = Metadata(policy) if "asked" in policy else None
    own, childs = open_handover() if metadata else (None, None)
    child = os.fork()
    if child == 0:
        os._exit(confine_and_execute(policy, 1 if apart is None else 3, childs))
    try:
        close_ends(childs)
        if metadata:
            take_the_commands_rights(policy)
        # The output ends when the command's processes end: the supervisor must not hold it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if apart is not None:
            os.close(3)
        return watch(policy, child, metadata, own)
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

"""An escape attempt: what it is made of, and how one is added.

An attempt acts in a `Scene`: a workspace and, outside it, bait that the test made. It is tried twice.
The **control** runs as a plain child process, with the uid that the command would have: there it must get
out, or the attempt proves nothing. Then it runs in a sandbox, as the tool Bash runs commands, and must be
stopped. Whether it got out is judged from outside wherever that is possible: the secret's bytes in the
output, a file that changed, a listener that heard the message, a victim that was hurt.

To add one, write it into the module of its category (`reading`, `writing`, …):

- `shell(name, category, script, proof)` and `python(name, category, source, proof)` run code inside. An
  upper-case name of bait (`SECRET`, `OUTSIDE`, `VICTIM`, `TCP` …: all of them in `bait.py`) is
  made when the code mentions it, and is a variable there. `NONCE` is what to print when only the inside can
  tell; `MESSAGE` is what listeners wait for.
- `kernel_call(name, numbers, arguments)` is one system call, refused when it says EPERM or ENOSYS. All of
  them run in one process each way. Where the real thing would harm the machine (reboot, kexec, the
  clock) the arguments are such that the kernel itself answers with another error: "reached the kernel's
  own check" is then the control.
- `@attempt(name, category)` on `async def act(scene) -> bool` is for everything else; it returns whether it
  got out. `scene.backend` is None in the control.

`households` says where a control is possible: `root` (the service is root, and so is the workspace's
owner), `owner` (a root service, the workspace belongs to another uid) and `user` (an ordinary user).
What a backend lets out by design stands in `accepted.py`, with the words by which the report announces it.
A module of its own is added to `catalogue.py`.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from tests.escapes.scene import Ran, Scene

Household: TypeAlias = Literal["root", "owner", "user"]
Category: TypeAlias = Literal[
    "reading outside",
    "writing outside",
    "metadata outside",
    "planted for later",
    "network",
    "processes",
    "kernel",
    "privileges",
    "resources",
    "results",
    "file tools",
]
Act: TypeAlias = "Callable[[Scene], Awaitable[bool]]"
Proof: TypeAlias = "Callable[[Scene, Ran], bool]"

HOUSEHOLDS: Final[tuple[Household, ...]] = ("root", "owner", "user")
ROOT: Final[tuple[Household, ...]] = ("root",)
OWNER: Final[tuple[Household, ...]] = ("owner",)
USER: Final[tuple[Household, ...]] = ("user",)
NOT_ROOT: Final[tuple[Household, ...]] = ("owner", "user")


class NotHere(Exception):
    """This machine lacks what the control needs: the reason to leave the attempt out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One way out. `fast` ones run in every test run; `alone` ones measure the machine."""

    name: str
    category: Category
    act: Act
    households: tuple[Household, ...] = HOUSEHOLDS
    fast: bool = False
    alone: bool = False


ATTEMPTS: Final[dict[str, Attempt]] = {}
"""All attempts by name, in the order of the catalogue."""


def add(made: Attempt) -> None:
    """Register an attempt; names are unique."""
    if made.name in ATTEMPTS:
        raise ValueError(f"two attempts are called {made.name!r}")
    ATTEMPTS[made.name] = made


def attempt(
    name: str,
    category: Category,
    *,
    households: Collection[Household] = HOUSEHOLDS,
    fast: bool = False,
    alone: bool = False,
) -> Callable[[Act], Act]:
    """Register a coroutine function as an attempt."""

    def register(act: Act) -> Act:
        add(
            Attempt(
                name=name,
                category=category,
                act=act,
                households=tuple(households),
                fast=fast,
                alone=alone,
            )
        )
        return act

    return register


def shell(
    name: str,
    category: Category,
    script: str,
    proof: Proof,
    *,
    households: Collection[Household] = HOUSEHOLDS,
    fast: bool = False,
) -> None:
    """Register a bash script as an attempt."""

    async def act(scene: "Scene") -> bool:
        return proof(scene, await scene.shell(script))

    attempt(name, category, households=households, fast=fast)(act)


def python(
    name: str,
    category: Category,
    source: str,
    proof: Proof,
    *,
    households: Collection[Household] = HOUSEHOLDS,
    fast: bool = False,
) -> None:
    """Register a Python source as an attempt; see `inside.py` for what it may use."""

    async def act(scene: "Scene") -> bool:
        ran = await scene.python(source)
        if scene.control and b"the kernel has no such call" in ran.output:
            raise NotHere("this kernel has no such call")
        return proof(scene, ran)

    attempt(name, category, households=households, fast=fast)(act)


def spilled(scene: "Scene", ran: "Ran") -> bool:
    """The secret's own bytes are in the output."""
    return scene.secret.encode() in ran.output


def reached(scene: "Scene", ran: "Ran") -> bool:
    """The code says that it got where it wanted: only where the outside cannot see that."""
    return scene.nonce.encode() in ran.output


def changed(scene: "Scene", ran: "Ran") -> bool:
    """A name or a content outside is not what it was."""
    return scene.bait.changed()


def altered(scene: "Scene", ran: "Ran") -> bool:
    """A mode, an owner, a time, an attribute or a count of links outside is not what it was."""
    return scene.bait.altered()


def heard(scene: "Scene", ran: "Ran") -> bool:
    """A listener outside got the message."""
    return scene.bait.heard()


def hurt(scene: "Scene", ran: "Ran") -> bool:
    """The victim is dead, stopped, or treated differently by the kernel than before."""
    return scene.bait.hurt()

"""Attempts through the tools that work in the service's own process: Read, Write, Edit, Glob, Grep.

The control does the same with open(2), as a careless tool would.
"""

import os
import socket
import time
from typing import Final

from flynn.domain.content import Json
from flynn.tools.ripgrep import ripgrep
from tests.escapes.attempt import attempt
from tests.escapes.scene import Scene

KIND: Final = "file tools"


async def _read(scene: Scene, path: str) -> bool:
    if scene.control:
        return scene.secret in (scene.workspace / path).read_text()
    return scene.secret in str((await scene.tool("Read", file_path=path)).content)


async def _write(scene: Scene, path: str) -> bool:
    if scene.control:
        scene.begin()
        (scene.workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (scene.workspace / path).write_text("written")
    else:
        await scene.tool("Read", file_path=path)
        await scene.tool("Write", file_path=path, content="written")
    return scene.bait.changed()


async def _search(scene: Scene, tool: str, naive: str, **arguments: Json) -> bool:
    """Whether a name or a line from outside is found."""
    if scene.control:
        ran = await scene.plainly(naive)
        return b"secret" in ran.output
    result = await scene.tool(tool, **arguments)
    found = str(result.content)
    return scene.secret in found or "outside/secret" in found.replace(str(arguments), "")


@attempt("Read an absolute path", KIND)
async def read_absolute(scene: Scene) -> bool:
    return await _read(scene, scene.bait.get("SECRET"))


@attempt("Read through ..", KIND)
async def read_upwards(scene: Scene) -> bool:
    return await _read(scene, "../outside/secret")


@attempt("Read through the workspace's own path and ..", KIND)
async def read_around(scene: Scene) -> bool:
    return await _read(scene, f"{scene.workspace}/../outside/secret")


@attempt("Read through a link", KIND, fast=True)
async def read_link(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("SECRET"))
    return await _read(scene, "link")


@attempt("Read through a relative link", KIND)
async def read_relative_link(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to("../outside/secret")
    return await _read(scene, "link")


@attempt("Read through a link to a directory", KIND)
async def read_directory(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("OUTSIDE"))
    return await _read(scene, "link/secret")


@attempt("Read through a link to /proc", KIND)
async def read_proc(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to("/proc/self/root")
    return await _read(scene, f"link{scene.bait.get('SECRET')}")


@attempt("Read a descriptor of the service", KIND)
async def read_descriptor(scene: Scene) -> bool:
    kept = os.open(scene.bait.get("SECRET"), os.O_RDONLY)
    try:
        (scene.workspace / "link").symlink_to(f"/proc/self/fd/{kept}")
        return await _read(scene, "link")
    finally:
        os.close(kept)


@attempt("Read the service's environment", KIND)
async def read_environment(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to("/proc/self/status")
    if scene.control:
        return "Name:" in (scene.workspace / "link").read_text()
    return "Name:" in str((await scene.tool("Read", file_path="link")).content)


@attempt("Read a pipe", KIND)
async def read_pipe(scene: Scene) -> bool:
    """Nobody writes to it: a careless reader waits for ever."""
    os.mkfifo(scene.workspace / "pipe")
    scene.bait.own(scene.workspace / "pipe")
    if scene.control:
        return b"hung" in (await scene.plainly("timeout 1 cat pipe || echo hung")).output
    began = time.monotonic()
    result = await scene.tool("Read", file_path="pipe")
    return time.monotonic() - began > 5 or result.outcome == "ok"


@attempt("Read a device", KIND)
async def read_device(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to("/dev/zero")
    if scene.control:
        return b"100" in (await scene.plainly("head -c 100 link | wc -c")).output
    return (await scene.tool("Read", file_path="link")).outcome == "ok"


@attempt("Read a socket", KIND)
async def read_socket(scene: Scene) -> bool:
    """A careless reader raises; nothing of that may leave the tool as an exception."""
    with socket.socket(socket.AF_UNIX) as held:
        here = os.open(scene.workspace, os.O_PATH)
        held.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        if scene.control:
            try:
                (scene.workspace / "socket").read_bytes()
            except OSError:
                return True
            return False
        return (await scene.tool("Read", file_path="socket")).outcome == "ok"


@attempt("Write through a link", KIND)
async def write_link(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("SECRET"))
    return await _write(scene, "link")


@attempt("Write through a link that leads nowhere yet", KIND)
async def write_dangling(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(f"{scene.bait.get('OUTSIDE')}/new")
    return await _write(scene, "link")


@attempt("Write through a link to a directory", KIND)
async def write_directory(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("OUTSIDE"))
    return await _write(scene, "link/new")


@attempt("Write with new directories behind a link", KIND)
async def write_deep(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("OUTSIDE"))
    return await _write(scene, "link/a/b/new")


@attempt("Write through ..", KIND)
async def write_upwards(scene: Scene) -> bool:
    return await _write(scene, "../outside/new")


@attempt("Write through a hard link", KIND)
async def write_hard_link(scene: Scene) -> bool:
    """The link was there before; writing must break it."""
    (scene.workspace / "hard").hardlink_to(scene.bait.get("SECRET"))
    return await _write(scene, "hard")


@attempt("Edit through a link", KIND)
async def edit_link(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("SECRET"))
    if scene.control:
        scene.begin()
        path = scene.workspace / "link"
        path.write_text(path.read_text().replace("secret", "edited"))
    else:
        await scene.tool("Read", file_path="link")
        await scene.tool("Edit", file_path="link", old_string="secret", new_string="edited")
    return scene.bait.changed()


def _protected(name: str, path: str) -> None:
    @attempt(name, KIND)
    async def act(scene: Scene) -> bool:
        git = scene.workspace / ".git"
        git.mkdir()
        (git / "HEAD").write_text("ref: refs/heads/main\n")
        (git / "x").symlink_to("hooks")
        target = scene.workspace / path
        if scene.control:
            (git / "hooks").mkdir()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("written")
            return True
        await scene.tool("Write", file_path=path, content="written")
        return target.exists()


_PROTECTED: Final = {
    "Write a hook": ".git/hooks/pre-commit",
    "Write a hook in another case": ".GIT/Hooks/pre-commit",
    "Write a hook through a link": ".git/x/pre-commit",
    "Write git's configuration": ".git/config",
    "Write the configuration of a worktree": ".git/config.worktree",
    "Write the configuration of a submodule": ".git/modules/sub/config",
    "Write a hook of a nested repository": "nested/.git/hooks/pre-commit",
    "Write the file that redirects git": "nested/.git",
    "Write the common directory of git": ".git/commondir",
}
for _name, _path in _PROTECTED.items():
    _protected(_name, _path)


@attempt("Glob upwards", KIND)
async def glob_upwards(scene: Scene) -> bool:
    return await _search(scene, "Glob", "ls ../outside/*", pattern="../outside/*")


@attempt("Glob an absolute path", KIND)
async def glob_absolute(scene: Scene) -> bool:
    outside = scene.bait.get("OUTSIDE")
    return await _search(scene, "Glob", f"ls {outside}/*", pattern="*", path=outside)


@attempt("Glob through a link", KIND)
async def glob_link(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("OUTSIDE"))
    if scene.control:
        return b"secret" in (await scene.plainly("ls link/*")).output
    found = [(await scene.tool("Glob", pattern=p)).content for p in ("**/*", "link/*", "link/secret")]
    return "link/secret" in "\n".join(
        str(content).partition("\n")[0] for content in found if "No " not in str(content)
    )


@attempt("Grep upwards", KIND)
async def grep_upwards(scene: Scene) -> bool:
    return await _search(
        scene, "Grep", "grep -r secret ../outside", pattern="secret", path="../outside", output_mode="content"
    )


@attempt("Grep an absolute path", KIND)
async def grep_absolute(scene: Scene) -> bool:
    path = scene.bait.get("OUTSIDE")
    return await _search(
        scene, "Grep", f"grep -r secret {path}", pattern="secret", path=path, output_mode="content"
    )


@attempt("Grep through a link", KIND)
async def grep_link(scene: Scene) -> bool:
    (scene.workspace / "link").symlink_to(scene.bait.get("OUTSIDE"))
    naive = "grep -r secret link/"
    return await _search(scene, "Grep", naive, pattern="secret", path="link", output_mode="content")


@attempt("Grep with an option as the pattern", KIND)
async def grep_option(scene: Scene) -> bool:
    """`--pre` has ripgrep run a program, `-f` read a file of patterns."""
    (scene.workspace / "evil").write_text(f"#!/bin/sh\ntouch {scene.bait.get('OUTSIDE')}/ran\n")
    (scene.workspace / "evil").chmod(0o755)
    option = f"--pre={scene.workspace}/evil"
    if scene.control:
        scene.begin()
        await scene.plainly(f"{ripgrep()} {option} x .")
        return scene.bait.changed()
    await scene.tool("Grep", pattern=option)
    await scene.tool("Grep", pattern="x", glob=option)
    await scene.tool("Grep", pattern="x", path=option)
    await scene.tool("Grep", pattern="x", type=option)
    return scene.bait.changed()

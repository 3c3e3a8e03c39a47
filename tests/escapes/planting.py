"""Attempts to leave something behind that acts later: for git, for the service's helpers, for the next call.

What is planted makes a file outside when it runs unconfined. `later` is what a person or a careless service
does next, never confined; only the planting is.
"""

from typing import Final

from flynn.tools.ripgrep import ripgrep
from tests.escapes.attempt import NotHere, attempt
from tests.escapes.scene import Scene

KIND: Final = "planted for later"

_EVIL: Final = 'printf "#!/bin/sh\\ntouch \\"%s\\"\\n" "$OUTSIDE/ran" > evil; chmod +x evil; '
_COMMIT: Final = "git status >/dev/null; git commit -q --allow-empty -m later; git status >/dev/null; true"
_FORGE: Final = 'core.fsmonitor "$PWD/evil"'

_IN_GIT: Final = {
    "plant a hook": "cp evil .git/hooks/pre-commit",
    "plant a hook by a link": "rm -rf .git/hooks; mkdir h; cp evil h/pre-commit; ln -s ../h .git/hooks",
    "plant a hook after renaming the hooks": (
        "mv .git/hooks .git/old; mkdir .git/hooks; cp evil .git/hooks/pre-commit"
    ),
    "plant a monitor in git's configuration": f"git config {_FORGE}",
    "plant a directory of hooks": "mkdir h; cp evil h/pre-commit; git config core.hooksPath $PWD/h",
    "plant an include in git's configuration": (
        'printf "[core]\\n\\tfsmonitor = $PWD/evil\\n" > more; git config include.path "$PWD/more"'
    ),
    "write git's configuration itself": 'printf "[core]\\n\\tfsmonitor = $PWD/evil\\n" >> .git/config',
    "replace git's configuration": (
        'cp .git/config c; printf "[core]\\n\\tfsmonitor = $PWD/evil\\n" >> c; mv -f c .git/config'
    ),
    "plant a configuration of the worktree": (
        'printf "[core]\\n\\tfsmonitor = $PWD/evil\\n" > .git/config.worktree'
    ),
    "put another repository in its place": (
        "mv .git old; git init -q . && git config user.email a@b && git config user.name a; "
        f"git config {_FORGE}"
    ),
    "redirect the repository by a file": (
        f"git init -q other; git -C other config user.email a@b; git -C other config user.name a; "
        f"git -C other config {_FORGE}; mv .git old; echo 'gitdir: other/.git' > .git"
    ),
    "redirect the repository by a link": (
        f"git init -q other; git -C other config user.email a@b; git -C other config user.name a; "
        f"git -C other config {_FORGE}; mv .git old; ln -s other/.git .git"
    ),
    "redirect the repository's common directory": (
        "cp -r .git common; rm -rf common/hooks; mkdir common/hooks; cp evil common/hooks/pre-commit; "
        f"git config -f common/config {_FORGE}; echo ../common > .git/commondir"
    ),
    "make the workspace itself a repository": (
        f"cp -r .git/. .; git config -f config {_FORGE}; git config -f config core.bare false; "
        'git config -f config core.worktree "$PWD"; rm -f .git/HEAD'
    ),
}


async def _repository(scene: Scene, directory: str = ".") -> None:
    """A repository with a configuration for each worktree, made outside."""
    made = await scene.plainly(
        f"git init -q {directory} && cd {directory} && git config user.email a@b && git config user.name a "
        "&& git config extensions.worktreeConfig true && mkdir -p .git/hooks && touch .git/config.worktree "
        "&& git commit -q --allow-empty -m first"
    )
    if made.exit_code != 0:
        raise NotHere(f"no git: {made.output!r}")


def _in_git(name: str, script: str) -> None:
    @attempt(name, KIND, fast=name == "plant a hook")
    async def act(scene: Scene) -> bool:
        await _repository(scene)
        await scene.shell(_EVIL + script)
        await scene.plainly(_COMMIT)
        return scene.bait.changed()


for _name, _script in _IN_GIT.items():
    _in_git(_name, _script)


@attempt("plant a hook in a nested repository", KIND)
async def nested(scene: Scene) -> bool:
    await _repository(scene, "nested")
    await scene.shell(f"{_EVIL}cp evil nested/.git/hooks/pre-commit")
    await scene.plainly(f"cd nested; {_COMMIT}")
    return scene.bait.changed()


@attempt("plant a hook for a submodule", KIND)
async def submodule(scene: Scene) -> bool:
    await _repository(scene)
    made = await scene.plainly(
        "git init -q s && cd s && git config user.email a@b && git config user.name a && "
        "git commit -q --allow-empty -m first && cd .. && "
        "mkdir -p .git/modules && mv s/.git .git/modules/s && "
        "echo 'gitdir: ../.git/modules/s' > s/.git && git -C s status && mkdir -p .git/modules/s/hooks"
    )
    assert made.exit_code == 0, made
    await scene.shell(f"{_EVIL}cp evil .git/modules/s/hooks/pre-commit")
    await scene.plainly(f"cd s; {_COMMIT}")
    return scene.bait.changed()


@attempt("plant a configuration in the home directory", KIND)
async def home(scene: Scene) -> bool:
    await _repository(scene)
    await scene.shell(f"{_EVIL}git config --global {_FORGE}")
    await scene.plainly(_COMMIT)
    return scene.bait.changed()


@attempt("plant a ripgrep", KIND)
async def fake_ripgrep(scene: Scene) -> bool:
    await scene.shell(f"{_EVIL}cp evil rg; mkdir -p bin .venv/bin; cp evil bin/rg; cp evil .venv/bin/rg")
    if scene.control:
        await scene.plainly("PATH=.:$PATH rg x")
    else:
        assert (await scene.tool("Grep", pattern="touch")).outcome == "ok"
        await scene.tool("Glob", pattern="**/*")
    return scene.bait.changed()


@attempt("plant a configuration of ripgrep", KIND)
async def ripgrep_configuration(scene: Scene) -> bool:
    await scene.shell(
        f'{_EVIL}echo "--pre=$PWD/evil" > .ripgreprc; cp .ripgreprc "$HOME/.ripgreprc"; echo y > f'
    )
    if scene.control:
        await scene.plainly(f"RIPGREP_CONFIG_PATH=.ripgreprc {ripgrep()} y f")
    else:
        await scene.tool("Grep", pattern="y")
    return scene.bait.changed()


@attempt("plant a bash", KIND)
async def fake_bash(scene: Scene) -> bool:
    await scene.shell(f"{_EVIL}cp evil bash; cp evil sh; cp evil python3; cp evil bwrap")
    if scene.control:
        await scene.plainly("PATH=.:$PATH; bash -c true; bwrap; python3")
    else:
        await scene.tool("Bash", command="true")
    return scene.bait.changed()


@attempt("plant modules of Python", KIND)
async def modules(scene: Scene) -> bool:
    """In the workspace and the home directory: for the launcher, which is Python."""
    names = "sitecustomize usercustomize os ctypes select marshal"
    await scene.shell(
        f'for name in {names}; do echo "import pathlib, posix; pathlib.Path(\\"$OUTSIDE/ran\\").touch()" '
        f'> $name.py; done; mkdir -p "$HOME/.local/lib/python3.11/site-packages"; '
        f'cp *.py "$HOME/.local/lib/python3.11/site-packages/"; echo "import sitecustomize" > x.pth'
    )
    if scene.control:
        await scene.plainly(f"PYTHONPATH=. {scene.stand.python} -c 'import select'")
    else:
        await scene.shell("true")
        await scene.tool("Bash", command="true")
        await scene.tool("Grep", pattern="import")
    return scene.bait.changed()


_VARIABLES: Final = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "PYTHONSTARTUP", "BASH_ENV", "ENV"),
    *("PROMPT_COMMAND", "GIT_SSH_COMMAND", "NODE_OPTIONS", "PERL5OPT", "IFS"),
)


@attempt("set the next call's environment", KIND)
async def environment(scene: Scene) -> bool:
    """In the control one shell is kept for both calls, as some services do."""
    first = "; ".join(f"export {name}={scene.nonce}" for name in _VARIABLES)
    return await _two_calls(scene, first, "env; set")


@attempt("leave a function for the next call", KIND)
async def function(scene: Scene) -> bool:
    return await _two_calls(scene, f"true() {{ echo {scene.nonce}; }}; export -f true", "true; bash -c true")


@attempt("leave a trap for the next call", KIND)
async def trap(scene: Scene) -> bool:
    return await _two_calls(scene, f"trap 'echo {scene.nonce}' DEBUG", "true")


@attempt("leave a start-up file for the next shell", KIND)
async def start_up(scene: Scene) -> bool:
    """Whoever starts a login shell reads them."""
    await scene.run(
        "for name in .profile .bash_profile .bashrc .bash_login; do "
        f'echo "echo {scene.nonce}" > $HOME/$name; done'
    )
    ran = await (scene.plainly("bash -lc true") if scene.control else scene.shell("true"))
    return scene.nonce.encode() in ran.output


@attempt("leave a descriptor for the next call", KIND)
async def descriptor(scene: Scene) -> bool:
    first = f"exec 9<<< {scene.nonce}"
    return await _two_calls(scene, first, "cat <&9")


@attempt("leave another limit for the next call", KIND)
async def limit(scene: Scene) -> bool:
    return await _two_calls(
        scene, "ulimit -Sn 77; umask 0007", f"[ $(ulimit -Sn) = 77 ] && echo {scene.nonce}"
    )


async def _two_calls(scene: Scene, first: str, second: str) -> bool:
    if scene.control:
        return scene.nonce.encode() in (await scene.run(f"{first}\n{second}")).output
    await scene.run(first)
    return scene.nonce.encode() in (await scene.run(second)).output

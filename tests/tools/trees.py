"""Generated trees for differential tests: hostile names, hidden and ignored files, links, binary files.

What git would ignore is worked out here by the rules of gitignore(5), for the few forms that are generated,
and not by ripgrep, so that one can be held against the other.
"""

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

DIRECTORIES = (
    "src",
    "src/deep",
    "-dash",
    "with blank",
    ".github",
    ".github/workflows",
    "a:b",
    "build",
    "ünï",
)
FILES = (
    b"main.py",
    b"README.md",
    b"-rf",
    b"--files",
    b"new\nline.py",
    b"two\n\n./lines.py",
    b"blank s.txt",
    b".hidden.py",
    b"a:1:b.txt",
    b"1-x.md",
    b"*.py",
    b"[x].txt",
    b"\xff\xfe.py",
    "gr\u00fcn.yml".encode(),
    b"debug.log",
    b"keep.log",
    b"x.tmp",
    b"--",
)
WORDS = ("alpha", "beta", "gamma", "ALPHA", "al.ha", "--", "./x", "12:3", "7-8", "beta\tgamma", "ünï", "")


@dataclass
class Tree:
    """What was made: every regular file, with its bytes; the lines of each .gitignore by its directory."""

    files: dict[bytes, bytes] = field(default_factory=dict)
    ignores: dict[bytes, list[str]] = field(default_factory=dict)

    def visible(self) -> list[bytes]:
        """The files that a search meets: all but what is in .git or is ignored."""
        return [path for path in self.files if not self._ignored(path)]

    def _ignored(self, path: bytes) -> bool:
        parts = path.split(b"/")
        if ".git" in [os.fsdecode(part) for part in parts]:
            return True
        # A directory that is ignored takes all that is in it along, whatever is said about that.
        return any(self._judged(parts[:depth], depth < len(parts)) for depth in range(1, len(parts) + 1))

    def _judged(self, parts: list[bytes], directory: bool) -> bool:
        """The last rule that fits decides; rules of deeper files come later."""
        ignored = False
        for depth in range(len(parts)):
            home = b"/".join(parts[:depth])
            below = "/".join(os.fsdecode(part) for part in parts[depth:])
            for rule in self.ignores.get(home, []):
                if _fits(rule.removeprefix("!"), below, directory=directory):
                    ignored = not rule.startswith("!")
        return ignored


def _fits(rule: str, path: str, *, directory: bool) -> bool:
    if rule.endswith("/"):
        if not directory:
            return False
        rule = rule[:-1]
    if "/" in rule:  # anchored to the directory of its file
        return fnmatch.fnmatchcase(path, rule.removeprefix("/"))
    return fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], rule)


RULES = ("*.log", "build/", "/x.tmp", "*.tmp", "src/deep/", "!keep.log", "1-x.md", "with?blank/")


def plant(root: Path, outside: Path, seed: int) -> Tree:
    """Make a tree beneath `root`; links in it lead within it and to `outside`, which holds every word."""
    random = Random(seed)
    tree = Tree()
    directories = ["", *random.sample(DIRECTORIES, random.randint(3, len(DIRECTORIES)))]
    for directory in directories:
        (root / directory).mkdir(parents=True, exist_ok=True)
        home = os.fsencode(directory)
        for name in random.sample(FILES, random.randint(1, 8)):
            path = home + b"/" + name if home else name
            _write(root, tree, path, _content(random))
        if random.random() < 0.4:
            rules = random.sample(RULES, random.randint(1, 3))
            tree.ignores[home] = sorted(rules, key=lambda rule: rule.startswith("!"))
            _write(
                root, tree, (home + b"/" if home else b"") + b".gitignore", "\n".join(rules_of(tree, home))
            )
    _write(root, tree, b".git/config", b"alpha\n")
    outside.mkdir()
    (outside / "unmistakable.py").write_text("\n".join(WORDS))
    (root / "out").symlink_to(outside)
    (root / "out.py").symlink_to(outside / "unmistakable.py")
    (root / "in").symlink_to("src")
    (root / "loop").symlink_to(".")
    for number, path in enumerate(random.sample(sorted(tree.files), len(tree.files))):
        age = 1_000_000_000 + number
        os.utime(os.fsencode(root) + b"/" + path, (age, age))
    return tree


def rules_of(tree: Tree, home: bytes) -> Iterator[str]:
    """The lines of the .gitignore in `home`."""
    yield "# rules"
    yield from tree.ignores[home]
    yield ""


def _write(root: Path, tree: Tree, path: bytes, content: bytes | str) -> None:
    data = content.encode() if isinstance(content, str) else content
    target = root / os.fsdecode(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    tree.files[path] = data


def _content(random: Random) -> bytes:
    ending = random.choice(("\n", "\n", "\r\n"))
    lines = [" ".join(random.choices(WORDS, k=random.randint(0, 4))) for _ in range(random.randint(0, 12))]
    text = ending.join(lines) + random.choice(("", ending))
    match random.randint(0, 9):
        case 0:
            return text.encode("utf-16")
        case 1:
            return text.encode() + b"\n\0alpha\n"
        case 2:
            return text.encode("latin-1", "replace") + b"\xff\n"
        case _:
            return text.encode()

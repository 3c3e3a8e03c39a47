"""Languages: which files are parts of a program, and which are its tests."""

from flynn.workspace.checks.source import aside, name_of

CODE = (
    *(
        ".py",
        ".js",
        ".cjs",
        ".mjs",
        ".jsx",
        ".ts",
        ".cts",
        ".mts",
        ".tsx",
        ".go",
        ".rb",
        ".rs",
        ".java",
        ".kt",
    ),
    *(".scala", ".php", ".cs", ".ex", ".exs", ".vue", ".svelte"),
)
_TEST_MARKS = ("test_", "_test.", ".test.", ".spec.", "_spec.", "conftest.")


def is_code(path: str) -> bool:
    """Whether `path` is a part of a program, and no test or example."""
    return path.endswith(CODE) and not aside(path) and not is_test(path)


def is_test(path: str) -> bool:
    """Whether the name of a file says that it is a test."""
    name = name_of(path)
    return any(mark in name for mark in _TEST_MARKS) or name.startswith("test-")

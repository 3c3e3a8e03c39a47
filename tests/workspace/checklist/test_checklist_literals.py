"""What of a program is code, a string, a pattern or a comment; also of texts that want to take for ever."""

import time

import pytest

from flynn.workspace.checklist.literals import Literals


@pytest.mark.parametrize(
    ("path", "text", "kinds"),
    [
        ("a.py", "x(@) # @", ["code", "comment"]),
        ("a.py", "x = '@' + \"it's @\" + @", ["text", "text", "code"]),
        ("a.py", "'it\\'s @', @", ["text", "code"]),
        ("a.py", 'x = """\n"@"\n""" @', ["text", "code"]),
        ("a.py", '"""\n@ "word"\n""" + @', ["comment", "code"]),
        ("a.py", 'r"\\b@\\b" "a.*@" "a|@|c|d" @', ["pattern", "pattern", "pattern", "code"]),
        ("a.py", "'never closed @\n@", ["text", "code"]),
        ("a.ts", "a(/@/g) / @ // @", ["pattern", "code", "comment"]),
        ("a.tsx", "<a b={c}/> @ {/* @ */} `\n@`", ["code", "comment", "text"]),
        ("a.go", '`@` \'"\' @ "@" /* @ */ @', ["text", "code", "text", "comment", "code"]),
        ("a.rs", "fn a<'a>(x: &'a str) { @ } \"@\"", ["code", "text"]),
        ("a.sh", "echo '@' # @", ["code", "code"]),
        ("a.py", "@", ["code"]),
    ],
)
def test_each_place_is_of_a_kind(path: str, text: str, kinds: list[str]) -> None:
    literals = Literals(text, path)
    places = [place for place, character in enumerate(text) if character == "@"]
    assert [literals.at(place).kind for place in places] == kinds


PIECES = ['\\"', "'", '"""', "'''\\", "`\\", "/*", "=/[", "=/\\", "( ", "#", "/", '"\\\n']


@pytest.mark.parametrize("path", ["a.py", "a.ts", "a.go", "a.php"])
@pytest.mark.parametrize("piece", PIECES)
def test_a_text_that_is_all_quotes_is_cut_in_one_pass(path: str, piece: str) -> None:
    began = time.process_time()
    Literals(piece * (500_000 // len(piece)), path)
    # Begun anew at each of half a million characters it would be hours.
    assert time.process_time() - began < 20

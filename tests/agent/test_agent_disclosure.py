"""What is told of a result: its words without secrets, and everything else untouched."""

import secrets

import pytest

from flynn.agent.disclosure import disclosed
from flynn.agent.step import Call
from flynn.agent.toolbox import finished
from flynn.domain.evidence import CommandRan, FileChanged, FileRead, Searched
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.telemetry.redaction import MARK, register_secret
from tests.telemetry.test_telemetry_redaction import TOKENS

TOKEN = TOKENS["GitLab"]
OWN = f"eigen/{secrets.token_urlsafe(12)}"


def test_texts_and_the_words_of_blocks_are_redacted_and_pictures_are_not() -> None:
    assert disclosed(ToolResult.error(f"no {TOKEN}")).content == f"no {MARK}"
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": TOKEN}}
    result = ToolResult(
        content=[
            {"type": "text", "text": f"page {TOKEN}"},
            picture,
            {
                "type": "document",
                "title": TOKEN,
                "source": {"type": "text", "media_type": "text/plain", "data": f"a {TOKEN}"},
                "pages": [1, None, True, {"words": [TOKEN]}],
            },
        ]
    )
    assert disclosed(result).content == [
        {"type": "text", "text": f"page {MARK}"},
        picture,
        {
            "type": "document",
            "title": MARK,
            "source": {"type": "text", "media_type": "text/plain", "data": f"a {MARK}"},
            "pages": [1, None, True, {"words": [MARK]}],
        },
    ]


@pytest.mark.parametrize(
    "note",
    [
        " […1,234 more characters]",
        " [... omitted end of long line]",
        "\n[… 30,000 characters left out here …]\nmore",
    ],
)
def test_half_a_secret_before_a_cut_goes_too(note: str) -> None:
    register_secret(OWN)
    for secret in (TOKEN, OWN):
        half = f"line\nkey = {secret[:-5]}{note}\nkey = other{note}"
        assert disclosed(ToolResult(content=half)).content == f"line\nkey = {MARK}{note}\nkey = other{note}"


def test_evidence_keeps_its_digests_and_loses_its_secrets() -> None:
    ran = CommandRan(command=f"curl -H {TOKEN}", cwd=f"a/{TOKEN}", exit_code=0, duration_ms=5)
    result = ToolResult(
        content="x",
        evidence=(
            ran,
            FileRead(path=f"{TOKEN}/file", sha256=TOKEN),
            FileChanged(path="file", before=None, after="0" * 64, lines_added=1, lines_removed=0),
            Searched(matches=3),
        ),
    )
    assert disclosed(result).evidence == (
        CommandRan(command=f"curl -H {MARK}", cwd=f"a/{MARK}", exit_code=0, duration_ms=5),
        FileRead(path=f"{MARK}/file", sha256=TOKEN),
        *result.evidence[2:],
    )


def test_every_event_of_a_finished_call_is_redacted_whatever_its_outcome() -> None:
    call = Call("toolu_1", "Bash", {"command": "x"})
    for outcome in Outcome:
        event = finished(call, 1, ToolResult(content=f"it said {TOKEN}", outcome=outcome))
        assert event.content[0]["content"] == f"it said {MARK}"

"""A report in Markdown: complete, and nothing hostile in it is markup."""

import re
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flynn.domain.account import Account, NextStep
from flynn.domain.checklist import ChecklistItem, failed
from flynn.domain.claim import Claim, Judgement
from flynn.domain.diff_checks import DiffChecks, DiffFinding
from flynn.domain.finding import Severity
from flynn.domain.report import (
    Evidence,
    Report,
    ReportedCommand,
    ReportedCommit,
    ReportedCriterion,
    ReportedFile,
)
from flynn.domain.report_markdown import markdown
from flynn.domain.review import NotRun, Ran
from flynn.domain.usage import Usage

HEADINGS = {
    "Report of a task: completed",
    "Contradicted by the evidence",
    "Acceptance criteria",
    "Changed files",
    "Branch and commits",
    "Commands",
    "Checks",
    "Deployment checklist",
    "Effort",
    "In the agent's own words, which prove nothing",
    "What it claims, and what the evidence says",
    "Changed files that it does not name",
    "Next steps",
    "Left undone",
    "Risks",
}


def report(words: str) -> Report:
    """A report that has `words` in every place where somebody else's stand."""
    claim = Claim(kind="file", said=words, judgement=Judgement.CONTRADICTED, why=words, seq=3)
    return Report(
        task_id=UUID(int=7),
        state="completed",
        detail=words,
        prose=words,
        evidence=Evidence(
            files=[ReportedFile(path=words, before=None, after="ab12", lines_added=1, lines_removed=0)],
            commands=[
                ReportedCommand(
                    seq=5,
                    command=words,
                    cwd=words,
                    exit_code=1,
                    outcome="error",
                    duration_ms=1,
                    description=words,
                )
            ],
            checks=DiffChecks(
                findings=[
                    DiffFinding(
                        tool=words,
                        rule=words,
                        severity=Severity.ERROR,
                        message=words,
                        path=words,
                        line=2,
                        new=True,
                    )
                ],
                ran=[Ran(tool=words, files=1)],
                not_run=[NotRun(tool=words, reason=words, files=1, path=words)],
                checklist=[ChecklistItem.of("x", words, [failed(words, words, 2)])],
                notes=[words],
            ),
            steps=2,
            tool_calls=2,
            usage=Usage(input=10, output=5),
            cost_dollars=0.01,
            duration_ms=1500,
            stop_reason=words,
            last_seq=30,
            branch=words,
            base=words,
            commits=[ReportedCommit(sha="c0ffee", subject=words, files=1)],
            more_commits=1_020,
            handed_over="diverged",
            hand_over_detail=words,
        ),
        criteria=[
            ReportedCriterion(
                criterion=words, said="met", how=words, judgement=Judgement.CONTRADICTED, why=words
            )
        ],
        account=Account(
            summary=words,
            files_changed=[words],
            verification=[],
            criteria=[],
            findings="none",
            next_steps=[NextStep(who=words, what=words)],
            left_undone=[words],
            risks=[words],
        ),
        claims=[claim, claim.model_copy(update={"judgement": Judgement.SUPPORTED})],
        unmentioned=[words],
    )


def test_everything_stands_in_it_and_what_is_contradicted_comes_first() -> None:
    text = markdown(report("plain words"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert set(headings) == HEADINGS
    assert headings.index("Contradicted by the evidence") == 1
    assert text.index("Contradicted by the evidence") < text.index("Changed files") < text.index("own words")
    assert "- exit 1: `plain words` (plain words), event 5" in text
    assert "- new, error: `plain words:2` plain words plain words: plain words" in text
    assert "> plain words" in text


def test_a_claim_about_a_long_command_keeps_its_end() -> None:
    made = report("well").model_copy(update={"claims": []})
    claim = Claim(
        kind="verification",
        said="The tests: python3 - <<'X'\n" + "print(1)\n" * 400 + "X passed",
        judgement=Judgement.CONTRADICTED,
        why="It failed.",
        seq=3,
    )
    (line,) = (
        line
        for line in markdown(made.model_copy(update={"claims": [claim]})).splitlines()
        if line.startswith("- **contradicted**")
    )
    assert "The tests: python3" in line
    assert line.endswith("X passed. It failed. (event 3)")
    assert len(line) < 500


def test_what_was_asked_and_where_the_commits_are_is_said() -> None:
    text = markdown(report("plain words"), asked="Mend `it`.\n# All of it")
    assert r"Task `00000000-0000-0000-0000-000000000007`: Mend \`it\`. \# All of it" in text
    section = text.partition("## Branch and commits")[2].partition("## ")[0]
    assert section.split("\n") == [
        "",
        "",
        "- branch `plain words`, from commit `plain words`",
        "- diverged: somebody else moved the branch meanwhile; the commits are at "
        "`refs/flynn/tasks/00000000-0000-0000-0000-000000000007`. plain words",
        "- commit `c0ffee`: plain words (1 file)",
        "- and 1,020 more",
        "",
        "",
    ]


def test_words_are_read_raw_as_they_are_and_marks_of_lists_at_their_beginning_are_none() -> None:
    found = report("x").model_copy(
        update={"detail": "1. It's (half) done, at 12:30; see: --all, :x: and a_b!"}
    )
    assert "\n1\\. It's (half) done, at 12\\:30; see: \\--all, \\:x: and a\\_b!\n" in markdown(found)
    for begins in ("- a", "+ a", "7) a", "= a"):
        told = markdown(found.model_copy(update={"detail": begins}))
        assert begins.replace(begins[-3], f"\\{begins[-3]}") in told


def test_a_task_in_the_workspaces_files_says_why_it_has_no_branch() -> None:
    made = report("x")
    evidence = made.evidence.model_copy(update={"branch": None, "hand_over_detail": "It has no commit."})
    text = markdown(made.model_copy(update={"evidence": evidence}))
    assert "- no branch of its own: it worked in the workspace's files. It has no commit." in text
    plain = evidence.model_copy(update={"hand_over_detail": None})
    assert "Branch and commits" not in markdown(made.model_copy(update={"evidence": plain}))


def test_a_task_without_an_account_says_why() -> None:
    text = markdown(
        report("x").model_copy(update={"account": None, "account_missing": "The model declined."})
    )
    assert "There is no account of the task. The model declined" in text.replace("\\", "")


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            (
                *(
                    "\n",
                    "\r\n",
                    "# Changed files",
                    "`",
                    "``",
                    "```",
                    "> ",
                    "- ",
                    "[x](http://e.example)",
                    "![i](j)",
                ),
                *(
                    "https://e.example/?a=b",
                    "www.e.example",
                    "a@e.example",
                    "|",
                    "---",
                    "===",
                    "\\",
                    "*",
                    "_",
                    "<b>",
                ),
                *(
                    "\u202e",
                    "\u200b",
                    "\t",
                    "    ",
                    "[r]: http://e.example",
                    "<http://e.example>",
                    "$x$",
                    "~~",
                ),
                *("&lt;", "1. "),
            )
        ),
        max_size=12,
    ).map("".join),
)


@given(HOSTILE)
def test_nothing_hostile_is_a_heading_a_link_or_markup(words: str) -> None:
    made = report(words)
    text = markdown(made, asked=words)
    tokens = MarkdownIt("commonmark", {"linkify": False, "html": True}).enable("strikethrough").parse(text)
    found: list[str] = []
    for before, token in pairwise(tokens):
        assert token.type not in ("html_block", "fence", "code_block", "hr", "table_open"), token
        if before.type == "heading_open":
            found.append(token.content)
        for inner in token.children or ():
            assert inner.type in (
                "text",
                "code_inline",
                "softbreak",
                "strong_open",
                "strong_close",
                "text_special",
            )
            if inner.type == "text":
                assert not re.search(r"https?://\w|www\.\w|\w@\w", inner.content), inner.content
    assert set(found) <= HEADINGS
    assert len(found) == len(set(found))
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b]", text)

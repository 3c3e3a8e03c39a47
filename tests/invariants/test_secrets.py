"""The service's own values and well-known token shapes never reach a result, a log or an event.

Everything that leaves a run is looked at: the events that are committed and published, the deltas of
viewers, the requests to the model, and the rows of the database. What the model itself writes is stored as
it came (its blocks are signed), so here it never writes what it was not shown.
"""

import io
import json
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from flynn.api.problem import problem_of
from flynn.domain import events as ev
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import InterruptOrder, TaskOrder
from flynn.telemetry.logging import configure
from flynn.telemetry.redaction import MARK, register_secret
from tests.house import House, open_house
from tests.telemetry.test_telemetry_redaction import TOKENS, armoured

OWN = f"eigen/{secrets.token_urlsafe(12)} wert"
"""A value of the service, as a database password would be one."""
TOKEN = TOKENS["GitHub"]
KEY = armoured("OPENSSH PRIVATE KEY")
SECRETS = [OWN, TOKEN, TOKENS["Stripe"], *(line for line in KEY.split("\n")[1:-1] if len(line) == 64)]

TOOLS = """
name: leaks
turns:
  - blocks:
      - {tool: Read, call: read, input: {file_path: settings.env}}
      - {tool: Read, call: key, input: {file_path: id_ed25519}}
      - {tool: Read, call: spilled, input: {file_path: scratch/flynn-output/1.txt}}
      - {tool: Grep, call: grep, input: {pattern: "TOKEN|OWN", output_mode: content}}
      - {tool: Grep, call: lines, input: {pattern: "[A-Za-z0-9+/]{60}|PRIVATE", output_mode: content}}
      - {tool: Glob, call: glob, input: {pattern: "named-*"}}
      - {tool: Edit, call: edit, input: {file_path: settings.env, old_string: "HOST=a", new_string: "HOST=b"}}
      - tool: Bash
        call: bash
        input: {command: "cat settings.env id_ed25519; sh slowly.sh; cat named-*; printf '%s' \\"$PATH\\""}
      - {tool: Bash, call: fails, input: {command: "cat settings.env >&2; exit 3"}}
  - blocks:
      - text: "{{ result('read').text }}"
"""

REFUSES = f"""
name: refuses
turns:
  - blocks:
      - text: "hello"
    faults:
      - {{kind: bad_request, message: "no such header: Bearer {TOKEN} and {OWN}"}}
"""


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs."""
    stream = io.StringIO()
    configure("debug", "json", stream)
    yield stream
    configure("warning", "json")
    logging.captureWarnings(False)


def _fill(workspace: Path) -> None:
    (workspace / "settings.env").write_text(f"TOKEN={TOKEN}\nOWN={OWN}\nHOST=a\n")
    (workspace / "id_ed25519").write_text(KEY + "\n")
    # As a command's full output is kept for Read.
    (workspace / "scratch/flynn-output").mkdir(parents=True)
    (workspace / "scratch/flynn-output/1.txt").write_text(f"pulled with {TOKEN}\n{OWN}\n")
    half = len(TOKEN) // 2
    slowly = f"printf 'a {TOKEN[:half]}'; sleep 0.2; printf '{TOKEN[half:]} b\\n'\n"
    slowly += f"printf '{OWN[:9]}'; sleep 0.2; printf '{OWN[9:]}\\n'\n"
    (workspace / "slowly.sh").write_text(slowly)
    (workspace / f"named-{TOKENS['Stripe']}").write_text("x\n")


async def _everything(house: House) -> str:
    """All that has left the run, in one text."""
    async with house.database.statement() as connection:
        tables = await connection.scalars(
            text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        )
        rows = [
            str(row)
            for table in list(tables)
            for row in await connection.scalars(text(f'SELECT t::text FROM "{table}" t'))
        ]
    requests = [record.body.decode() for record in house.simulator.stage.records if record.body]
    events = [json.dumps(recorded.envelope(), ensure_ascii=False) for recorded in house.published]
    calls: dict[object, str] = {}
    for delta in house.deltas:
        place = (delta.step, delta.block, delta.call_id, delta.kind)
        calls[place] = calls.get(place, "") + delta.text
    return "\n".join((*rows, *requests, *events, *calls.values()))


def _unescaped(everything: str) -> str:
    return everything.replace("\\\\", "\\").replace("\\/", "/")


@pytest.mark.needs("bubblewrap")
async def test_no_tool_tells_a_secret(tmp_path: Path, log: io.StringIO) -> None:
    register_secret(OWN)
    async with open_house(tmp_path, TOOLS) as house:
        _fill(house.workspace)
        conversation = await house.converse()
        await house.say(conversation.id, f"Look at it. The token is {TOKEN}, the password {OWN}.")
        await house.work()
        everything = _unescaped(await _everything(house))
        results = [r.event for r in await house.log(conversation.id) if isinstance(r.event, ev.ToolFinished)]
        said = {event.call_id: event.content[0]["content"] for event in results}
        shown = "".join(d.text for d in house.deltas if d.kind == "output")
        assert house.workspace.joinpath("settings.env").read_text().endswith("HOST=b\n")
    assert len(said) == 9
    assert not [secret for secret in SECRETS if secret in everything]
    assert not [secret for secret in SECRETS if secret in log.getvalue()]
    assert all(MARK in words for call_id, words in said.items())
    assert f"a {MARK} b\n" in shown
    assert f"The token is {MARK}, the password {MARK}." in everything


async def test_people_s_words_are_told_without_secrets_and_a_resend_is_the_same_message(
    tmp_path: Path,
) -> None:
    late = f"spaeter-{secrets.token_urlsafe(12)}"
    async with open_house(tmp_path) as house:
        conversation = await house.converse()
        words = f"Use {TOKEN} and {late}."
        first = await house.say(conversation.id, words, client_message_id="one")
        register_secret(late)  # what passes for a secret may change between the two
        again = await house.say(conversation.id, words, client_message_id="one")
        assert (again.message_id, again.duplicate) == (first.message_id, True)
        with pytest.raises(InvalidInput):
            await house.say(conversation.id, f"Use {MARK} and {late}.", client_message_id="one")
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder(reason=f"it had {TOKEN}"))
        task, _ = await house.intake.delegate_task(
            house.owner,
            TaskOrder(instructions=f"Deploy with {TOKEN}", title=f"Use {TOKEN}"),
            idempotency_key="two",
        )
        assert task.title == f"Use {MARK}"
        same, known = await house.intake.delegate_task(
            house.owner,
            TaskOrder(instructions=f"Deploy with {TOKEN}", title=f"Use {TOKEN}"),
            idempotency_key="two",
        )
        assert (same.id, known) == (task.id, True)
        everything = _unescaped(await _everything(house))
    assert TOKEN not in everything
    assert f"Use {MARK} and {late}." in everything, "it was no secret when it was said"
    assert f"it had {MARK}" in everything
    assert f"Deploy with {MARK}" in everything


async def test_a_provider_that_quotes_the_key_is_not_repeated(tmp_path: Path, log: io.StringIO) -> None:
    register_secret(OWN)
    async with open_house(tmp_path, REFUSES) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello.")
        await house.work()
        failed = [r.event for r in await house.log(conversation.id) if isinstance(r.event, ev.RunFailed)]
        everything = _unescaped(await _everything(house))
    assert [event.detail.endswith(f"no such header: Bearer {MARK} and {MARK}") for event in failed] == [True]
    assert not [secret for secret in SECRETS if secret in everything or secret in log.getvalue()]


def test_problems_are_redacted() -> None:
    error = InvalidInput(
        f"The workspace {TOKEN!r} is unknown.", errors=[{"field": "workspace", "message": f"not {TOKEN}"}]
    )
    problem = problem_of(error)
    assert problem["detail"] == f"The workspace '{MARK}' is unknown."
    assert problem["errors"] == [{"field": "workspace", "message": f"not {MARK}"}]

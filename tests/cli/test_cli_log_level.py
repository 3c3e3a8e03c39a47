"""`flynn log-level`, and the log file of a service with a database of its own."""

import json
import re

import httpx2
import pytest

from tests.cli.conftest import Shell
from tests.loopback import CLEAR

pytestmark = pytest.mark.slow


def refusal(shell: Shell, *arguments: str) -> str:
    done = shell.flynn("log-level", *arguments)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_without_a_service_there_is_no_level_to_change(shell: Shell) -> None:
    assert refusal(shell, "debug") == (
        f"flynn: No service runs on {shell.data} now: start it, with LOG_LEVEL as it is to log.\n"
    )
    assert refusal(shell, "loud") == "flynn: level has to be one of debug, info, warning, error.\n"
    assert "a logger's name, such as flynn.access" in refusal(shell, "debug", "--logger", "a b")
    assert "more than 0 and at most 10080" in refusal(shell, "debug", "--minutes", "0")
    assert "they need a level" in refusal(shell, "--minutes", "3")


@pytest.mark.timeout(400)
def test_a_running_service_changes_its_level_and_writes_its_file(shell: Shell) -> None:
    file = shell.data / "logs" / "app.log"
    service, _ = shell.start("serve", until="Flynn is at", FLYNN_LOG_FILE=str(file))

    def said() -> list[dict[str, object]]:
        return [json.loads(line) for line in file.read_text().splitlines()]

    set_for = shell.flynn("log-level", "debug", "--logger", "flynn.access", "--minutes", "5")
    assert re.fullmatch(
        r"info \(LOG_LEVEL is info\)\n"
        r"debug  flynn\.access  until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, set by owner\n",
        set_for.stdout,
    ), set_for.stdout + set_for.stderr
    owner = (shell.data / "owner.key").read_text().strip()
    url = f"http://127.0.0.1:{shell.port}"
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {owner}"}, verify=CLEAR) as http:
        answer = http.get("/api/v1/tasks", headers={"X-Request-ID": "seen"})
        assert answer.headers["x-request-id"] == "seen"
    (line,) = [one for one in said() if one["logger"] == "flynn.access" and "/tasks" in str(one)]
    assert line["context"]["request_id"] == "seen"  # type: ignore[index]  # it is an object
    assert shell.flynn("log-level", "--reset").stdout == "info (LOG_LEVEL is info)\n"
    assert owner not in file.read_text()
    service.terminate()
    assert service.wait(30) == 0
    assert any("uvicorn" in str(one["logger"]) for one in said()), "its libraries are in it to the end"

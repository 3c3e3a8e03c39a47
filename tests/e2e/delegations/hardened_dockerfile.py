"""An image that is built from whatever is latest, runs as root and carries its repository with it."""

import json
import re
import shlex
from pathlib import Path

from tests.e2e.delegation import Delegation, attempt, run, script_beside

FILES = {
    ".env.example": "API_TOKEN=\n",
    "Dockerfile": """\
FROM python:latest
MAINTAINER ops@reznet.example
ADD . /srv
RUN apt-get update
RUN apt-get install libpq5
RUN cd /srv && pip install -r requirements.txt
ENV API_TOKEN=replace-me
EXPOSE 8080
CMD python /srv/server.py
""",
    "requirements.txt": "uvicorn==0.54.0\n",
    "server.py": '''\
"""Answers /health on 8080."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

TOKEN = os.environ.get("API_TOKEN", "")


class Doors(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("", 8080), Doors).serve_forever()
''',
}


def verify(before: Path, after: Path, place: Path) -> None:
    assert attempt(before, "hadolint", "Dockerfile").returncode == 1
    found = attempt(after, "hadolint", "--format", "json", "Dockerfile")
    assert json.loads(found.stdout) == []
    stages = _stages((after / "Dockerfile").read_text())
    assert len(stages) == 2
    for stage in stages:
        base = stage[0][1].split()[0]
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", base), base
    last = stages[-1]
    users = [value for name, value in last if name == "USER"]
    assert users
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0
    names = [name for name, _ in last]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("COPY", "RUN"))
    assert names.count("HEALTHCHECK") == 1
    assert "ADD" not in names
    assert json.loads(dict(last)["CMD"]) == ["python", "server.py"]
    assert "API_TOKEN" not in (after / "Dockerfile").read_text()
    assert "API_TOKEN" in (before / "Dockerfile").read_text()
    copied = {
        word
        for stage in stages
        for name, value in stage
        if name == "COPY"
        for word in shlex.split(value)[:-1]
    }
    let_in = {line[1:] for line in (after / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {word for word in copied if not word.startswith(("--", "/"))} == let_in
    assert (after / ".dockerignore").read_text().splitlines()[0] == "*"
    run(after, "python3", "-c", "import ast; ast.parse(open('server.py').read())")


def _stages(text: str) -> list[list[tuple[str, str]]]:
    """The instructions of each stage."""
    stages: list[list[tuple[str, str]]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, value.strip()))
    return stages


DELEGATION = Delegation(
    name="hardened-dockerfile",
    files=FILES,
    order={
        "title": "A hardened image",
        "instructions": "Harden the Dockerfile: a fixed base, no root, no secrets, nothing in it that "
        "the server does not need.",
        "acceptance_criteria": ["hadolint finds nothing", "the container runs as a user of its own"],
        "context": {"files": ["Dockerfile", "server.py"]},
    },
    script=script_beside(__file__),
    changed=frozenset({"Dockerfile", ".dockerignore"}),
    verify=verify,
    exit_codes=(1, 0, 1),
)

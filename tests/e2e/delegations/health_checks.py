"""A compose file of five services in which nobody knows whether anybody is well."""

import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.e2e.delegation import BIN, Delegation, attempt, run, script_beside
from tests.loopback import free_port

COMPOSE = "compose.yaml"

FILES = {
    COMPOSE: """\
# Local development of the booking service.
services:
  db:
    image: postgres:16.4
    environment:
      POSTGRES_USER: booking
      POSTGRES_DB: booking
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}
    volumes:
      - db:/var/lib/postgresql/data

  cache:
    image: redis:7.2-alpine
    command: ["redis-server", "--appendonly", "yes"]

  api:
    build: ./api
    command: ["python", "server.py"]
    ports:
      - "127.0.0.1:8000:8000"
    depends_on: [db, cache]

  worker:
    build: ./api
    command: ["python", "worker.py"]
    depends_on:
      - db
      - cache

  proxy:
    image: nginx:1.27-alpine
    depends_on: [api]

volumes:
  db:
""",
    "api/Dockerfile": """\
FROM python:3.12.7-slim
WORKDIR /app
COPY server.py worker.py ./
USER 10001
""",
    "api/server.py": '''\
"""The API. /livez answers as long as it can answer at all."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Doors(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/livez"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(b"well\\n" if known else b"no such path\\n")


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Doors).serve_forever()
''',
    "api/worker.py": '''\
"""Works bookings off, and touches /tmp/beat after each round, every five seconds at the latest."""

import time
from pathlib import Path

BEAT = Path("/tmp/beat")

if __name__ == "__main__":
    while True:
        BEAT.touch()
        time.sleep(5)
''',
}


def verify(before: Path, after: Path, place: Path) -> None:
    services = yaml.safe_load((after / COMPOSE).read_text())["services"]
    was = yaml.safe_load((before / COMPOSE).read_text())["services"]
    assert list(services) == ["db", "cache", "api", "worker", "proxy"]
    for name, service in services.items():
        check = service["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        assert {"interval", "timeout", "retries"} < set(check), name
        waited = service.get("depends_on", {})
        assert set(waited) == set(was[name].get("depends_on", [])), name
        assert all(how == {"condition": "service_healthy"} for how in waited.values()), name
        rest = set(service) - {"healthcheck", "depends_on"}
        assert {key: service[key] for key in rest} == {key: was[name][key] for key in rest}, name
    run(after, "python", "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    _check_of_the_api(services["api"]["healthcheck"]["test"][1:], after)
    _check_of_the_worker(services["worker"]["healthcheck"]["test"][1:], place)


def _check_of_the_api(command: list[str], after: Path) -> None:
    """It fails while the API is not there, and succeeds when it is."""
    port = free_port()
    command = [word.replace(":8000/", f":{port}/") for word in command]
    assert str(port) in command[-1]
    assert attempt(after, *command).returncode != 0
    server = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=after / "api",
        env={"PORT": str(port), "PATH": str(BIN), "PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            well = attempt(after, *command).returncode == 0
            if well:
                break
            time.sleep(0.1)
        assert well
    finally:
        server.kill()
        server.wait()


def _check_of_the_worker(command: list[str], place: Path) -> None:
    """It goes by the age of the file that the worker touches."""
    beat = place / "beat"
    assert "/tmp/beat" in command[-1]
    command = [word.replace("/tmp/beat", str(beat)) for word in command]
    assert attempt(place, *command).returncode != 0
    beat.touch()
    assert attempt(place, *command).returncode == 0
    os.utime(beat, (time.time() - 120,) * 2)
    assert attempt(place, *command).returncode != 0


DELEGATION = Delegation(
    name="health-checks",
    files=FILES,
    order={
        "title": "Health checks",
        "instructions": "Give every service of the compose file a health check, and let those who need "
        "another wait until it is well.",
        "acceptance_criteria": ["every service has a health check", "nobody waits for a mere start"],
        "context": {"files": [COMPOSE]},
    },
    script=script_beside(__file__),
    changed=frozenset({COMPOSE}),
    verify=verify,
    exit_codes=(0,),
)

"""Three repositories without a fault, and the faults that tests plant in them."""

import textwrap
from dataclasses import dataclass

from tests.workspace.plant import Files

CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
CI = ".github/workflows/ci.yml"
Alarm = tuple[str, str, int | None]
"""A rule (`tool/rule`, `checklist/item`), a path and a line."""


@dataclass(frozen=True)
class Fault:
    """A fault: in `path`, `old` is replaced by `new`; these alarms follow."""

    path: str
    old: str
    new: str
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True)
class Repository:
    """A repository, and the faults for it."""

    files: Files
    faults: tuple[Fault, ...]

    def faulty(self) -> dict[str, str]:
        """The files with all faults. The lines of alarms are those of this."""
        changed = {path: _text(content) for path, content in self.files.items()}
        for fault in self.faults:
            before = changed.get(fault.path, "")
            assert fault.old in before, fault
            changed[fault.path] = before.replace(fault.old, fault.new) if fault.old else before + fault.new
        return {path: content for path, content in changed.items() if content}


def _text(content: str | bytes) -> str:
    assert isinstance(content, str)
    return textwrap.dedent(content).lstrip("\n")


PYTHON = Repository(
    files={
        ".gitignore": ".env\n.venv/\ndata/\n",
        ".env.example": "DATABASE_URL=\nPOSTGRES_PASSWORD=\nLOG_LEVEL=INFO\n",
        "README.md": "# Service\n",
        "pyproject.toml": """
            [project]
            name = "service"
            version = "1.0.0"

            [tool.ruff.lint]
            select = ["E", "F"]
            """,
        "settings.toml": '[service]\nname = "web"\n',
        "backend/requirements.txt": "fastapi==0.165.0\n",
        "backend/Dockerfile": """
            FROM python:3.12-slim
            WORKDIR /app
            COPY requirements.txt .
            RUN pip install --no-cache-dir -r requirements.txt
            COPY . .
            USER 10001
            CMD ["uvicorn", "main:app"]
            """,
        "backend/main.py": """
            import logging
            import os

            import structlog
            from prometheus_client import Counter
            from sqlalchemy.ext.asyncio import create_async_engine

            requests = Counter("requests", "Requests")
            engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=20, max_overflow=10)
            structlog.configure(processors=[structlog.processors.JSONRenderer()])
            logging.getLogger().setLevel(os.environ.get("LOG_LEVEL", "INFO"))
            """,
        "tests/test_main.py": "def test_one():\n    assert True\n",
        "compose.yaml": """
            x-limits: &limits
              restart: unless-stopped
              deploy:
                resources:
                  limits: {memory: 512M, cpus: "1"}
            services:
              db:
                <<: *limits
                image: postgres:16.4
                environment:
                  POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}
                volumes: ["data:/var/lib/postgresql/data"]
                healthcheck:
                  test: ["CMD-SHELL", "pg_isready -U postgres"]
              backup:
                <<: *limits
                image: postgres:16.4
                entrypoint: ["sh", "/backup.sh"]
                environment:
                  PGPASSWORD: ${POSTGRES_PASSWORD}
                volumes: ["./scripts/backup.sh:/backup.sh:ro", "backups:/backups"]
                healthcheck:
                  test: ["CMD", "true"]
              web:
                <<: *limits
                build: ./backend
                environment:
                  DATABASE_URL: postgresql://postgres:${POSTGRES_PASSWORD}@db/postgres
                healthcheck:
                  test: ["CMD", "true"]
                depends_on:
                  db: {condition: service_healthy}
            volumes:
              data: {}
              backups: {}
            """,
        "scripts/backup.sh": """
            #!/bin/sh
            set -eu
            while true; do
              pg_dump -h db -U postgres postgres | gzip > "/backups/$(date +%F).gz"
              sleep 86400
            done
            """,
        CI: f"""
            name: CI
            on:
              push:
                branches: [main]
              pull_request:
            permissions: {{}}
            jobs:
              test:
                runs-on: ubuntu-latest
                steps:
                  - uses: {CHECKOUT}
                    with:
                      persist-credentials: false
                  - run: pip install -r backend/requirements.txt
                  - run: pytest tests
                  - run: docker build backend
            """,
    },
    faults=(
        Fault("backend/Dockerfile", "USER 10001\n", "", (("checklist/non-root", "backend/Dockerfile", 1),)),
        Fault(
            "backend/Dockerfile",
            "python:3.12-slim",
            "python:latest",
            (
                ("hadolint/DL3007", "backend/Dockerfile", 1),
                ("checklist/images-pinned", "backend/Dockerfile", 1),
            ),
        ),
        Fault(
            "backend/main.py",
            "max_overflow=10",
            "max_overflow=100",
            (("checklist/pooling", "backend/main.py", 9),),
        ),
        Fault(
            "backend/main.py",
            "import logging\n",
            "import json, logging\n",
            (("ruff/F401", "backend/main.py", 1), ("ruff/E401", "backend/main.py", 1)),
        ),
        Fault(".env.example", "LOG_LEVEL=INFO\n", "", (("checklist/environment", "backend/main.py", 11),)),
        Fault(
            "compose.yaml",
            'volumes: ["data:/var/lib/postgresql/data"]\n',
            "ports: 5432\n",
            (
                ("check-jsonschema/compose-spec", "compose.yaml", 12),
                ("checklist/data-volumes", "compose.yaml", 7),
            ),
        ),
        Fault(
            "scripts/backup.sh",
            '"/backups/$(date +%F).gz"',
            "/backups/$(date +%F).gz",
            (("shellcheck/SC2046", "scripts/backup.sh", 4),),
        ),
        Fault(CI, "pytest tests", "ruff check", (("checklist/pipeline", CI, 14),)),
        Fault(CI, f"uses: {CHECKOUT}", "uses: actions/checkout@v5", (("zizmor/unpinned-uses", CI, 11),)),
        Fault(
            "settings.toml",
            'name = "web"\n',
            'name = "web"\nname = "other"\n',
            (("toml/syntax", "settings.toml", 3),),
        ),
    ),
)

NODE = Repository(
    files={
        ".gitignore": "node_modules\n.env\n",
        ".env.example": "MONGO_URL=\nPORT=3000\n",
        "package.json": '{"name": "shop", "private": true, "scripts": {"test": "node --test"}}\n',
        "tsconfig.json": "{\n  // strict\n  'strict': true,\n}\n",
        "Dockerfile": """
            FROM node:22.11-alpine AS build
            WORKDIR /app
            COPY package.json ./
            RUN npm install --omit=dev
            COPY src ./src

            FROM node:22.11-alpine
            WORKDIR /app
            COPY --from=build /app /app
            USER 1000
            HEALTHCHECK CMD ["node", "/app/src/healthy.js"]
            CMD ["node", "/app/src/server.js"]
            """,
        "src/healthy.js": "process.exit(0)\n",
        "src/server.js": """
            const pino = require('pino')
            const client = require('prom-client')
            const { MongoClient } = require('mongodb')

            const log = pino({ level: 'info' })
            const mongo = new MongoClient(process.env.MONGO_URL)
            client.collectDefaultMetrics()
            log.info({ port: process.env.PORT, mongo: mongo !== undefined })
            """,
        "src/server.test.js": "process.env.ONLY_IN_TESTS; const log = pino({}); run('mongodump --archive')\n",
        "src/looks.js": r"""
            // Tells what others use: mongodump --archive, pino({}) and prom-client are only looked for here.
            const backups = /\bmongodump\b|\brestic\b/
            const logs = ['pino(', 'format.json(', 'bunyan.createLogger']
            const monitoring = [
              'prom-client',
              '@sentry/node',
              'dd-trace',
            ]
            module.exports = { backups, logs, monitoring }
            """,
        "docker-compose.yml": """
            services:
              mongo:
                image: mongo:7.0.14
                restart: always
                volumes:
                  - type: volume
                    source: mongo
                    target: /data/db
                healthcheck: &check
                  test: ["CMD", "true"]
                mem_limit: 1g
                cpus: 1
              shop:
                build: .
                restart: always
                env_file: .env
                mem_limit: 512m
                cpus: 1
                scale: 2
                depends_on:
                  mongo:
                    condition: service_healthy
              backup:
                image: us/mongo-backup:1.2.0
                restart: always
                healthcheck: *check
                mem_limit: 512m
                cpus: 1
            volumes:
              mongo: {}
            """,
        ".github/workflows/test.yml": f"""
            on: [push, pull_request]
            name: Test
            permissions: {{}}
            jobs:
              test:
                runs-on: ubuntu-latest
                steps:
                  - uses: {CHECKOUT}
                    with:
                      persist-credentials: false
                  - run: npm ci && npm test
            """,
    },
    faults=(
        Fault(
            "package.json",
            '"private": true',
            '"private": true, "name": "other"',
            (("json/duplicate-key", "package.json", 1),),
        ),
        Fault(
            "Dockerfile",
            "COPY package.json ./\n",
            "COPY package.json shop.conf ./\n",
            (("checklist/images-build", "Dockerfile", 3),),
        ),
        Fault(
            "Dockerfile",
            'HEALTHCHECK CMD ["node", "/app/src/healthy.js"]\n',
            "",
            (("checklist/health-checks", "docker-compose.yml", 12),),
        ),
        Fault(
            "docker-compose.yml",
            "scale: 2\n",
            "scale: 2\n    container_name: shop\n",
            (("checklist/scaling", "docker-compose.yml", 17),),
        ),
        Fault(
            "docker-compose.yml",
            "env_file: .env\n    mem_limit: 512m\n    cpus: 1\n",
            "env_file: .env\n",
            (("checklist/resource-limits", "docker-compose.yml", 12),),
        ),
        Fault(
            "docker-compose.yml",
            "mongo:7.0.14\n    restart: always\n",
            "mongo:7.0.14\n",
            (("checklist/restart-policy", "docker-compose.yml", 2),),
        ),
        Fault(
            "docker-compose.yml",
            "backup:\n    image: us/mongo-backup:1.2.0",
            "other:\n    image: us/other:1.2.0",
            (("checklist/backups", "docker-compose.yml", 2),),
        ),
        Fault(
            "docker-compose.yml",
            "condition: service_healthy",
            "condition: service_started",
            (("checklist/startup-order", "docker-compose.yml", 19),),
        ),
        Fault(
            "src/server.js",
            "const client = require('prom-client')\n",
            "",
            (("checklist/monitoring", "docker-compose.yml", 2),),
        ),
        Fault(
            "src/server.js",
            "process.env.PORT",
            "process.env.UNKNOWN_PORT",
            (("checklist/environment", "src/server.js", 7),),
        ),
        Fault("src/server.js", "const pino = require('pino')\n", "const winston = require('winston')\n", ()),
        Fault(
            "src/server.js",
            "pino({ level: 'info' })",
            "winston.createLogger({})",
            (("checklist/structured-logs", "src/server.js", 4),),
        ),
        Fault(
            ".github/workflows/test.yml",
            "runs-on:",
            "run-on:",
            (("check-jsonschema/github-workflows", ".github/workflows/test.yml", 5),),
        ),
    ),
)

GO = Repository(
    files={
        ".gitignore": "*.log\n.env\n",
        "README.md": "Set `QUEUE_URL`.\n",
        "go.mod": "module example.com/worker\n\ngo 1.23\n",
        "main.go": """
            package main

            import (
                "log/slog"
                "os"
            )

            func main() {
                log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
                log.Info("up", "queue", os.Getenv("QUEUE_URL"))
            }
            """,
        "Dockerfile": """
            FROM golang:1.23.2 AS build
            WORKDIR /src
            COPY go.mod main.go ./
            RUN go build -o /worker .

            FROM gcr.io/distroless/static-debian12:nonroot
            COPY --from=build /worker /worker
            ENTRYPOINT ["/worker"]
            """,
        "deploy/values.yaml": "replicas: 2\nimage: {tag: 1.0.0}\n",
        "scripts/release": '#!/usr/bin/env bash\nset -euo pipefail\ngit tag "$1"\n',
        ".github/dependabot.yml": """
            version: 2
            updates:
              - package-ecosystem: gomod
                directory: /
                schedule: {interval: weekly}
                cooldown: {default-days: 7}
            """,
        CI: f"""
            name: CI
            on: [push, pull_request]
            permissions: {{}}
            concurrency:
              group: ${{{{ github.workflow }}}}-${{{{ github.ref }}}}
            jobs:
              test:
                runs-on: ubuntu-latest
                steps:
                  - uses: {CHECKOUT}
                    with:
                      persist-credentials: false
                  - name: Test
                    run: |
                      go vet ./...
                      go test ./...
            """,
    },
    faults=(
        Fault(
            "deploy/values.yaml",
            "replicas: 2\n",
            "replicas: 2\nreplicas: 3\n",
            (("yaml/duplicate-key", "deploy/values.yaml", 2),),
        ),
        Fault("deploy/more.yaml", "", "a: [1,\nb: }\n", (("yaml/syntax", "deploy/more.yaml", 2),)),
        Fault(
            "scripts/release",
            'git tag "$1"',
            "cd /srv\ngit tag $1",
            (("shellcheck/SC2086", "scripts/release", 4),),
        ),
        Fault(
            ".env.production",
            "",
            "ACCESS_KEY=kf83kd93kfl39dkw\n",
            (("checklist/secrets", ".env.production", 1),),
        ),
        Fault("README.md", "Set `QUEUE_URL`.\n", "# Worker\n", (("checklist/environment", "main.go", 10),)),
        Fault(
            "Dockerfile",
            "COPY go.mod main.go ./",
            "ADD go.mod main.go ./",
            (("hadolint/DL3020", "Dockerfile", 3),),
        ),
        Fault(
            ".github/dependabot.yml",
            "weekly",
            "sometimes",
            (("check-jsonschema/dependabot", ".github/dependabot.yml", 5),),
        ),
        Fault(
            CI,
            "go vet ./...",
            'echo "${{ github.event.pull_request.title }}"',
            (("zizmor/template-injection", CI, 15),),
        ),
    ),
)

REPOSITORIES = {"python": PYTHON, "node": NODE, "go": GO}

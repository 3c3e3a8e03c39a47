"""Images: pinned, buildable as far as files tell, and not run as root."""

import pytest

from flynn.workspace.checklist.account import accounts
from flynn.workspace.checklist.images import built_images, pinned_images
from tests.workspace.checklist.conftest import Judge, compose
from tests.workspace.plant import Files

PASSED, FAILED, UNDECIDED = "passed", "failed", "not verifiable"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "verdict"),
    [
        ("nginx:1.29", PASSED),
        (f"nginx@{DIGEST}", PASSED),
        (f"nginx:latest@{DIGEST}", PASSED),
        ("registry.example:5000/us/web:1.2", PASSED),
        ("${REGISTRY:-ghcr.io}/us/web:${TAG:-1.2}", PASSED),
        ("nginx", FAILED),
        ("nginx:latest", FAILED),
        ("registry.example:5000/us/web", FAILED),
        ("us/web:main", FAILED),
        ("us/web:${TAG}", UNDECIDED),
    ],
)
def test_pinned_images_of_compose(judge: Judge, image: str, verdict: str) -> None:
    assert judge(pinned_images, {"compose.yml": compose(f"web:\n  image: {image}")}) == (
        verdict,
        ["compose.yml:3"],
    )


@pytest.mark.parametrize(
    ("dockerfile", "verdict", "lines"),
    [
        ("FROM python:3.12 AS build\nFROM build AS test\nFROM scratch\nCOPY --from=build / /\n", PASSED, [1]),
        ("# syntax\nARG VERSION=3.12\nFROM --platform=linux/amd64 python:${VERSION}-slim\n", PASSED, [3]),
        ("ARG VERSION\nFROM python:${VERSION}\n", UNDECIDED, [2]),
        ("FROM python\n", FAILED, [1]),
        ("FROM python:3.12\nRUN <<EOF\nFROM x\nEOF\nFROM node:latest\n", FAILED, [5]),
    ],
)
def test_pinned_images_of_dockerfiles(judge: Judge, dockerfile: str, verdict: str, lines: list[int]) -> None:
    files = {"Dockerfile": dockerfile}
    assert judge(pinned_images, files) == (verdict, [f"Dockerfile:{line}" for line in lines])


def test_pinned_images_of_workflows_and_of_what_is_built(judge: Judge) -> None:
    files = {
        ".github/workflows/ci.yml": """
            on: push
            jobs:
              test:
                runs-on: ubuntu-latest
                container: {image: "python:3.12"}
                services:
                  db: {image: "postgres:latest"}
                steps: []
            """,
        "compose.yml": compose("web:\n  image: us/web\n  build: ."),
    }
    assert judge(pinned_images, files) == (FAILED, [".github/workflows/ci.yml:7"])


WORKFLOW = """
    on: push
    jobs:
      build:
        runs-on: ubuntu-latest
        steps:
          - run: |
              echo begin
              docker build -t web ./web
    """


@pytest.mark.parametrize(
    ("files", "verdict", "places"),
    [
        ({"web/Dockerfile": "FROM python:3.12\n"}, UNDECIDED, ["web/Dockerfile:1"]),
        (
            {"web/Dockerfile": "FROM python:3.12\n", ".github/workflows/ci.yml": WORKFLOW},
            UNDECIDED,
            [".github/workflows/ci.yml:8"],
        ),
        ({"compose.yml": compose("web:\n  build: ./web")}, FAILED, ["compose.yml:3"]),
        (
            {
                "compose.yml": compose("web:\n  build: {context: ., dockerfile: web/Dockerfile}"),
                "web/Dockerfile": "FROM python:3.12\nCOPY web/main.py requirements.txt ./\nCOPY dist /dist\n",
                "web/main.py": "",
            },
            FAILED,
            ["web/Dockerfile:2"],
        ),
        (
            {"web/Dockerfile": "FROM python:3.12\nCOPY requirements.txt .\n"},
            UNDECIDED,
            ["web/Dockerfile:2", "web/Dockerfile:1"],
        ),
        ({"main.py": ""}, UNDECIDED, [":"]),
    ],
)
def test_built_images(judge: Judge, files: Files, verdict: str, places: list[str]) -> None:
    assert judge(built_images, files) == (verdict, places)


@pytest.mark.parametrize(
    ("dockerfile", "verdict", "line"),
    [
        ("FROM python:3.12\nUSER 10001\n", PASSED, 2),
        ("FROM python:3.12 AS base\nUSER app\nFROM base\nCMD x\n", PASSED, 2),
        ("FROM python:3.12\nUSER app\nUSER root\n", FAILED, 3),
        ("FROM python:3.12\nUSER app\nFROM python:3.12\n", FAILED, 3),
        ("FROM python:3.12\n", FAILED, 1),
        ("FROM scratch\n", FAILED, 1),
        ("FROM gcr.io/distroless/static:nonroot\n", PASSED, 1),
        ("FROM ghcr.io/us/base:1\n", UNDECIDED, 1),
        ("FROM memcached:1\n", UNDECIDED, 1),
        ("FROM python:3.12\nUSER ${APP_USER}\n", UNDECIDED, 2),
    ],
)
def test_accounts(judge: Judge, dockerfile: str, verdict: str, line: int) -> None:
    assert judge(accounts, {"Dockerfile": dockerfile}) == (verdict, [f"Dockerfile:{line}"])


def test_accounts_that_compose_gives(judge: Judge) -> None:
    files = {"compose.yml": compose("web:\n  build: .\n  user: '1000'"), "Dockerfile": "FROM python:3.12\n"}
    assert judge(accounts, files) == (PASSED, ["compose.yml:4"])
    files["compose.yml"] = compose("web:\n  build: .\n  user: root")
    assert judge(accounts, files) == (FAILED, ["Dockerfile:1"])


def test_without_a_dockerfile_nothing_is_claimed(judge: Judge) -> None:
    assert judge(accounts, {"main.py": ""}) == (UNDECIDED, [":"])
    assert judge(pinned_images, {"main.py": ""}) == (UNDECIDED, [":"])

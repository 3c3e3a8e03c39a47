"""Log lines: their shape, their context, what they leave out, and that the libraries' lines are alike."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.telemetry.log_lines import MAX_TEXT
from flynn.telemetry.logging import NOISY, bind, configure, get_logger, override_levels, register_secret
from flynn.telemetry.redaction import MARK

log = get_logger("flynn.tests")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("info", "json", stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_agreed_fields(stream: io.StringIO) -> None:
    log.info("the run was claimed", worker="w1")
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "service", "logger", "message", "context"]
    assert line["level"] == "info"
    assert line["service"] == "flynn"
    assert line["logger"] == "flynn.tests"
    assert line["message"] == "the run was claimed"
    assert line["context"] == {"worker": "w1"}
    assert line["timestamp"].endswith("Z")
    assert datetime.now(UTC) - datetime.fromisoformat(line["timestamp"]) < timedelta(seconds=30)


def test_what_is_below_the_level_is_not_logged(stream: io.StringIO) -> None:
    log.debug("not this")
    log.warning("this")
    configure("debug", "json", stream)
    log.debug("and now this")
    assert [line["message"] for line in lines(stream)] == ["this", "and now this"]


def test_bound_context_follows_the_task_and_no_other(stream: io.StringIO) -> None:
    async def run(run_id: str, pause: float) -> None:
        with bind(run_id=run_id):
            await asyncio.sleep(pause)
            await asyncio.create_task(inner())
        log.info("outside")

    async def inner() -> None:
        with bind(task_id=7):
            log.info("inside", step=1)

    async def both() -> None:
        await asyncio.gather(run("a", 0.01), run("b", 0))

    asyncio.run(both())
    inside = [line["context"] for line in lines(stream) if line["message"] == "inside"]
    assert inside == [
        {"run_id": "b", "task_id": 7, "step": 1},
        {"run_id": "a", "task_id": 7, "step": 1},
    ]
    assert all("context" not in line for line in lines(stream) if line["message"] == "outside")


def test_inner_bindings_win_and_end(stream: io.StringIO) -> None:
    mine = log.bind(room="worker")
    with bind(run_id="a"), bind(run_id="b", request_id="r"):
        mine.info("one", event="message.sent", level="x")
    mine.info("two")
    one, two = lines(stream)
    assert one["context"] == {
        "run_id": "b",
        "request_id": "r",
        "room": "worker",
        "event": "message.sent",
        "level": "x",
    }
    assert one["level"] == "info"
    assert two["context"] == {"room": "worker"}


async def test_bindings_survive_a_generator_that_another_task_closes(stream: io.StringIO) -> None:
    async def generator() -> Any:
        with bind(run_id="a"):
            yield 1
            yield 2

    running = generator()
    await anext(running)
    await asyncio.create_task(running.aclose())
    log.info("still here")
    assert lines(stream)[0]["message"] == "still here"


def test_an_exception_is_one_field(stream: io.StringIO) -> None:
    def refuse() -> None:
        raise ValueError("wrong password for postgres://u:geheim-7@h/d")

    try:
        refuse()
    except ValueError:
        log.exception("the database refused", database="d")
    log.error("again", exc_info=KeyError("k"))
    one, two = lines(stream)
    assert one["level"] == "error"
    assert one["exception"].startswith("Traceback (most recent call last):\n")
    assert f"ValueError: wrong password for postgres://u:{MARK}@h/d" in one["exception"]
    assert one["context"] == {"database": "d"}
    assert "KeyError" in two["exception"]


def test_libraries_speak_the_same_way(stream: io.StringIO) -> None:
    with bind(request_id="r1"):
        logging.getLogger("uvicorn.error").info("Started %s", "well", extra={"color_message": "x"})
        logging.getLogger("anything").warning("100%", extra={"job": {"id": UUID(int=1)}})
    one, two = lines(stream)
    assert (one["logger"], one["message"], one["context"]) == (
        "uvicorn.error",
        "Started well",
        {"request_id": "r1"},
    )
    assert two["context"] == {"request_id": "r1", "job": {"id": str(UUID(int=1))}}


def test_noisy_libraries_are_heard_from_warning(stream: io.StringIO) -> None:
    configure("debug", "json", stream)
    for name in ("sqlalchemy.engine.Engine", "procrastinate.worker", "socketio.server", "uvicorn.access"):
        logging.getLogger(name).info("daily life")
        logging.getLogger(name).warning("trouble")
    assert [line["message"] for line in lines(stream)] == ["trouble"] * 4


def test_a_librarys_own_handlers_go(stream: io.StringIO) -> None:
    elsewhere = io.StringIO()
    library = logging.getLogger("uvicorn")
    library.addHandler(logging.StreamHandler(elsewhere))
    library.propagate = False
    configure("info", "json", stream)
    library.info("once")
    assert elsewhere.getvalue() == ""
    assert [line["message"] for line in lines(stream)] == ["once"]


def test_configuring_again_does_not_double_lines(stream: io.StringIO) -> None:
    configure("info", "json", stream)
    log.info("once")
    assert len(lines(stream)) == 1


def test_secrets_are_left_out_wherever_they_are(stream: io.StringIO) -> None:
    register_secret('ge"heim-\\1')
    log.info(
        'said ge"heim-\\1',
        headers={"Authorization": "x", "X-Api-Key": "y", "Accept": "z"},
        deep=[{"k": ('ge"heim-\\1',)}],
        key="sk-ant-api03-abcdefgh",
        token="",
    )
    logging.getLogger("library").warning("with %s", 'ge"heim-\\1')
    text = stream.getvalue()
    assert "heim" not in text
    one, two = lines(stream)
    assert one["message"] == f"said {MARK}"
    assert one["context"]["headers"] == {"Authorization": MARK, "X-Api-Key": MARK, "Accept": "z"}
    assert one["context"]["deep"] == [{"k": [MARK]}]
    assert one["context"]["key"] == MARK
    assert one["context"]["token"] == ""
    assert two["message"] == f"with {MARK}"


def test_any_value_makes_a_line(stream: io.StringIO) -> None:
    loop: list[object] = []
    loop.append(loop)
    log.info(
        "odd\nvalues",
        cleaned="\ud800\0",
        big=2**70,
        nan=float("nan"),
        raw=b"\xff",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        loop=loop,
        keys={1: "one", None: "none"},
        long="x" * (MAX_TEXT + 5),
        many=list(range(10_000)),
    )
    assert stream.getvalue().count("\n") == 1
    (line,) = lines(stream)
    assert line["message"] == "odd\nvalues"
    context = line["context"]
    assert (context["big"], context["nan"], context["raw"]) == (str(2**70), None, "b'\\xff'")
    assert context["keys"] == {"1": "one", "None": "none"}
    assert context["long"].endswith("x… (5 more characters)")
    assert len(context["many"]) == 200


def test_the_console_is_for_people() -> None:
    stream = io.StringIO()
    configure("info", "console", stream)
    with bind(run_id="a"):
        log.info("claimed \x1b[2J", worker="w 1", event="message.sent", key="sk-ant-api03-abcdefgh")
    text = stream.getvalue()
    assert "claimed \\x1b[2J" in text
    assert "\x1b" not in text
    assert "run_id=a worker='w 1' event_=message.sent" in text
    assert "abcdefgh" not in text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_auto_is_json_where_no_person_looks_and_console_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    pipe, terminal = io.StringIO(), Terminal()
    configure("info", "auto", pipe)
    log.info("one")
    configure("info", "auto", terminal)
    log.info("two")
    assert lines(pipe)[0]["message"] == "one"
    assert "two" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


class _Unprintable:
    def __str__(self) -> str:
        raise AssertionError("a record was built")

    __repr__ = __str__


def test_a_level_that_is_off_builds_no_record(stream: io.StringIO) -> None:
    log.debug("not this", run_id=_Unprintable())
    assert stream.getvalue() == ""


def levels() -> dict[str, int]:
    """The level of the root logger and of every one that has its own."""
    manager = logging.Logger.manager
    own = {n: x.level for n, x in manager.loggerDict.items() if isinstance(x, logging.Logger) and x.level}
    return {"": logging.getLogger().level, **own}


def test_levels_can_be_changed_for_all_loggers_or_one_and_put_back(stream: io.StringIO) -> None:
    before = levels()
    override_levels({"": "debug", "sqlalchemy": "info"})
    log.debug("ours")
    logging.getLogger("redis").info("daily life")
    logging.getLogger("sqlalchemy.engine").info("daily life that was asked for")
    override_levels({"flynn.other": "debug"})
    log.debug("not ours")
    get_logger("flynn.other.room").debug("of the other")
    override_levels({"": "error"})
    log.warning("not this")
    override_levels({})
    assert [line["message"] for line in lines(stream)] == [
        "ours",
        "daily life that was asked for",
        "of the other",
    ]
    assert levels() == before


@given(
    changes=st.lists(
        st.dictionaries(
            st.sampled_from(["", "flynn", "flynn.x", "redis", "sqlalchemy.engine", "uvicorn.access"]),
            st.sampled_from(["debug", "info", "warning", "error"]),
        ),
        max_size=6,
    )
)
@settings(deadline=None, max_examples=40)
def test_only_the_last_change_counts(changes: list[dict[str, str]]) -> None:
    configure("info", "json", io.StringIO())
    before = levels()
    last = changes[-1] if changes else {}
    override_levels(last)
    alone = levels()
    override_levels({})
    for change in changes:
        override_levels(change)
    assert levels() == alone
    override_levels({})
    assert levels() == before


def test_debugging_the_service_does_not_log_what_people_write_over_sockets(stream: io.StringIO) -> None:
    configure("debug", "json", stream)
    logging.getLogger("uvicorn.error").debug('< TEXT \'42["message.send",{"text":"between us"}]\'')
    logging.getLogger("uvicorn.error").info("connection open")
    override_levels({"uvicorn.error": "debug"})
    logging.getLogger("uvicorn.error").debug("asked for by name")
    assert [line["message"] for line in lines(stream)] == ["connection open", "asked for by name"]

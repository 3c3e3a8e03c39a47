"""What a client is told, and what it may name."""

import base64
from uuid import UUID

import pytest

from flynn.domain.callback import (
    MOST_BYTES,
    NOTEWORTHY,
    body_of,
    check_secret,
    check_type,
    message_id,
    new_secret,
)
from flynn.domain.events import EVENT_TYPES


def test_an_event_too_large_comes_without_its_data() -> None:
    task = UUID(int=1)
    small = {"seq": 1, "data": {"text": "x"}}
    assert '"data":{"text":"x"}' in body_of(dict(small), task)
    large = body_of({"seq": 1, "data": {"text": "é" * MOST_BYTES}}, task)
    assert large == f'{{"seq":1,"data":null,"task_id":"{task}","too_large":true}}'


def test_an_id_is_the_events_own() -> None:
    assert message_id(UUID(int=7), 3) == "msg_00000000000000000000000000000007_3"


def test_what_is_told_unasked_is_a_type_of_event() -> None:
    assert set(NOTEWORTHY) < set(EVENT_TYPES)
    for name in EVENT_TYPES:
        assert check_type(name) == name
    for name in ("", "run", "run.*", "task.report"):
        with pytest.raises(ValueError, match=r"run\.completed"):
            check_type(name)


def secret(size: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * size).decode()


def test_a_secret_is_long_enough_and_never_repeated() -> None:
    assert check_secret(new_secret()) != check_secret(new_secret())
    for size in (24, 32, 64):
        assert check_secret(secret(size)) == secret(size)
    for wrong in (
        "",
        "whsec_",
        secret(23),
        secret(65),
        secret(32)[6:],
        "whsec_" + "!" * 44,
        secret(32) + "é",
    ):
        with pytest.raises(ValueError, match="24 to 64 random bytes") as caught:
            check_secret(wrong)
        assert len(wrong) < 7 or wrong not in str(caught.value)

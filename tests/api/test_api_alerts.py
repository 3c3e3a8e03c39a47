"""Alerts at the doors: a list for admins, and notices for the connections of admins alone."""

from datetime import UTC, datetime
from uuid import uuid4

import jsonschema

from flynn.domain.alert import AlertView
from tests.api.served import Served, watching


def alert(key: str = "Disk:data@here", *, value: float = 0.9) -> AlertView:
    return AlertView(
        id=uuid4(),
        key=key,
        alert="Disk",
        severity="warning",
        sentence="The disk of data is 90 % full (limit 85 %).",
        subject="data",
        process="here:8000",
        since=datetime.now(UTC),
        value=value,
        threshold=0.85,
        clear=0.8,
        unit="ratio",
        runbook="docs/runbook.md#disk",
    )


async def test_admins_see_what_fires_and_nobody_else_does(served: Served) -> None:
    await served.key("reader", "read", "chat", "delegate")
    async with served.http() as http:
        nothing = (await http.get("/api/v1/alerts")).json()
        served.alerts.set_own(alert())
        found = (await http.get("/api/v1/alerts")).json()
    async with served.http("reader") as http:
        refused = await http.get("/api/v1/alerts")
    assert nothing == {"items": [], "evaluated_at": None, "complete": False}
    [item] = found["items"]
    assert (item["key"], item["severity"], item["value"]) == ("Disk:data@here", "warning", 0.9)
    assert item["runbook"] == "docs/runbook.md#disk"
    assert refused.status_code == 403, refused.text


async def test_connections_of_admins_are_told_when_it_begins_and_when_it_ends(served: Served) -> None:
    await served.key("reader", "read", "chat", "delegate")
    async with watching(served) as operator, watching(served, "reader") as reader:
        await operator.until("session", 1)
        served.alerts.set_own(alert())
        served.alerts.set_own(alert(value=0.95))
        served.alerts.drop_own("Disk:data@here")
        told = await operator.until("notice", 2)
        async with served.http() as http:
            schema = (await http.get("/api/v1/schema")).json()
        # Whatever it was to be told has come before the answer to this.
        await reader.call("conversation.create", {})
        assert reader.got("notice") == []
    assert [(notice["kind"], notice["state"]) for notice in told] == [
        ("alert", "firing"),
        ("alert", "resolved"),
    ]
    assert told[1]["alert"]["value"] == 0.95
    for notice in told:
        jsonschema.validate(notice, {**schema["sent"]["notice"], "$defs": schema["$defs"]})


async def test_who_connects_later_is_told_of_what_fires(served: Served) -> None:
    served.alerts.set_own(alert())
    async with watching(served) as operator:
        [told] = await operator.until("notice", 1)
    assert told["alert"]["key"] == "Disk:data@here"


async def test_what_others_see_too_is_one_alert_until_the_last_does_not(served: Served) -> None:
    board, mine = served.alerts, alert()
    theirs = mine.model_copy(update={"process": "there:8000"})
    async with watching(served) as operator:
        await operator.until("session", 1)
        board.set_own(mine)
        board.set_others([theirs])
        board.drop_own(mine.key)
        assert [(item.key, item.process) for item in board.firing()] == [(mine.key, "there:8000")]
        board.set_others([])
        told = await operator.until("notice", 2)
    assert [notice["state"] for notice in told] == ["firing", "resolved"]
    assert board.view().complete

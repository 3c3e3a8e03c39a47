"""Creating custom agents, through the API as clients use it."""

import unittest
from uuid import UUID

from fastapi.testclient import TestClient

from core.config import Settings
from main import create_app

SCOUT = {
    "name": "scout",
    "role": "Finds things",
    "prompt": "You find files and say where they are.",
}


class AgentCreation(unittest.TestCase):
    def setUp(self) -> None:
        self.client = TestClient(create_app(Settings(max_agents=2)))

    def test_a_created_agent_can_be_fetched(self) -> None:
        created = self.client.post("/api/agents", json=SCOUT)
        self.assertEqual(created.status_code, 201)
        self.assertEqual(created.headers["Location"], "/api/agents/scout")
        self.assertEqual(UUID(created.json()["id"]).version, 4)
        self.assertEqual(self.client.get("/api/agents/scout").json(), created.json())

    def test_defaults_are_a_reader_on_haiku(self) -> None:
        created = self.client.post("/api/agents", json=SCOUT).json()
        self.assertEqual(created["model"], "haiku")
        self.assertEqual(created["tools"], ["Read", "Glob", "Grep"])

    def test_agents_are_listed_in_the_order_they_were_made(self) -> None:
        for name in ("scout", "builder"):
            self.client.post("/api/agents", json=SCOUT | {"name": name})
        names = [agent["name"] for agent in self.client.get("/api/agents").json()]
        self.assertEqual(names, ["scout", "builder"])
        self.assertEqual(self.client.get("/health").json(), {"status": "ok", "agents": 2})

    def test_a_name_is_given_once(self) -> None:
        self.client.post("/api/agents", json=SCOUT)
        again = self.client.post("/api/agents", json=SCOUT)
        self.assertEqual(again.status_code, 409)
        self.assertEqual(again.json()["detail"], "there is already an agent scout")

    def test_the_limit_holds_until_an_agent_is_removed(self) -> None:
        for name in ("one", "two"):
            self.client.post("/api/agents", json=SCOUT | {"name": name})
        self.assertEqual(self.client.post("/api/agents", json=SCOUT).status_code, 409)
        self.assertEqual(self.client.delete("/api/agents/one").status_code, 204)
        self.assertEqual(self.client.post("/api/agents", json=SCOUT).status_code, 201)

    def test_what_is_not_there_is_not_found(self) -> None:
        self.assertEqual(self.client.get("/api/agents/nobody").status_code, 404)
        self.assertEqual(self.client.delete("/api/agents/nobody").status_code, 404)


class Validation(unittest.TestCase):
    def setUp(self) -> None:
        self.client = TestClient(create_app(Settings()))

    def test_requests_that_cannot_be_used_are_refused_by_field(self) -> None:
        wrong: list[tuple[str, object]] = [
            ("name", "Scout"),
            ("name", "s"),
            ("name", "../scout"),
            ("name", "flynn-dev"),
            ("role", "   "),
            ("prompt", "Too short."),
            ("model", "gpt"),
            ("tools", []),
            ("tools", ["Read", "Read"]),
            ("tools", ["Teleport"]),
            ("colour", "blue"),
        ]
        for field, value in wrong:
            with self.subTest(field=field, value=value):
                answer = self.client.post("/api/agents", json=SCOUT | {field: value})
                self.assertEqual(answer.status_code, 422)
                self.assertEqual(answer.json()["detail"][0]["loc"][1], field)
        self.assertEqual(self.client.get("/api/agents").json(), [])

    def test_a_missing_field_is_named(self) -> None:
        answer = self.client.post("/api/agents", json={"name": "scout"})
        self.assertEqual(answer.status_code, 422)
        missing = {problem["loc"][1] for problem in answer.json()["detail"]}
        self.assertEqual(missing, {"role", "prompt"})

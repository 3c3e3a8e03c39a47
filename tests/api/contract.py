"""Checks what the service answers against what its OpenAPI document declares."""

import json
import re
from typing import Any

import jsonschema
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Contract:
    """An ASGI application around another one that notes every answer that was not declared."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._document: dict[str, Any] = {}
        self._paths: list[tuple[re.Pattern[str], str]] = []
        self.breaches: list[str] = []
        self.seen: set[tuple[str, str, int]] = set()

    def declare(self, document: dict[str, Any]) -> None:
        """Take the OpenAPI document that answers are compared with."""
        self._document = document
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + r"\Z"), path) for path in document["paths"]
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, kind, body = 0, "", bytearray()

        async def noting(message: Message) -> None:
            nonlocal status, kind
            if message["type"] == "http.response.start":
                status = message["status"]
                kind = dict(message["headers"]).get(b"content-type", b"").decode().partition(";")[0]
            else:
                body.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, noting)
        if status:
            self._note(scope["method"], scope["path"], status, kind, bytes(body))

    def _note(self, method: str, path: str, status: int, kind: str, body: bytes) -> None:
        template = next((template for pattern, template in self._paths if pattern.match(path)), None)
        if template is None:
            return
        operation = self._document["paths"][template].get(method.lower())
        where = f"{method} {template} -> {status} {kind}"
        if operation is None:
            if status not in (204, 403, 405):
                self.breaches.append(f"{where}: the method is not declared")
            return
        self.seen.add((method, template, status))
        answer = operation["responses"].get(str(status))
        if answer is None:
            self.breaches.append(f"{where}: the status is not declared: {body[:300]!r}")
            return
        if not body and not kind and "content" not in answer:
            return
        content = answer.get("content", {}).get(kind)
        if content is None:
            self.breaches.append(f"{where}: the media type is not declared")
            return
        if kind.endswith("json"):
            schema = {**content.get("schema", {}), "components": self._document["components"]}
            for error in jsonschema.Draft202012Validator(schema).iter_errors(json.loads(body)):
                self.breaches.append(f"{where}: {error.json_path}: {error.message}")

"""The Model Context Protocol around the tools: streamable HTTP without sessions, so any process may answer.

The only importer of `mcp`, which takes most of a second and 25 MB: only the first request to /mcp brings
this room in (flynn.api.mcp). Who asks was settled by the gate, as for every door.
"""

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from flynn import __version__
from flynn.api.counting import untimed
from flynn.api.gate import PRINCIPAL, REQUEST_ID
from flynn.api.mcp_tools import Tool
from flynn.api.problem import named
from flynn.domain.errors import FlynnError
from flynn.domain.principal import Principal
from flynn.telemetry.redaction import redact

INSTRUCTIONS = (
    "Flynn is a DevOps agent with a sandbox of its own. Delegate to it what you would give to a colleague: "
    "delegate_task, then task_status with wait until it is over, then task_report. Trust the report's "
    "evidence, not its prose."
)


def open_server(tools: Mapping[str, Tool], *, max_bytes: int) -> ASGIApp:
    """The ASGI application that answers POST requests to /mcp."""
    offered = {name: _tool(tool) for name, tool in tools.items()}

    async def list_tools(context: Any, _params: object) -> types.ListToolsResult:
        principal, _ = _caller(context.request)
        return types.ListToolsResult(tools=[offered[t.name] for t in tools.values() if t.opens(principal)])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        principal, request_id = _caller(context.request)
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(
                types.INVALID_PARAMS, f"There is no tool {params.name!r}; there are: {', '.join(tools)}."
            )
        if (params.arguments or {}).get("wait"):
            untimed(context.request.scope)
        try:
            result = await tool.call(principal, params.arguments or {})
        except Exception as error:  # whatever goes wrong is told to the model, in words
            return _failed(named(error, request_id=request_id))
        return _done(result)

    server: Server[Any] = Server(
        "flynn",
        title="Flynn",
        version=__version__,
        instructions=INSTRUCTIONS,
        get_tool_input_schema=lambda name: offered[name].input_schema if name in offered else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.middleware.clear()  # spans for a tracing that is not set up

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # Nothing is kept from one request to the next, so each has a manager, and with it a group of tasks,
        # of its own that ends with it.
        manager = StreamableHTTPSessionManager(
            server, stateless=True, json_response=True, max_request_body_size=max_bytes
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    return answer


def _caller(request: Request) -> tuple[Principal, str]:
    return request.scope[PRINCIPAL], request.scope[REQUEST_ID]


def _tool(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.argument.model_json_schema(mode="validation"),
        output_schema=tool.result.model_json_schema(mode="serialization"),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads,
            destructive_hint=tool.ends,
            idempotent_hint=tool.reads or tool.ends,
            open_world_hint=False,
        ),
    )


def _done(result: BaseModel) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=result.model_dump_json())],
        structured_content=result.model_dump(mode="json"),
    )


def _failed(error: FlynnError) -> types.CallToolResult:
    words = redact(error.detail)
    if error.retry_after is not None:
        words += f" (Worth another try in {error.retry_after:.0f} seconds.)"
    return types.CallToolResult(
        content=[types.TextContent(text=f"{error.title}: {words}")],
        is_error=True,
    )

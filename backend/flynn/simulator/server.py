"""The simulator as an application and as a server."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from types import TracebackType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from flynn.simulator.api_error import ApiError
from flynn.simulator.control import requests_door, reset_door, scenarios_door
from flynn.simulator.messages import MessagesDoor
from flynn.simulator.models import model_door, models_door
from flynn.simulator.options import Options
from flynn.simulator.reply import new_id
from flynn.simulator.scenario import Scenario
from flynn.simulator.stage import Stage
from flynn.simulator.wire import Protocol


def create_app(scenarios: Sequence[Scenario], options: Options | None = None) -> Starlette:
    """Make the simulator's application. Its stage is `app.state.stage`.

    Resetting connections needs SimulatorServer; everything else works under any ASGI server.

    Raises:
        ScenarioError: two scenarios share a name.
    """
    options = options or Options()
    stage = Stage(scenarios, options)
    app = Starlette(
        routes=[
            Route("/v1/messages", MessagesDoor(stage, counting=False), methods=["POST"]),
            Route("/v1/messages/count_tokens", MessagesDoor(stage, counting=True), methods=["POST"]),
            Route("/v1/models", models_door(options)),
            Route("/v1/models/{model_id}", model_door(options)),
            Route("/_simulator/requests", requests_door(stage)),
            Route("/_simulator/scenarios", scenarios_door(stage), methods=["POST"]),
            Route("/_simulator/reset", reset_door(stage), methods=["POST"]),
            Route("/", _health),
        ],
        exception_handlers={404: _not_found, 405: _not_found},
    )
    app.state.stage = stage
    return app


class SimulatorServer:
    """A simulator that serves on the loopback, within the running event loop.

    An asynchronous context manager: it listens when entered and drops every connection when left. Port 0
    takes a free one; `url` names it.
    """

    def __init__(
        self, scenarios: Sequence[Scenario] = (), options: Options | None = None, *, port: int = 0
    ) -> None:
        self.app = create_app(scenarios, options)
        self._port = port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:40123`.

        Raises:
            RuntimeError: the server was not entered.
        """
        if not self._url:
            raise RuntimeError("the simulator does not listen yet; enter it with `async with`")
        return self._url

    @property
    def stage(self) -> Stage:
        """What the simulator holds: scenarios, attempts, records."""
        stage: Stage = self.app.state.stage
        return stage

    async def __aenter__(self) -> "SimulatorServer":
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits
        # some 40 ms for a delayed acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
        except OSError:
            listener.close()
            raise
        config = uvicorn.Config(
            self.app,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.001)
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop all connections and stop listening."""
        await self.stop()

    async def stop(self) -> None:
        """Drop all connections and stop listening; nothing happens if it does not listen."""
        server, serving = self._server, self._serving
        if server is None or serving is None:
            return
        server.leave()
        await serving
        self._server = self._serving = None
        self._url = ""

    async def wait(self) -> None:
        """Wait until the server is stopped."""
        if self._serving is not None:
            await asyncio.shield(self._serving)


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to the process and its clients in the lurch.

    A clean shutdown waits in steps of a tenth of a second; a test double is started and stopped by the
    hundred, and a client must cope with a server that is gone.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Ask the server to end."""
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = set(self.server_state.tasks)
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=1)
            for task in pending:
                task.cancel()
        for sock in sockets or ():
            sock.close()


async def _health(_: Request) -> Response:
    return PlainTextResponse("flynn simulator\n")


async def _not_found(request: Request, _: Exception) -> Response:
    error = ApiError(404, "not_found_error", f"there is no {request.method} {request.url.path} here")
    request_id = new_id("req")
    return Response(error.body(request_id), 404, {"request-id": request_id}, "application/json")

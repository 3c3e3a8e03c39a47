"""The control doors: records, scenarios and reset. No part of the Messages API."""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from flynn.simulator.scenario import parse_scenarios
from flynn.simulator.stage import Stage
from flynn.simulator.yaml_document import ScenarioError

Door = Callable[[Request], Awaitable[Response]]


def requests_door(stage: Stage) -> Door:
    """`GET /_simulator/requests?after=N&bodies=0`: the records, oldest first."""

    async def read(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdigit():
            return _json(422, {"error": f"after: {after!r} is no record number; give a whole number"})
        bodies = request.query_params.get("bodies", "1") != "0"
        return _json(200, {"requests": [r.json(bodies=bodies) for r in stage.records.after(int(after))]})

    return read


def scenarios_door(stage: Stage) -> Door:
    """`POST /_simulator/scenarios?replace=1` with YAML: play these first (or: only these) from now on."""

    async def load(request: Request) -> Response:
        try:
            text = (await request.body()).decode("utf-8")
            scenarios = parse_scenarios(text, "request")
            stage.load(scenarios, replace=request.query_params.get("replace") == "1")
        except UnicodeDecodeError as error:
            return _json(422, {"error": f"the body is no UTF-8 text: {error}"})
        except ScenarioError as error:
            return _json(422, {"error": error.detail})
        return _json(200, {"scenarios": [scenario.name for scenario in stage.scenarios]})

    return load


def reset_door(stage: Stage) -> Door:
    """`POST /_simulator/reset`: forget records, attempts and accounts; scenarios stay."""

    async def reset(_: Request) -> Response:
        stage.reset()
        return Response(status_code=204)

    return reset


def _json(status: int, body: object) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")

"""The doors `GET /v1/models` and `GET /v1/models/{id}`.

Source: SDK resources/models.py, types/model_info.py and pagination.py (`first_id`, `last_id`,
`has_more`; the catalogue fits on one page).
"""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from flynn.simulator import catalog
from flynn.simulator.api_error import ApiError
from flynn.simulator.options import Options
from flynn.simulator.reply import new_id
from flynn.simulator.request import authenticate, version_of

Door = Callable[[Request], Awaitable[Response]]


def models_door(options: Options) -> Door:
    """List the models that are served."""

    def listing(_: Request) -> object:
        data = [model.info(disabled_thinking=options.disabled_thinking) for model in options.models]
        return {"data": data, "first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}

    return _guarded(options, listing)


def model_door(options: Options) -> Door:
    """Show one model. 404 if it is not served."""

    def one(request: Request) -> object:
        model_id: str = request.path_params["model_id"]
        model = catalog.find(options.models, model_id)
        if model is None:
            raise ApiError(404, "not_found_error", f"model: {model_id}", rule="model")
        return model.info(disabled_thinking=options.disabled_thinking)

    return _guarded(options, one)


def _guarded(options: Options, show: Callable[[Request], object]) -> Door:
    async def door(request: Request) -> Response:
        request_id = new_id("req")
        headers = {"request-id": request_id}
        try:
            authenticate(request.headers, options.keys)
            version_of(request.headers)
            body = orjson.dumps(show(request))
        except ApiError as error:
            return Response(
                error.body(request_id), error.status, {**headers, **error.headers}, "application/json"
            )
        return Response(body, 200, headers, "application/json")

    return door

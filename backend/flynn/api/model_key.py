"""Doors to the key of the model's API: whether there is one, give one, remove it. Nothing shows it."""

from typing import Protocol

from fastapi import APIRouter, Response

from flynn.api.door import Admin, Door, answer, declared
from flynn.domain.model_key import ModelKeyOrder, ModelKeyView
from flynn.domain.principal import Principal


class ModelKeys(Protocol):
    """What is behind these doors."""

    def view(self, principal: Principal) -> ModelKeyView:
        """Whether there is a key, and where it comes from."""

    async def give(self, principal: Principal, order: ModelKeyOrder) -> ModelKeyView:
        """Check a key and keep it. Raises Conflict, InvalidInput, Unavailable."""

    async def forget(self, principal: Principal) -> ModelKeyView:
        """Remove the key that was kept. Raises Conflict."""


def model_key_doors(keys: ModelKeys) -> APIRouter:
    """The routes at /model-key, for admins."""
    doors = APIRouter(prefix="/model-key", tags=["keys"], route_class=Door)

    @doors.get("", response_model=ModelKeyView, responses=declared())
    async def get_model_key(principal: Admin) -> Response:
        """Whether the service has a key of the model's API, and where it comes from; never the key."""
        return answer(keys.view(principal))

    @doors.put("", response_model=ModelKeyView, responses=declared(409, body=True))
    async def give_model_key(principal: Admin, order: ModelKeyOrder) -> Response:
        """Give the service a key: tried with one call that costs nothing, then kept in the data directory.

        422 when the model's API refuses it, 503 when it does not say (`unchecked` keeps it all the same),
        409 while ANTHROPIC_API_KEY is set. All processes of the data directory use it from their next call.
        """
        return answer(await keys.give(principal, order))

    @doors.delete("", response_model=ModelKeyView, responses=declared(409))
    async def forget_model_key(principal: Admin) -> Response:
        """Remove the key that was given. Runs that need the model wait for another then."""
        return answer(await keys.forget(principal))

    return doors

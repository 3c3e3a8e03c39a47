"""The backend: `uvicorn main:app`."""

import os

from fastapi import FastAPI

from api.agents import agents_router
from core.config import Settings
from core.logging_config import configure_logging
from repositories.agents import AgentRepository


def create_app(settings: Settings) -> FastAPI:
    """Build the application with agents of its own."""
    agents = AgentRepository(limit=settings.max_agents)
    application = FastAPI(title="RezNet", version="0.1.0")
    application.include_router(agents_router(agents))

    @application.get("/health")
    def health() -> dict[str, str | int]:
        return {"status": "ok", "agents": len(agents.all())}

    return application


_settings = Settings.from_environment(os.environ)
configure_logging(_settings.log_level)
app = create_app(_settings)

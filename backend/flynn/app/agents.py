"""What is served: the files that come along, and the agents among them."""

from importlib import resources
from pathlib import Path

from flynn.agent.agent_catalog import Catalog, load_agents
from flynn.domain.errors import ConfigurationError, FlynnError
from flynn.domain.views import AgentView
from flynn.model.catalog import resolve
from flynn.settings import Settings
from flynn.telemetry.logging import get_logger
from flynn.tools.toolset import TOOLS


def asset(name: str) -> Path:
    """A directory that the wheel carries (`agents`, `prompts`, `examples`), or the checkout's own."""
    packaged = Path(str(resources.files("flynn"))) / "_assets" / name
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / name


def read_agents(settings: Settings) -> Catalog:
    """The agents that can be served; a file that cannot is logged with its line and reason."""
    directories = [asset("agents"), *([settings.agents_dir] if settings.agents_dir else [])]
    catalog = load_agents(directories)
    log = get_logger("flynn.agents")
    for refused in catalog.refused:
        log.error(
            "an agent file cannot be served", file=str(refused.path), line=refused.line, reason=refused.reason
        )
    for agent in catalog:
        for warning in agent.warnings:
            log.warning("an agent file needs a look", agent=agent.name, warning=warning)
    if not len(catalog):
        raise ConfigurationError(f"There is no agent that can be served in {directories[0]}.")
    return catalog


def views_of(catalog: Catalog, settings: Settings) -> list[AgentView]:
    """The agents as clients see them."""
    found = []
    for agent in catalog:
        warnings = list(agent.warnings)
        asked = agent.model if agent.model not in (None, "inherit") else "haiku"
        try:
            model = resolve(asked, settings.model_aliases)
        except FlynnError as error:
            model = asked
            warnings.append(error.detail)
        found.append(
            AgentView(
                name=agent.name,
                version=agent.version,
                description=agent.description,
                model=model,
                tools=list(agent.offered(TOOLS)),
                effort=agent.effort,
                warnings=warnings,
            )
        )
    return found

"""`flynn agents`: which agents can be served, and which files cannot."""

import sys

from flynn.agent.agent_catalog import load_agents
from flynn.app.agents import asset, views_of
from flynn.settings import Settings

DESCRIPTION_WIDTH = 90


def list_agents(settings: Settings) -> int:
    """Print the agents; 1 when a file was refused or there is none."""
    directories = [asset("agents"), *([settings.agents_dir] if settings.agents_dir else [])]
    catalog = load_agents(directories)
    for agent in views_of(catalog, settings):
        description = " ".join(agent.description.split())
        if len(description) > DESCRIPTION_WIDTH:
            description = description[: DESCRIPTION_WIDTH - 1].rstrip() + "…"
        print(f"{agent.name}  {agent.model}  {', '.join(agent.tools) or 'no tools'}\n    {description}")
        for warning in agent.warnings:
            print(f"    note: {warning}")
    for refused in catalog.refused:
        print(f"flynn: {refused}", file=sys.stderr)
    if not len(catalog):
        print(f"flynn: there is no agent in {', '.join(map(str, directories))}.", file=sys.stderr)
    return 1 if catalog.refused or not len(catalog) else 0

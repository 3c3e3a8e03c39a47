"""A server that speaks the Messages API and plays scripted models.

The only double of the project: strict where the real API is strict, and never imported by the service.
docs/simulator.md says how scenarios are written and which rules are kept.
"""

from flynn.simulator.options import Options, RateLimits
from flynn.simulator.scenario import Scenario, load_scenarios, parse_scenarios
from flynn.simulator.server import SimulatorServer, create_app
from flynn.simulator.turn import Pacing, Raw, Text, Thinking, ToolCall, Turn
from flynn.simulator.yaml_document import ScenarioError

__all__ = [
    "Options",
    "Pacing",
    "RateLimits",
    "Raw",
    "Scenario",
    "ScenarioError",
    "SimulatorServer",
    "Text",
    "Thinking",
    "ToolCall",
    "Turn",
    "create_app",
    "load_scenarios",
    "parse_scenarios",
]

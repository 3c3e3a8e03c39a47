"""Settings: defaults, what the environment changes, and what is refused."""

import unittest
from pathlib import Path

from core.config import Settings


class Environment(unittest.TestCase):
    def test_an_empty_environment_gives_the_defaults(self) -> None:
        self.assertEqual(Settings.from_environment({}), Settings())

    def test_variables_win_over_defaults(self) -> None:
        settings = Settings.from_environment({"LOG_LEVEL": "debug", "MAX_AGENTS": "3"})
        self.assertEqual((settings.log_level, settings.max_agents), ("DEBUG", 3))

    def test_wrong_values_are_refused_by_name(self) -> None:
        for name, value in {"LOG_LEVEL": "LOUD", "MAX_AGENTS": "0"}.items():
            with self.subTest(name), self.assertRaisesRegex(ValueError, name):
                Settings.from_environment({name: value})

    def test_the_template_documents_what_is_read(self) -> None:
        template = Path(__file__).parents[2] / ".env.example"
        lines = template.read_text().splitlines()
        variables = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
        self.assertEqual(Settings.from_environment(variables), Settings())

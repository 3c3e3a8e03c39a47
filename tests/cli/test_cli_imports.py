"""What a command imports: nothing of the model's SDK where no model is asked, for that takes two seconds."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("noun", ["keys", "review", "commands"])
def test_a_command_that_asks_no_model_starts_without_its_sdk(noun: str) -> None:
    program = f"import sys, flynn.cli.{noun}; sys.exit('anthropic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

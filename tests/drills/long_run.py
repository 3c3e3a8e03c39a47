"""A run that takes a while: some words and a command, again and again."""


def long_run(*, steps: int, words: int, seconds: float) -> str:
    """The turns of a scenario: in each step so many `words` and a command that sleeps; then it is done."""
    turns = "".join(
        f"""  - blocks:
      - text: 'Step {number}: {{{{ words({words}) }}}}'
      - {{tool: Bash, input: {{command: "echo out {number}; sleep {seconds}"}}}}
"""
        for number in range(steps)
    )
    return f"{turns}  - blocks: [{{text: Done.}}]\n"

"""The stage: everything that one simulator holds between requests."""

from collections.abc import Sequence

from flynn.simulator.attempts import Attempts
from flynn.simulator.cache_account import CacheAccount
from flynn.simulator.options import Options
from flynn.simulator.rate_window import RateWindows
from flynn.simulator.record import Records
from flynn.simulator.rules.judgement import Judge
from flynn.simulator.scenario import Scenario, check_names
from flynn.simulator.signatures import Signer


class Stage:
    """Scenarios, counts and accounts of one simulator.

    Raises:
        ScenarioError: two scenarios share a name.
    """

    def __init__(self, scenarios: Sequence[Scenario], options: Options) -> None:
        check_names(scenarios)
        self.options = options
        self.scenarios = list(scenarios)
        self.attempts = Attempts()
        self.records = Records(options.record, options.record_bytes)
        self.signer = Signer(options.signing_key)
        self.judge = Judge(options, self.signer)
        self.cache = CacheAccount(options.clock)
        self.rates = RateWindows(options.rate_limits, options.clock)

    def load(self, scenarios: Sequence[Scenario], *, replace: bool) -> None:
        """Add scenarios, before those already there, or put them in their place.

        A scenario of the same name is replaced.

        Raises:
            ScenarioError: two of the new scenarios share a name.
        """
        check_names(scenarios)
        names = {scenario.name for scenario in scenarios}
        kept = [] if replace else [s for s in self.scenarios if s.name not in names]
        self.scenarios = [*scenarios, *kept]

    def reset(self) -> None:
        """Forget attempts, records, the prompt cache and rate windows; scenarios stay."""
        self.attempts.reset()
        self.cache.reset()
        self.rates.reset()
        self.records.reset()

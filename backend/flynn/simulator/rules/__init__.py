"""The rules of the Messages API: what a request must be, each rule with its source.

A broken rule is answered as the API does it, mostly with a 400; the `simulator-rule` response header
names it. A broken rule that no source proves only warns, unless the options refuse it. `judge` in
flynn.simulator.rules.judgement applies all of them.
"""

"""The verbs: create, send, delegate, interrupt, raise a budget, make keys and workspaces.

Each verb is one transaction, and its commit is the acknowledgement: the input event, the run that
follows from it and the queue's entry are there together or not at all. Intake appends only inputs, and
ends only runs that no worker holds.
"""

from flynn.intake.verbs import Intake

__all__ = ["Intake"]

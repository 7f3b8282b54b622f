"""The run: four pure functions and the state that they share. No clock, no randomness, no I/O.

decide(command, run) -> events, or a Refusal (`unfold`: the Commit, with the run after them)
evolve(run, event)   -> run (`fold`: from a history)
react(event, run)    -> orders and a deadline (`orders` and `deadline` alone)
review(step, ...)    -> Pause or Pass
"""

from orchestrator.aggregate import Deadline, Due
from orchestrator.refusals import Refusal
from orchestrator.runs.decide import decide, unfold
from orchestrator.runs.evolve import evolve, fold
from orchestrator.runs.policy import Pass, Pause, review
from orchestrator.runs.react import ORDERING, command_of, deadline, orders, react
from orchestrator.runs.state import Run

__all__ = [
    "ORDERING",
    "Deadline",
    "Due",
    "Pass",
    "Pause",
    "Refusal",
    "Run",
    "command_of",
    "deadline",
    "decide",
    "evolve",
    "fold",
    "orders",
    "react",
    "review",
    "unfold",
]

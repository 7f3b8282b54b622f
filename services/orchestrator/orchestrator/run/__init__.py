"""The run's core: four pure functions and the state they share. No clock, no randomness, no I/O.

decide(command, run) -> events, or a Refusal
evolve(run, event)   -> run
react(event, run)    -> orders and a deadline; `orders` and `deadline` alone
review(step, ...)    -> Pause or Pass
"""

from orchestrator.run.decide import decide, unfold
from orchestrator.run.errors import Refusal
from orchestrator.run.evolve import evolve, fold
from orchestrator.run.react import ORDERING, Deadline, Due, command_of, deadline, orders, react
from orchestrator.run.review import Pass, Pause, review
from orchestrator.run.state import Run

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

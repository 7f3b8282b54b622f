"""`python -m testkit.tally`: an orchestrator that hosts runs and tallies."""

from functools import partial

from chassis.server import serve
from orchestrator.app import create_app
from orchestrator.runs.aggregate import RUN
from testkit.tally.aggregate import TALLY

if __name__ == "__main__":
    serve("orchestrator", partial(create_app, aggregates=(RUN, TALLY)), lambda settings: settings.orchestrator_port)

"""`python -m orchestrator`."""

from chassis.server import serve
from orchestrator.app import create_app

if __name__ == "__main__":
    serve("orchestrator", create_app, lambda settings: settings.orchestrator_port)

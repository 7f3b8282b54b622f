"""`python -m provider_worker`: run the worker."""

from chassis.server import serve
from provider_worker.app import create_app

if __name__ == "__main__":
    serve("provider-worker", create_app, lambda settings: settings.worker_port)

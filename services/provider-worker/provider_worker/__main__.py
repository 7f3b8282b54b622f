"""`python -m provider_worker` runs the worker; `python -m provider_worker check-settings` judges its settings alone."""

import sys

from chassis.server import check_settings, serve
from provider_worker.app import create_app

if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            serve("provider-worker", create_app, lambda settings: settings.worker_port)
        case ["check-settings"]:
            check_settings(create_app)
        case _:
            raise SystemExit("usage: python -m provider_worker [check-settings]")

"""`make topics`: create the topics on the Kafka that the settings name, those in `.env` among them."""

from __future__ import annotations

import sys

from chassis.settings import SettingsError, exit_with, load_settings
from messaging.__main__ import create

if __name__ == "__main__":
    try:
        bootstrap = load_settings().kafka_bootstrap_servers
    except SettingsError as error:
        exit_with(error)
    create(bootstrap, sys.argv[1:])

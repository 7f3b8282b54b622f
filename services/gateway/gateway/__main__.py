"""`python -m gateway` serves; `python -m gateway rebuild-views` makes the read model again."""

import sys

from chassis.server import serve
from chassis.write_coalescing import CoalescingHttp
from gateway.app import create_app
from gateway.read_model.rebuild import main

if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            serve("gateway", create_app, lambda settings: settings.gateway_port, http=CoalescingHttp)
        case ["rebuild-views"]:
            main()
        case _:
            raise SystemExit("usage: python -m gateway [rebuild-views]")

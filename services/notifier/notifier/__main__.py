"""`python -m notifier`."""

from chassis.server import serve
from notifier.app import create_app
from notifier.edges.websocket_protocol import CoalescingWebSocket

if __name__ == "__main__":
    serve("notifier", create_app, lambda settings: settings.notifier_port, CoalescingWebSocket)

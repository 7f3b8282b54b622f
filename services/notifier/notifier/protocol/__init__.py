"""The messages between clients and the notifier, and what a session answers. No sockets."""

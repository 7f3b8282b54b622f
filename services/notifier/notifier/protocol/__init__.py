"""What clients and the notifier say to each other. No sockets."""

"""What the notifier asks others for."""

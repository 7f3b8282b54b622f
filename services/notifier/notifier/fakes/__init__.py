"""Full implementations of what the notifier asks others for, in memory: for tests, of ours and of others."""

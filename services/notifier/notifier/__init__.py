"""The notifier pushes the events of runs to clients and takes their decisions. It stores nothing."""

"""The task of a checkpoint: its rules, its state and who may act at it."""

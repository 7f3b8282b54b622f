"""Checkpoints: what each review shows a person, what people and the time limit decide, and how edits are checked."""

"""The task at a checkpoint: who may act, claims, assignment, times, votes, comments."""

"""The run: one AI call carried through its checkpoints. Requests in, commands, events and outcomes between, views out."""

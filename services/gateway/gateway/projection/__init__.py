"""What an event changes in the read model. Pure."""

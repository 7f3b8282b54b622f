"""Which clients are connected, which event goes to which of them, and which client is disconnected. Pure."""

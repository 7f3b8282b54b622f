"""HTTP and WebSocket: what outsiders connect to."""

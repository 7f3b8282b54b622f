"""WebSocket and Server-Sent Events."""

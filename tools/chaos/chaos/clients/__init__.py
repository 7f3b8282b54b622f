"""Clients under a fault: runs as stories, the HTTP client, the WebSocket watcher, and the load that they make."""

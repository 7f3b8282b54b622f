"""API keys as an administrator manages them, and `/me`."""

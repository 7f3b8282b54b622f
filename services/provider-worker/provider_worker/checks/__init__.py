"""Checks of payloads and responses before a review: personal data, moderation, cost, and installed ones."""

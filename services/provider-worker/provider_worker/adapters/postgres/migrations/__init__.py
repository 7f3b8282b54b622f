"""The worker's schema as numbered migrations."""

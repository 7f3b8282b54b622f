"""Replicate: any model it hosts, each described by its own version's schema, through Replicate's own SDK."""

from provider_worker.providers.replicate.provider import ReplicateProvider

__all__ = ["ReplicateProvider"]

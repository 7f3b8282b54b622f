"""HuggingFace: its router, its hosted models, and every server that speaks their protocols, through HuggingFace's own SDK."""

from provider_worker.providers.huggingface.provider import HuggingFaceProvider

__all__ = ["HuggingFaceProvider"]

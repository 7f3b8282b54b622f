"""OpenAI, and every server that speaks its Chat Completions and Images protocols, through OpenAI's own SDK."""

from provider_worker.providers.openai.provider import OpenAIProvider

__all__ = ["OpenAIProvider"]

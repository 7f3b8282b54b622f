"""Anthropic's models, and every server that speaks its Messages protocol, through Anthropic's own SDK."""

from provider_worker.providers.anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]

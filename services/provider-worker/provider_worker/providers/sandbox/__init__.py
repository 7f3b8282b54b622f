"""The sandbox: a provider that answers by rule, without a key and without a network. For first steps, demos and tests."""

from provider_worker.providers.sandbox.provider import SandboxProvider

__all__ = ["SandboxProvider"]

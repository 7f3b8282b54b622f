"""Where calls go: HuggingFace's router, or one server that answers for all. Connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

ROUTER = "https://router.huggingface.co"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where chats are completed, and under what the models' pipelines are."""

    chat: str
    models: str
    is_router: bool

    @classmethod
    def under(cls, base_url: str | None) -> Self:
        """Return those of a server, whether its base URL ends in the version or not; without one, the router's."""
        root = (base_url or ROUTER).rstrip("/").removesuffix("/v1")
        is_router = root == ROUTER
        return cls(
            f"{root}/v1/chat/completions", f"{root}/hf-inference/models" if is_router else f"{root}/models", is_router
        )
